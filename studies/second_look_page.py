"""The page of the study of a second look: docs/second-look.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from scipy import stats

from arcwise.gallery.decision import LEAST_IDENTITIES, NEIGHBOURS


def page(
    results: Mapping[str, Any],
    families: Mapping[str, Sequence[str]],
    kinds: Mapping[str, str],
    splits: int,
) -> str:
    """Return the page.

    Args:
        results: what is kept in docs/second-look.json.
        families: the kinds of each way of scoring that were tried.
        kinds: the one of each that was settled.
        splits: of the identities.
    """
    compared = [
        row for found in results["measured"].values() for row in found["rows"] if row["resolved"]
    ]
    width = float(stats.t.ppf(1 - 0.025 / len(compared), splits - 1))
    lines = [HEAD.format(splits=splits, rates="10 % and 1 %")]
    lines += [
        "## What was settled", "", SETTLED_BY.format(least=LEAST_IDENTITIES), "",
        f"| way | kind | {' | '.join(results['settling'])} |",
        f"|---|---|{'---|' * len(results['settling'])}",
    ]  # fmt: skip
    for family, members in families.items():
        for member in members:
            key = f"{family}: {member}"
            values = [f"{found[key]:+.4f}" for found in results["settling"].values()]
            mark = " **settled**" if len(members) > 1 and member == kinds[family] else ""
            lines.append(f"| {family} | {member}{mark} | {' | '.join(values)} |")
    lines += ["", AFTER_SETTLING, "", "## What they find", ""]
    lines += [WHAT_THEY_FIND.format(count=len(compared), width=width, splits=splits), ""]
    for name, found in results["measured"].items():
        lines += [
            f"### {name}", "",
            f"{found['images']:,} images of {found['people']:,} identities. {ABOUT[name]}", "",
            f"| identities | templates | FPIR | plain | {' | '.join(families)} |",
            f"|---|---|---|---|{'---|' * len(families)}",
            *table(found["rows"], families, width), "",
        ]  # fmt: skip
    lines += ["## What calibration keeps", "", KEPT.format(m=NEIGHBOURS, splits=splits), ""]
    lines += [
        "| data | identities | templates | FPIR | DIR plain | with what is kept | always second "
        "| kept in | FPIR plain | FPIR where kept | in its interval |",
        f"|{'---|' * 11}",
    ]
    for name, rows in results["decided"].items():
        for one in rows:
            where = ("", "")
            if one["kept_in"]:
                where = (f"{one['fpir_kept']:.2%}", f"{one['right_in']} of {one['kept_in']}")
            lines.append(
                f"| {name} | {one['identities']} | {one['templates']} | {one['rate']:.0%} | "
                f"{one['plain']:.3f} | {one['dir']:.3f} | {one['always']:.3f} | "
                f"{one['kept_in']} of {splits} | {one['fpir_plain']:.2%} | {' | '.join(where)} |"
            )
    lines += ["", CONCLUSION, "", f"{results['seconds'] / 60:.0f} minutes of one core, on "]
    return "\n".join(lines) + f"{results['machine']}.\n"


def table(rows: list[dict[str, Any]], families: Iterable[str], width: float) -> Iterator[str]:
    """Yield a line for each kind of gallery and rate: the gains with their intervals."""
    groups: dict[tuple[int, int, float], dict[str, dict[str, Any]]] = {}
    for row in rows:
        if row["resolved"]:
            key = (row["templates"], row["identities"], row["rate"])
            groups.setdefault(key, {})[row["way"]] = row
    for (templates, identities, rate), ways in sorted(groups.items(), key=lambda one: one[0]):
        cells = [gain_cell(ways[one], width) if one in ways else "" for one in families]
        base = next(iter(ways.values()))["plain"]
        yield f"| {identities} | {templates} | {rate:.0%} | {base:.3f} | {' | '.join(cells)} |"


def gain_cell(row: Mapping[str, Any], width: float) -> str:
    half = width * row["error"]
    text = f"{row['gain']:+.3f} ± {half:.3f}"
    return f"**{text}**" if abs(row["gain"]) > half else text


HEAD = """# A second look at the hits

