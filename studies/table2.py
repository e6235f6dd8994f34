"""The ArcFace paper's Table 2 on data that can be had: `python studies/table2.py SETS [NAME …]`.

Every row of the table, and the losses that came after it, trained by `arcwise.verbs.compare` with
one number of steps and five seeds, each at the scale that is best for it. The scale is chosen on
identities that are not measured. NAME is any of

    grocery    39 products to train on, 13 that choose the scale, 13 that are measured
    omniglot   300 background characters, 60 of other background alphabets, 60 evaluation characters
    lfw        400 people of folds 1 to 5, those of fold 6, and those of folds 7 and 8
    rendered   1,600 rendered products, 150 and 250 others

of which the first three are prepared in SETS by `studies/prepare.py`; the last is rendered there. A
study that was stopped goes on with the same command. docs/table2.md and its picture are written
from docs/table2.json, which keeps what was measured.

    python studies/prepare.py grocery sets/grocery
    python studies/prepare.py omniglot sets/omniglot
    python studies/prepare.py lfw sets/lfw
    python studies/table2.py sets
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import cores
from arcwise.data.split import Split
from arcwise.recipes import recipe
from arcwise.recipes.table2 import BESIDE, TABLE_2
from arcwise.report import plots
from arcwise.synthetic import render_dataset
from arcwise.training.config import TrainConfig
from arcwise.verbs.compare import compare
from arcwise.verbs.compare_result import LossComparison, as_dict
from arcwise.verbs.compare_training import known_result

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "table2.json", DOCS / "table2.md"
ORDERINGS = DOCS / "table2-orderings.md"

BASELINE = "arcface@0.5"
SCALES = (8.0, 16.0, 32.0)
SEEDS = 5
STEPS = 200
MEASURE = "TAR at FAR 1 %"
LABELS = {row.loss: row.label for row in TABLE_2} | {loss: name for name, loss in BESIDE.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("names", nargs="*", default=list(SETS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    for name in options.names:
        split, config = SETS[name](options.sets)
        result = compare(
            split,
            options.sets / "table2" / name,
            config.replace(run={"steps": STEPS}),
            losses=list(LABELS),
            baseline=BASELINE,
            scales=SCALES,
            seeds=options.seeds,
            budget=None,
            progress=lambda done, total, last: print(f"{done} of {total}: {last}", flush=True),
        )
        record(name, result, len(split.train))
        known = json.loads(RESULTS.read_text())
        PAGE.write_text(page(known))
        ORDERINGS.write_text(every_ordering(known))


def record(name: str, result: LossComparison, images: int) -> None:
    """Put a set, with so many images to train on, into the results."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    trained = [known_result(folder) for folder in (result.folder / "trainings").iterdir()]
    spent = {"minutes": sum(one.seconds for one in trained if one) / 60}
    found = as_dict(result) | spent | {"images": images, "machine": on_this_machine()}
    for metric in found["table"]["metrics"][1:]:
        del metric["pairs"]  # the page has those of the TAR
    known[name] = rounded(found)
    write_results(RESULTS, known)
    means = sorted(result.table.tar.mean.items(), key=lambda item: -item[1])
    figure = plots.comparison({LABELS[loss]: mean for loss, mean in means}, MEASURE)
    (DOCS / "images" / f"table2_{name}.svg").write_text(figure)


def write_results(path: Path, sets: dict[str, Any]) -> None:
    """Write JSON with a line a data set."""
    lines = (f"{json.dumps(one)}: {json.dumps(sets[one], ensure_ascii=False)}" for one in sets)
    path.write_text("{" + ",\n".join(lines) + "}\n")


