"""Which loss, scale and margin `train` should use: `python studies/defaults.py SETS [NAME …]`.

Ten settings of the softmax with a margin, each trained with five seeds on data with few and many
identities, few and many images of each, from nothing and from a pretrained network; and its scales
once more, trained five times as long. One half of the held-out identities says which is best; the
other half says how much worse the default is than that. SETS is prepared as for
`studies/table2.py`, whose images, pixels and recipes these are. A study that was stopped goes on
with the same command; what it found is kept in docs/defaults.json, from which docs/defaults.md is
written.

    python studies/defaults.py sets
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arcwise import evaluation
from arcwise.data.manifest import Manifest
from arcwise.data.split import Split
from arcwise.evaluation import RunComparison
from arcwise.heads.centre import SEEN, scale_for
from arcwise.recipes import default_loss, recipe
from arcwise.recipes.default_loss import StudyResult
from arcwise.training import build
from arcwise.training.config import TrainConfig
from arcwise.training.losses import CentresConfig
from arcwise.verbs.compare_training import (
    HeldOutImages,
    prepared_images,
    small_images,
)
from seed_runs import trained
from table2 import (
    difference_cells,
    grocery,
    interval,
    lfw,
    omniglot,
    on_this_machine,
    rendered,
    rounded,
    write_results,
)

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "defaults.json", DOCS / "defaults.md"
FINDINGS = Path(default_loss.__file__).with_name(default_loss.FINDINGS)
SEEDS, FAR = 5, 1e-2
DEFAULT = "arcface 0.35, as train"


@dataclass(frozen=True)
class Variant:
    """A loss, its scale, and how its margin grows.

    Attributes:
        loss: by name.
        factor: the scale over that of the classes alone; None for the one that `train` takes.
        grows: the margin, from a share of the steps to another.
    """

    loss: str
    factor: float | None = 1.0
    grows: tuple[float, float] = (0.1, 0.5)

    def config(self, config: TrainConfig, classes: int) -> TrainConfig:
        start, full = self.grows
        scale = 0.0 if self.factor is None else self.factor * scale_for(classes)
        changes = {"scale": scale, "margin_from": start, "margin_full": full}
        return config.with_loss(self.loss).replace(objective=changes)

    def scale(self, config: TrainConfig, classes: int) -> float:
        """Return the scale that is trained with."""
        objective = build.settled_objective(self.config(config, classes), classes)
        assert isinstance(objective, CentresConfig)
        return objective.scale

    def folder(self, config: TrainConfig, classes: int) -> str:
        """Return the name of its trainings, the same for variants that are equal here."""
        grows = "" if self.grows[1] else " at once"
        return f"{self.loss}{grows} s={self.scale(config, classes):.4g}"


VARIANTS: dict[str, Variant] = {
    DEFAULT: Variant("arcface@0.35", None),
    "normsoftmax, s": Variant("normsoftmax"),
    "arcface 0.2, s": Variant("arcface@0.2"),
    "arcface 0.35, s/4": Variant("arcface@0.35", 0.25),
    "arcface 0.35, s/2": Variant("arcface@0.35", 0.5),
    "arcface 0.35, s": Variant("arcface@0.35"),
    "arcface 0.35, 2s": Variant("arcface@0.35", 2.0),
    "arcface 0.5, s": Variant("arcface@0.5"),
    "arcface 0.35 at once, s": Variant("arcface@0.35", grows=(0.0, 0.0)),
    "arcface 0.5 at once, s": Variant("arcface@0.5", grows=(0.0, 0.0)),
}
SCALES = tuple(
    name for name, one in VARIANTS.items() if one.loss == "arcface@0.35" and one.grows[1]
)
"""The variants that differ in their scale alone."""


@dataclass(frozen=True)
class Setting:
    """Data of a kind.

    Attributes:
        source: the data set and its recipe.
        identities: to train on, at most.
        images: of each, at most.
        steps: of every training.
        pretrained: whether trainings start from the installed weights.
        labels: which variants are trained.
    """

    source: Callable[[Path], tuple[Split, TrainConfig]]
    identities: int
    images: int
    steps: int = 200
    pretrained: bool = False
    labels: tuple[str, ...] = tuple(VARIANTS)

    def of(self, sets: Path) -> tuple[Split, TrainConfig]:
        """Return what to train on, what chooses and what is measured, and the recipe."""
        split, config = self.source(sets)
        train = fewer(split.train, self.identities, self.images)
        if self.pretrained:
            size = {"size": 96, "train_crop": 64}
            config = recipe("products-last-blocks").replace(encoder=size)
        config = config.replace(
            data={"workers": 0, "holdout": 0.0},
            run={"steps": self.steps, "epochs": 0.0, "validate_every": 10**9},
        )
        return Split(train, split.validation, split.calibration), config


SETTINGS: dict[str, Setting] = {
    "13 products, 70 images each": Setting(grocery, 13, 1000),
    "39 products, 5 images each": Setting(grocery, 39, 5),
    "300 characters, 4 images each": Setting(omniglot, 300, 4),
    "774 people, 5 images each": Setting(lfw, 10**6, 1000),
    "1,600 rendered products, 2 images each": Setting(rendered, 10**6, 2),
    "774 people, 1,000 steps": Setting(lfw, 10**6, 1000, 1000, labels=SCALES),
    "1,600 rendered products, 1,000 steps": Setting(rendered, 10**6, 2, 1000, labels=SCALES),
    "39 products, 10 images each, pretrained": Setting(grocery, 39, 10, 50, pretrained=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("names", nargs="*", default=list(SETTINGS), metavar="NAME")
    options = parser.parse_args()
    for name in options.names:
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        if name not in known:
            folder = options.sets / "defaults" / name
            known[name] = rounded(measured(SETTINGS[name], options.sets, folder))
            write_results(RESULTS, known)
        PAGE.write_text(page(known))
        found = [asdict(finding(name, one)) for name, one in known.items()]
        FINDINGS.write_text(json.dumps(found, indent=1) + "\n")


def measured(setting: Setting, sets: Path, folder: Path) -> dict[str, Any]:
    """Train every variant with every seed, or go on with that."""
    split, config = setting.of(sets)
    images = small_images(config, split.train, folder / "images")
    pixels = folder / "held-out.npy"
    choosing, other = prepared_images(config, (split.validation, split.calibration), pixels)
    classes = len(split.train.classes)
    folders: dict[str, str] = {}
    for label in setting.labels:
        name = VARIANTS[label].folder(config, classes)
        if name not in folders.values():
            folders[label] = name
    configs = {label: VARIANTS[label].config(config, classes) for label in folders}
    runs = trained(configs, SEEDS, images, pixels, folder, folders)
    found = runs.embeddings
    return {
        "identities": classes,
        "images": len(images),
        "choosing": len(set(choosing.identities)),
        "measured": len(set(other.identities)),
        "steps": config.run.steps,
        "batch": config.data.batch,
        "s": round(scale_for(classes), 1),
        "of_train": round(VARIANTS[DEFAULT].scale(config, classes), 1),
        "chosen": {name: float(one) for name, one in compared(found, choosing).tar.mean.items()},
        "table": without_pairs(compared(found, other).as_dict()),
        "failed": runs.failed,
        "minutes": runs.minutes,
        "machine": on_this_machine(),
    }


def compared(runs: Mapping[str, list[np.ndarray]], images: HeldOutImages) -> RunComparison:
    parts = {name: [one[images.rows] for one in arrays] for name, arrays in runs.items()}
    return evaluation.compare_runs(parts, images.identities, far=FAR, baseline=DEFAULT)


def without_pairs(table: dict[str, Any]) -> dict[str, Any]:
    """Return a comparison of runs without the pairs of settings, which the page does not show."""
    metrics = [{**one, "pairs": []} for one in table["metrics"]]
    return {**table, "metrics": metrics}


def fewer(images: Manifest, identities: int, each: int) -> Manifest:
    """Return so many images of so many identities, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    labels = images.labels
    classes = rng.permutation(len(images.classes))[:identities]
    drawn = [rng.permutation(np.flatnonzero(labels == one))[:each] for one in classes]
    return images.select(np.sort(np.concatenate(drawn)))


