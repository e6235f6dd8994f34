"""Faults that were planted among real vectors, as `arcwise gallery audit` finds them.

    ARCWISE_DATA=… python studies/audit.py

The vectors are those of LFW's people in `features/` of the data folder. The rules and limits were
settled on one half of the people, and the thresholds are calibrated on it; the tables are of the
other half. What is in docs/audit.json already is not measured again. About half a minute of one
core.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import cleaning
from arcwise.evaluation import calibrate
from arcwise.evaluation.intervals import wilson
from arcwise.evaluation.search_calibration import calibrate_searches
from arcwise.gallery import GallerySize, operating_points
from arcwise.gallery.audit import HUB_RATE, NEIGHBOURHOOD, Findings, Limits, audit

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "audit.json", DOCS / "audit.md"
SEEDS = 3
PAIR_RATE = 0.01
"""False-accept rate of the threshold of pairs, as the command takes it."""

MOVED, SPLIT, HUBS, COPIES = 50, 30, 20, 20
ANOTHERS, NOBODYS = "misfits, another's", "misfits, nobody's"
IN_A_HUB = 200
"""People whose mean a hub is."""


class Planted(NamedTuple):
    """A gallery with faults.

    Attributes:
        vectors: (G, D) unit rows.
        labels: (G,) codes of who each is enrolled as.
        moved: rows that are enrolled as somebody else.
        split: pairs of codes that are one person.
        hubs: rows that are means of many people.
        copies: pairs of rows with one vector.
    """

    vectors: np.ndarray
    labels: np.ndarray
    moved: frozenset[int]
    split: frozenset[tuple[int, int]]
    hubs: frozenset[int]
    copies: tuple[tuple[int, int], ...]


def main() -> None:
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if len(results.get("seeds", ())) < SEEDS:
        thresholds = calibrated()
        vectors, ids = people(settled=False)
        results = results or {
            "templates": len(vectors),
            "people": int(ids.max()) + 1,
            "clean": counts(found(vectors, ids, thresholds)),
            "settled": settled(thresholds),
            "seeds": [],
        }
        for seed in range(len(results["seeds"]), SEEDS):
            planted = plant(vectors, ids, seed)
            limits = limits_in(planted.labels, thresholds)
            results["limits"] = {"pair": limits.pair, "search": limits.search,
                                 "fpir": fpir_in(planted.labels, thresholds)}  # fmt: skip
            results["seeds"].append(scored(planted, found(*planted[:2], thresholds)))
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(seed, results["seeds"][-1], flush=True)
    PAGE.write_text(page(results))


# The data.


def people(settled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit vectors of one half of LFW's people, and their codes."""
    vectors, ids = cleaning.half_of_lfw(settled)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32), np.unique(ids, return_inverse=True)[1]