Written by `studies/second_look.py`, which also says how to run it; its numbers are in
[second-look.json](second-look.json).

A search compares the similarity of the closest identity with a threshold. Five other scores are
measured here in its place:

- *mean of the templates*: the similarity to the mean of an identity's templates (with one template
  it is the plain one);
- *average* and *alpha query expansion*: the similarity to the query moved towards its nearest
  templates (Chum et al., ICCV 2007; Radenović et al., PAMI 2019);
- *one-sided*: the similarity, less the mean similarity of the query's next identities;
- *symmetric*: half of that, and half of the same for the templates of the gallery (as s-norm, but
  without deviations).

In each of {splits} splits, a gallery of some identities is drawn; further images of these, at most
five each, and all images of everybody else search it. Measured is how many of the former are found
(DIR) at the threshold at which {rates} of the latter are answered (FPIR). The threshold is that of
the same gallery and the same images: this compares scores, it is no promise.
"""

SETTLED_BY = """\
The kind of each way is the one that gained most over the plain similarity, in the mean over half
of LFW's people and background characters of Omniglot that its network was not trained on, over
galleries of {least} identities and more, with 1 and 3 templates, and both rates."""

AFTER_SETTLING = """\
Symmetric scores gain most. They need a number of each enrolled identity that changes with every
enrolment. The one-sided score needs nothing but the hits of a search, and is what `arcwise
calibrate --gallery` tries. How many next identities it takes matters, and on the sets that
settled that, it gains next to nothing in the mean. Query expansion gains nothing with any kind."""

WHAT_THEY_FIND = """\
The gain in DIR over the plain similarity, with its 95 % interval: identities and splits are drawn
with replacement, both at once, and the intervals are wide enough for all {count} differences of
this page together (Bonferroni: {width:.2f} standard errors, by Student's t of {splits} splits).
Bold ones are beyond chance. Rates that the images do not resolve are left out, as FPIR 1 % on FG-
NET and Grocery: there a handful of images decides."""

ABOUT = {
    "LFW, other half": "The half of LFW's people that settled nothing here. A first look was taken "
    "at all of LFW, with 10 and 50 next identities.",
    "FG-NET": "Ages 0 to 69. Nothing was settled on it, but a first look at it was the reason for "
    "this study.",
    "Omniglot": "Evaluation characters, which were not looked at before.",
    "Grocery": "Products that were not trained on, by each of three trainings; not looked at "
    "before.",
}

KEPT = """\
`arcwise calibrate --gallery` measures the plain similarity and the one-sided score (next {m}),
and keeps the second only where it finds more beyond chance: the lower end of the 95 % interval of
the gain is above 0, in one test for all rates. Here half of the unknown and half of the enrolled
identities of each gallery calibrate, and the other halves are searched with, in {splits} splits.
The last columns are of the splits in which it was kept: the rate that was measured there, and in
how many of them it lies in the interval that was promised."""

CONCLUSION = """\
## What this says

- Query expansion does not help anywhere, and costs much where embeddings are poor.
- How far the closest identity is above the next ten helps in the largest galleries of poor
  embeddings (Omniglot, FPIR 10 %). In galleries of 10 and 50 of the same characters it finds less
  in all eight rows, though none of these is beyond chance by itself. On FG-NET it finds about six
  points more with 27 identities, which would be beyond chance had nothing else been compared. On
  LFW, where nearly everybody is found, it changes nothing.
- So it is no better score as such, and nothing decides by it unless a calibration of that gallery
  found it better. It was never kept where it finds less, and seldom kept where it finds more: half
  of these identities are few to tell by.
- A threshold of this score holds for the gallery as it was. Other identities next to a query give
  another number, and no bound for larger or smaller galleries follows, as there is one for the
  similarity. So a model's thresholds for galleries of any kind stay those of the similarity, and a
  gallery's second look ends with the first change. With ten identities there are few next ones: a
  gallery of fewer than twelve keeps the similarity.
- The mean of three templates finds more than the closest of them on Omniglot, and loses nowhere.
  `arcwise enrol --together` enrols such a mean.
- The symmetric score is a bit better than the one-sided one in most rows. It is not built."""