def page(settings: dict[str, Any]) -> str:
    lines = [
        "# Which loss, scale and margin to begin with",
        "",
        "Written by `studies/defaults.py`, which also says how to run it; every number is in",
        "`defaults.json`. Each row is a setting of the loss, trained with five seeds for as many",
        "steps as the others. s is 2.5 · √2 · log(C - 1) for C identities, at least 8. The",
        f"default, `as train`, has this s where an identity is seen {SEEN} times or more in the",
        f"training. Where it is seen less, it has s · √(seen / {SEEN}), at least 8, and s is a row",
        "of its own. A margin grows from 10 to 50 % of the steps, or is there at once.",
        "",
        "Some of the held-out identities choose the best row, others are measured. Values are TAR",
        "at FAR 1 %: on the identities that choose, the mean of the seeds; on those that are",
        "measured, with a 95 % interval over seeds and identities",
        "([how often these hold](compare-intervals.md)).",
        "",
        f"The rule for the scale, with its {SEEN}, was made after a look at the trainings of 200",
        "steps from nothing with the other scales, also on identities that are measured, and at",
        "some of 1,000 steps on identities that choose. The other data sets, and the row of the",
        "default in all of them, came later.",
        "",
        "What the default loses against the row that was chosen, on the identities that are",
        "measured:",
        "",
        "| trained on | an identity is seen | s | scale of the default | chosen "
        "| TAR of the default | default - chosen | |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {seen(found):,.0f} times | {found['s']} | {found['of_train']} "
            f"| {summary(found)} |"
            for name, found in settings.items()
        ),
    ]
    for name, found in settings.items():
        lines += ["", f"## {name}", "", *table(found)]
    return "\n".join(lines) + "\n"