def plant(vectors: np.ndarray, ids: np.ndarray, seed: int) -> Planted:
    """Return the vectors with faults, each person in one fault that concerns identities at most."""
    draw = np.random.default_rng(seed)
    sizes, labels = np.bincount(ids), ids.copy()
    split = draw.permutation(np.flatnonzero(sizes >= 4))[:SPLIT]
    pairs = []
    for number, one in enumerate(split.tolist()):
        rows = draw.permutation(np.flatnonzero(ids == one))
        labels[rows[: len(rows) // 2]] = len(sizes) + number
        pairs.append((one, len(sizes) + number))
    left = np.setdiff1d(np.arange(len(sizes)), split)
    of = draw.permutation(left[sizes[left] >= 3])[:MOVED]
    left = np.setdiff1d(left, of)
    to = draw.permutation(left[sizes[left] >= 2])[:MOVED]
    left = np.setdiff1d(left, to)
    moved = [int(draw.choice(np.flatnonzero(ids == one))) for one in of]
    labels[moved] = to
    means = [vectors[draw.choice(len(vectors), IN_A_HUB, replace=False)].mean(axis=0)
             for _ in range(HUBS)]  # fmt: skip
    copied = draw.choice(np.flatnonzero(np.isin(ids, left)), COPIES, replace=False)
    others = draw.choice(left, COPIES)
    whose = [labels[row] if place % 2 else other
             for place, (row, other) in enumerate(zip(copied, others, strict=True))]  # fmt: skip
    hubs = np.stack(means)
    hubs /= np.linalg.norm(hubs, axis=1, keepdims=True)
    first = len(vectors)
    return Planted(
        np.concatenate([vectors, hubs, vectors[copied]]).astype(np.float32),
        np.concatenate([labels, draw.choice(left, HUBS), whose]).astype(np.int64),
        frozenset(moved),
        frozenset(pairs),
        frozenset(range(first, first + HUBS)),
        tuple((int(row), first + HUBS + place) for place, row in enumerate(copied)),
    )


# What is measured.


def calibrated() -> dict[str, Any]:
    """Return the thresholds of the half on which the rules were settled."""
    vectors, ids = people(settled=True)
    return {"pairs": calibrate(vectors, ids), "searches": calibrate_searches(vectors, ids)}


def _point(labels: np.ndarray, thresholds: dict[str, Any]) -> Any:
    sizes = np.bincount(labels)
    sizes = sizes[sizes > 0]
    size = GallerySize(len(sizes), len(labels), int(sizes.min()), int(sizes.max()), len(labels))
    points = operating_points(size, thresholds["pairs"], thresholds["searches"])
    return min((one for one in points if one.promises), key=lambda one: (one.fpir, one.threshold))


def limits_in(labels: np.ndarray, thresholds: dict[str, Any]) -> Limits:
    """Return the thresholds that the command would take in such a gallery."""
    pair = max((one for one in thresholds["pairs"] if one.resolved and one.far <= PAIR_RATE),
               key=lambda one: one.far)  # fmt: skip
    return Limits(pair.threshold, _point(labels, thresholds).threshold)


def fpir_in(labels: np.ndarray, thresholds: dict[str, Any]) -> float:
    return float(_point(labels, thresholds).fpir)


def found(vectors: np.ndarray, labels: np.ndarray, thresholds: dict[str, Any]) -> Findings:
    return audit(vectors, labels, limits=limits_in(labels, thresholds))


def counts(findings: Findings) -> dict[str, int]:
    """Return how many findings there are in each list."""
    misfits = findings.misfits or ()
    return {
        "duplicates": len(findings.duplicates),
        "hubs": len(findings.hubs),
        "one identity": len(findings.one_identity or ()),
        "misfits, another's": sum(one.anothers for one in misfits),
        "misfits, nobody's": sum(not one.anothers for one in misfits),
    }


def scored(planted: Planted, findings: Findings) -> dict[str, list[int]]:
    """Return of each list: how many of the planted are in it, of how many; its length, right ones.

    What is listed is right if it was planted, whichever the list.
    """
    copies = {row for pair in planted.copies for row in pair}
    groups = [set(group) for group in findings.duplicates]
    pairs = {tuple(sorted(one.codes)) for one in findings.one_identity or ()}
    misfits = {
        kind: [one.row for one in findings.misfits or () if one.anothers == anothers]
        for kind, anothers in (("another's", True), ("nobody's", False))
    }
    hubs = [one.row for one in findings.hubs]
    rows = {
        "duplicates": [sum(any(set(pair) <= group for group in groups) for pair in planted.copies),
                       COPIES, len(groups), sum(group <= copies for group in groups)],
        "hubs": [len(planted.hubs.intersection(hubs)), HUBS, len(hubs),
                 len(planted.hubs.intersection(hubs))],
        "one identity": [len(planted.split & pairs), SPLIT, len(pairs), len(planted.split & pairs)],
    }  # fmt: skip
    for kind, those in misfits.items():
        right = len(planted.moved.intersection(those))
        rows[f"misfits, {kind}"] = [right, MOVED, len(those), right]
    return rows


def settled(thresholds: dict[str, Any]) -> dict[str, list[int]]:
    """Return the same for the half on which the rules were settled, with one seed."""
    planted = plant(*people(settled=True), 0)
    return scored(planted, found(*planted[:2], thresholds))


# The page.


def page(results: dict[str, Any]) -> str:
    limits = results["limits"]
    lines = [
        HEAD.format(
            templates=results["templates"], people=results["people"], neighbourhood=NEIGHBOURHOOD,
            rate=1 / HUB_RATE, in_a_hub=IN_A_HUB, pair=limits["pair"], pair_rate=PAIR_RATE,
            search=limits["search"], fpir=limits["fpir"],
        ),
        "| list | planted | found | recall | listed | precision | listed before |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n",
    ]  # fmt: skip
    for name in results["seeds"][0]:
        if name != NOBODYS:
            lines.append(row(name, [one[name] for one in results["seeds"]], results["clean"][name]))
    both = [[one[ANOTHERS][0] + one[NOBODYS][0], MOVED, one[ANOTHERS][2] + one[NOBODYS][2],
             one[ANOTHERS][3] + one[NOBODYS][3]] for one in results["seeds"]]  # fmt: skip
    clean = results["clean"]
    lines.append(row("misfits, all", both, clean[ANOTHERS] + clean[NOBODYS]))
    said = {
        name: f"{hits} of {planted} ({listed} listed)"
        for name, (hits, planted, listed, _) in results["settled"].items()
    }
    return "".join(lines) + TAIL.format(
        duplicates=said["duplicates"], hubs=said["hubs"], one=said["one identity"],
        misfits=said[ANOTHERS],
    )  # fmt: skip


def row(name: str, seeds: list[list[int]], clean: int) -> str:
    """Return the row of one list, over all seeds."""
    hits, planted, listed, right = np.mean(seeds, axis=0).tolist()
    return (
        f"| {name} | {planted:.0f} | {hits:.1f} | {share(hits, planted)} | {listed:.1f} | "
        f"{share(right, listed)} | {clean} |\n"
    )


def share(part: float, whole: float) -> str:
    """Return a share of one seed's size, with its interval."""
    if whole < 1:
        return "–"
    low, high = wilson(part, whole)
    return f"{part / whole:.3f} ({low:.3f} – {high:.3f})"


HEAD = """# Audit of a gallery

`python studies/audit.py` measures this table and keeps it in [audit.json](audit.json): faults that
were planted among real vectors, and what [`arcwise gallery audit`](how-to/gallery-care.md) lists.

The gallery is one half of LFW's people, {templates:,} templates of {people:,}, without the names
that are known to be doubtful. Planted are

- 50 templates that are enrolled as another person, who has two templates or more, while two or more
  of their own person remain;
- 30 people with four templates or more under two names, half of the templates each;
- 20 hubs, each the mean of {in_a_hub} templates;
- 20 copies of a vector, half of them enrolled as somebody else.

The thresholds were calibrated on the other half of the people: {pair:.4f} for pairs, which
{pair_rate:.0%} of pairs of different people reach; {search:.4f} for searches, at which at most
{fpir:.1%} of images of others would find somebody in this gallery. A hub is among the nearest
{neighbourhood:.0%} of more identities than one template in {rate:,.0f} would be.

Numbers are means of three seeds; intervals are Wilson's, 95 %, for as many as one seed has. The
last column is what is listed before anything is planted: errors of LFW itself, or false.

"""

TAIL = """
## What this says

- A template of somebody else who is enrolled is found. What a search would answer with another
  name is hardly ever listed wrongly. The rest of the list, which nobody claims, is mostly right
  templates that fit badly: it comes last.
- A person under two names is found. What is listed besides is alike by chance: the rate of the
  threshold is that of one template, and there are thousands. It is a list to look at.
- Hubs that are means of many people are found, nearly without others.
- A template that was moved and is the only one of its person cannot be told from one that fits
  badly. None was planted.

## How it was settled

On the other half of the people, with the same kinds of faults. There, one seed finds: duplicates
{duplicates}; hubs {hubs}; one identity {one}; misfits, another's {misfits}. These were looked at
there, and others taken in their place:

- the largest cosine to the own identity, which orders misfits a little worse than the mean; the
  cosine to the own identity alone, which orders them much worse;
- the closest pair of two identities, which lists several times as many false ones as the lower one
  of both directions;
- 5 to 50 nearest templates for hubs, of which the few find none, as everybody has some neighbours;
- a Poisson distribution of neighbours, which is too narrow, and calls right templates hubs.
"""


if __name__ == "__main__":
    main()