def rounded(value: Any) -> Any:
    """Return plain values with numbers of five digits."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def on_this_machine() -> str:
    """Return its cores and releases, in words."""
    return f"{cores()} cores ({platform.machine()}), torch {version('torch')}"


def grocery(sets: Path) -> tuple[Split, TrainConfig]:
    folder = sets / "grocery"
    parts = (open_manifest(folder / f"{one}.csv") for one in ("tune_train", "tune", "test"))
    return Split(*parts), recipe("products-small").replace(encoder={"size": 32, "train_crop": 16})


def omniglot(sets: Path) -> tuple[Split, TrainConfig]:
    folder = sets / "omniglot"
    parts = (
        some(open_manifest(folder / f"{one}.csv"), count)
        for one, count in (("tune_train", 300), ("tune", 60), ("test", 60))
    )
    return Split(*parts), recipe("drawings").replace(encoder={"size": 24}, data={"batch": 64})


def lfw(sets: Path) -> tuple[Split, TrainConfig]:
    folder = sets / "lfw"
    train, choosing, measured = (
        open_manifest(folder / f"{one}.csv") for one in ("tune_train", "tune", "test")
    )
    return Split(train, several(choosing), several(measured)), recipe("faces").replace(
        encoder={"size": 24}
    )


def some_of_lfw(sets: Path) -> tuple[Split, TrainConfig]:
    """Fewer people and smaller batches, so that the whole table takes three hours of two cores."""
    split, config = lfw(sets)
    train = some(split.train, 400)
    return Split(train, split.validation, split.calibration), config.replace(data={"batch": 64})


def rendered(sets: Path) -> tuple[Split, TrainConfig]:
    folder = sets / "rendered"
    path = folder / "manifest.csv"
    if not path.exists():
        render_dataset(folder, identities=2000, shots=5, studio=1, size=48)
    images = open_manifest(path)
    ends = ((0, 1600), (1600, 1750), (1750, 2000))
    parts = (
        images.select(np.flatnonzero((first <= images.labels) & (images.labels < last)))
        for first, last in ends
    )
    return Split(*parts), recipe("products-small").replace(encoder={"size": 32, "train_crop": 16})


SETS: dict[str, Callable[[Path], tuple[Split, TrainConfig]]] = {
    "grocery": grocery, "omniglot": omniglot, "lfw": some_of_lfw, "rendered": rendered,
}  # fmt: skip


def some(images: Manifest, count: int) -> Manifest:
    """Return the images of so many identities, drawn with a fixed seed."""
    chosen = np.random.default_rng(0).permutation(len(images.classes))[:count]
    return images.select(np.flatnonzero(np.isin(images.labels, chosen)))


def several(images: Manifest) -> Manifest:
    """Return the images of identities that have two of them, or more."""
    counts = np.bincount(images.labels)
    return images.select(np.flatnonzero(counts[images.labels] > 1))


def page(sets: dict[str, Any]) -> str:
    lines = [
        "# Table 2 of the ArcFace paper, on data that can be had",
        "",
        "Written by `studies/table2.py`, which also says how to run it; every number is in",
        "`table2.json`. Each loss is trained with five seeds for as many steps as the others, at",
        "the scale that was best for it on identities that choose and are not measured. Margins",
        "are those of the rows. Networks and images are small: they show which loss learns more",
        "from so much work, not how far it can go. A scale with ≤ or ≥ is the least or the largest",
        f"of those tried, {', '.join(f'{scale:g}' for scale in SCALES)}: a better one may lie",
        "beyond.",
        "",
        "The scales to try, the pixels and the number of steps, the same for every loss, were",
        "settled after a look at some trainings of one seed with larger scales and fewer steps,",
        "also at what they reached on identities that are measured. No loss was chosen by it.",
        "",
        "Values are means over the seeds with 95 % intervals over seeds and identities",
        "([how often these hold](compare-intervals.md)); p is corrected by Holm's method for all",
        "comparisons with ArcFace (0.5), the intervals are not. NS is Norm-Softmax, CM a combined",
        "margin (m1, m2, m3), SV and MV are SV-Softmax and MV-Softmax ([the losses]"
        "(explanation/losses.md)). The paper's column is its mean accuracy on LFW, CFP-FP",
        "and AgeDB-30, of ResNet-50 trained on CASIA-WebFace.",
    ]
    for name, found in sets.items():
        picture = f"![{MEASURE} of every loss, {name}](images/table2_{name}.svg)"
        lines += ["", f"## {name}", "", *table(found), "", picture, "", *orderings(found)]
    return "\n".join(lines) + "\n"


def table(found: dict[str, Any]) -> Iterator[str]:
    """Yield a row a loss, in the order of the paper."""
    plan, people = found["plan"], found["identities"]
    metrics, config = found["table"]["metrics"][:2], plan["config"]
    tar = metrics[0]
    passes = plan["steps"] * config["data"]["batch"] / found["images"]
    yield (
        f"{people['trained on']:,} identities with {found['images']:,} images are trained on, "
        f"{people['choosing']:,} choose the scale, {people['measured']:,} with "
        f"{found['table']['images']:,} images are measured. {plan['seeds']} seeds, "
        f"{plan['steps']} steps of {config['data']['batch']} images of "
        f"{config['encoder']['size']} pixels, {passes:.2g} passes; {found['minutes']:.0f} minutes "
        f"of one core in all, on {found['machine']}."
    )
    yield ""
    far = f"{found['table']['far']:g}"
    yield f"| loss | s | TAR@{far} | recall@1 | TAR - ArcFace (0.5) | p | paper, % |"
    yield "|---|---|---|---|---|---|---|"
    published = {row.loss: f"{np.mean(row.published):.2f}" for row in TABLE_2}
    for loss, label in LABELS.items():
        one = found["losses"][loss]
        if one["failed"]:
            yield f"| {label} | | diverged | | | | {published.get(loss, '')} |"
            continue
        cells = [interval(metric["mean"][loss]) for metric in metrics]
        cells += difference_cells(tar, loss)
        scale = one["label"].partition(" s=")[2]
        edges = {f"{min(plan['scales']):g}": "≤ ", f"{max(plan['scales']):g}": "≥ "}
        scale = edges.get(scale, "") + scale
        yield f"| {label} | {scale} | {' | '.join(cells)} | {published.get(loss, '')} |"


def orderings(found: dict[str, Any]) -> Iterator[str]:
    """Yield how many of the paper's orderings hold, and those against two rows one by one."""
    gaps = paper_gaps(found)
    right = sum(gap.value > 0 for gap in gaps.values())
    verdicts = [gap.verdict for gap in gaps.values()]
    yield (
        f"Of the paper's {len(gaps)} orderings of two rows, {right} have the same sign here. "
        f"Significant, corrected for all pairs of losses, are {verdicts.count('holds')} that hold "
        f"and {verdicts.count('does not hold')} that do not ([all of them](table2-orderings.md))."
    )
    yield ""
    yield "| in the paper | here, difference in TAR | |"
    yield "|---|---|---|"
    for (better, worse), gap in gaps.items():
        if {better, worse} & {BASELINE, "normsoftmax"}:
            yield f"| {LABELS[better]} above {LABELS[worse]} | {gap} | {gap.verdict} |"