def seen(found: Mapping[str, Any]) -> float:
    """Return how often an identity was seen in a training."""
    return found["steps"] * found["batch"] / found["identities"]


def summary(found: Mapping[str, Any]) -> str:
    """Return what the default loses to the row that was chosen."""
    metric = found["table"]["metrics"][0]
    best = max(found["chosen"], key=found["chosen"].__getitem__)
    default = interval(metric["mean"][DEFAULT])
    if best == DEFAULT:
        return f"{best} | {default} | | "
    gap = metric["to_baseline"][best]
    value, low, high = (-gap["difference"][part] for part in ("value", "high", "low"))
    words = "" if low <= 0 <= high else "significant" if gap["decided"] else "not after correction"
    return f"{best} | {default} | {value:+.3f} ({low:+.3f} – {high:+.3f}) | {words}"


def finding(name: str, found: Mapping[str, Any]) -> StudyResult:
    """Return what `arcwise train` says of a data set like this."""
    gaps = found["table"]["metrics"][0]["to_baseline"]
    better = {
        label: gap["difference"]["value"]
        for label, gap in gaps.items()
        if gap["decided"] and gap["difference"]["value"] > 0
    }
    best = max(better, key=better.__getitem__, default="")
    return StudyResult(
        name.removesuffix(", pretrained").removesuffix(", 1,000 steps"),
        found["identities"],
        found["images"] / found["identities"],
        SETTINGS[name].pretrained,
        found["measured"],
        len(found["chosen"]),
        best,
        better.get(best, 0.0),
    )


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a row a variant."""
    metric = found["table"]["metrics"][0]
    yield (
        f"{found['images']:,} images of {found['identities']:,} identities trained on, "
        f"{found['choosing']:,} identities that choose, {found['measured']:,} that are measured; "
        f"{found['steps']} steps of {found['batch']} images; {found['minutes']:.0f} minutes of one "
        f"core in all, on {found['machine']}."
    )
    yield ""
    yield "| loss | that choose | measured | minus the default | p |"
    yield "|---|---|---|---|---|"
    for name in [one for one in VARIANTS if one in found["chosen"] or one in found["failed"]]:
        if name in found["failed"]:
            yield f"| {name} | diverged | | | |"
            continue
        cells = [f"{found['chosen'][name]:.3f}", interval(metric["mean"][name])]
        cells += difference_cells(metric, name)
        yield f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
