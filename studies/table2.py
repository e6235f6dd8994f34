"""The ArcFace paper's Table 2 on data that can be had: `python studies/table2.py SETS [NAME …]`.

Every row of the table, and the losses that came after it, trained by `arcwise.verbs.compare` with
one number of steps and five seeds, each at the scale that is best for it. The scale is chosen on
identities that are not measured; the recipe and the steps were not chosen at all. NAME is any of

    grocery    39 products to train on, 13 that choose the scale, 13 that are measured
    omniglot   300 background characters, 60 of other background alphabets, 60 evaluation characters
    lfw        people of folds 1 to 5, of fold 6, and of folds 7 and 8
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
import time
from collections.abc import Callable, Iterator
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

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "table2.json", DOCS / "table2.md"

BASELINE = "arcface@0.5"
SCALES = (12.0, 24.0, 48.0)
SEEDS = 5
STEPS = 160
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
        began = time.perf_counter()
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
        record(name, result, (time.perf_counter() - began) / 60)
        PAGE.write_text(page(json.loads(RESULTS.read_text())))


def record(name: str, result: LossComparison, minutes: float) -> None:
    """Put a set into the results; the minutes are of all starts together."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    before = known.get(name, {}).get("minutes", 0)
    minutes = round(before + minutes, 1)
    known[name] = as_dict(result) | {"minutes": minutes, "machine": on_this_machine()}
    RESULTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    means = sorted(result.table.tar.mean.items(), key=lambda item: -item[1])
    figure = plots.comparison({LABELS[loss]: mean for loss, mean in means}, MEASURE)
    (DOCS / "images" / f"table2_{name}.svg").write_text(figure)


def on_this_machine() -> str:
    """Return its cores and releases, in words."""
    return f"{cores()} cores ({platform.machine()}), torch {version('torch')}"


def grocery(sets: Path) -> tuple[Split, TrainConfig]:
    folder = sets / "grocery"
    parts = (open_manifest(folder / f"{one}.csv") for one in ("tune_train", "tune", "test"))
    return Split(*parts), recipe("products-small").replace(encoder={"size": 32, "train_crop": 24})


def omniglot(sets: Path) -> tuple[Split, TrainConfig]:
    folder = sets / "omniglot"
    parts = (
        some(open_manifest(folder / f"{one}.csv"), count)
        for one, count in (("tune_train", 300), ("tune", 60), ("test", 60))
    )
    return Split(*parts), recipe("drawings").replace(encoder={"size": 32}, data={"batch": 64})


def lfw(sets: Path) -> tuple[Split, TrainConfig]:
    folder = sets / "lfw"
    train, choosing, measured = (
        open_manifest(folder / f"{one}.csv") for one in ("tune_train", "tune", "test")
    )
    return Split(train, several(choosing), several(measured)), recipe("faces").replace(
        encoder={"size": 32}
    )


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
    return Split(*parts), recipe("products-small").replace(encoder={"size": 32, "train_crop": 24})


SETS: dict[str, Callable[[Path], tuple[Split, TrainConfig]]] = {
    "grocery": grocery, "omniglot": omniglot, "lfw": lfw, "rendered": rendered,
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
        "from so much work, not how far it can go.",
        "",
        "Values are means over the seeds with 95 % intervals over seeds and identities",
        "([how often these hold](compare-intervals.md)); p is corrected by Holm's method for all",
        "comparisons with ArcFace (0.5). The paper's column is its mean accuracy on LFW, CFP-FP",
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
    yield (
        f"{people['trained on']:,} identities trained on, {people['choosing']:,} choose the scale, "
        f"{people['measured']:,} with {found['table']['images']:,} images are measured. "
        f"{plan['seeds']} seeds, {plan['steps']} steps of {config['data']['batch']} images of "
        f"{config['encoder']['size']} pixels; {found['minutes']:.0f} minutes, {found['machine']}."
    )
    yield ""
    far = f"{found['table']['far']:g}"
    yield f"| loss | s | TAR@{far} | recall@1 | TAR - ArcFace (0.5) | p | paper, % | seconds |"
    yield "|---|---|---|---|---|---|---|---|"
    published = {row.loss: f"{np.mean(row.published):.2f}" for row in TABLE_2}
    for loss, label in LABELS.items():
        one = found["losses"][loss]
        if one["failed"]:
            yield f"| {label} | | diverged | | | | {published.get(loss, '')} | |"
            continue
        gap = tar["to_baseline"].get(loss)
        cells = [interval(metric["mean"][loss]) for metric in metrics]
        cells.append("" if gap is None else interval(gap["difference"], "+.3f"))
        cells.append("" if gap is None else f"{gap['corrected_p']:.2g}")
        scale = one["label"].partition(" s=")[2]
        yield (
            f"| {label} | {scale} | {' | '.join(cells)} | {published.get(loss, '')} | "
            f"{one['seconds']:.0f} |"
        )


def orderings(found: dict[str, Any]) -> Iterator[str]:
    """Yield how many of the paper's orderings hold, and those against ArcFace one by one."""
    tar = found["table"]["metrics"][0]
    published = {row.loss: float(np.mean(row.published)) for row in TABLE_2}
    gaps = {}
    for one in tar["pairs"]:
        pair = one["name"], one["reference"]
        if set(pair) <= published.keys() and published[pair[0]] != published[pair[1]]:
            sign = 1 if published[pair[0]] > published[pair[1]] else -1
            ends = sorted(sign * one["difference"][end] for end in ("low", "high"))
            gap = sign * one["difference"]["value"], *ends, one["decided"]
            gaps[pair if sign > 0 else pair[::-1]] = gap
    right = [value > 0 for value, *_ in gaps.values()]
    decided = [(value > 0, sure) for value, *_, sure in gaps.values()]
    yield (
        f"Of the paper's {len(gaps)} orderings of two rows, {sum(right)} have the same sign here. "
        f"Decided, corrected for all pairs of losses, are {sum(d for good, d in decided if good)} "
        f"that hold and {sum(d for good, d in decided if not good)} that do not."
    )
    yield ""
    yield "| in the paper | here, difference in TAR | |"
    yield "|---|---|---|"
    for (better, worse), (value, low, high, sure) in gaps.items():
        if {better, worse} & {BASELINE, "normsoftmax"}:
            verdict = ("holds" if value > 0 else "does not hold") if sure else "not decided"
            pair = f"{LABELS[better]} above {LABELS[worse]}"
            yield f"| {pair} | {value:+.3f} ({low:+.3f} – {high:+.3f}) | {verdict} |"


def interval(rate: dict[str, float], form: str = ".3f") -> str:
    return f"{rate['value']:{form}} ({rate['low']:{form}} – {rate['high']:{form}})"


if __name__ == "__main__":
    main()