@dataclass(frozen=True)
class Gap:
    """By how much the better row of the paper is better here."""

    value: float
    low: float
    high: float
    decided: bool

    def __str__(self) -> str:
        return f"{self.value:+.3f} ({self.low:+.3f} – {self.high:+.3f})"

    @property
    def verdict(self) -> str:
        if not self.decided:
            return "not significant"
        return "holds" if self.value > 0 else "does not hold"


def paper_gaps(found: dict[str, Any]) -> dict[tuple[str, str], Gap]:
    """Return the differences of all pairs of the paper's rows, the one that is better there first.

    A pair is left out where the paper has them equal, or one of them diverged here.
    """
    published = {row.loss: float(np.mean(row.published)) for row in TABLE_2}
    known = {}
    for one in found["table"]["metrics"][0]["pairs"]:
        value, low, high = (one["difference"][part] for part in ("value", "low", "high"))
        known[one["name"], one["reference"]] = Gap(value, low, high, one["decided"])
        known[one["reference"], one["name"]] = Gap(-value, -high, -low, one["decided"])
    order = sorted(published, key=published.__getitem__, reverse=True)
    return {
        (better, worse): known[better, worse]
        for number, better in enumerate(order)
        for worse in order[number + 1 :]
        if (better, worse) in known and published[better] > published[worse]
    }


def every_ordering(sets: dict[str, Any]) -> str:
    """Return the page with a row a pair."""
    gaps = {name: paper_gaps(found) for name, found in sets.items()}
    pairs = dict.fromkeys(pair for those in gaps.values() for pair in those)
    lines = [
        "# Every ordering of Table 2",
        "",
        "Written by `studies/table2.py`: every two rows of the ArcFace paper's table, the one with",
        "the higher mean accuracy there first, and the difference in TAR at FAR 1 % here, with its",
        "95 % interval ([how they were measured](table2.md)). **Bold** is significant, corrected",
        "by Holm's method for all pairs of losses: a positive difference holds, a negative one",
        "does not.",
        "",
        f"| in the paper | {' | '.join(sets)} |",
        "|---" * (len(sets) + 1) + "|",
    ]
    for pair in pairs:
        better, worse = (LABELS[loss] for loss in pair)
        cells = [cell(those.get(pair)) for those in gaps.values()]
        lines.append(f"| {better} above {worse} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(gap: Gap | None) -> str:
    if gap is None:
        return "diverged"
    return f"**{gap}**" if gap.decided else str(gap)


def difference_cells(metric: dict[str, Any], loss: str) -> list[str]:
    """Return the difference to the baseline and its corrected p; empty cells for the baseline."""
    gap = metric["to_baseline"].get(loss)
    if gap is None:
        return ["", ""]
    return [interval(gap["difference"], "+.3f"), f"{gap['corrected_p']:.2g}"]


def interval(rate: dict[str, float], form: str = ".3f") -> str:
    return f"{rate['value']:{form}} ({rate['low']:{form}} – {rate['high']:{form}})"


if __name__ == "__main__":
    main()
