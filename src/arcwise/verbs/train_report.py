"""The page about a training run."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

from arcwise.evaluation import Threshold
from arcwise.margins import NormSoftmax
from arcwise.report import Facts, Number, Numbers, Plot, Section, Table, plots, write_report
from arcwise.report.sections import Cell
from arcwise.training import metrics
from arcwise.training.batches import stage_rows
from arcwise.training.config import TrainConfig
from arcwise.training.described_loss import described
from arcwise.training.losses import CentresConfig
from arcwise.training.section import flat
from arcwise.training.validation import Validation
from arcwise.verbs.run_folder import TrainResult

LISTED = 20
"""Unreadable images named before the rest is counted."""


def write_train_report(path: Path, result: TrainResult) -> Path:
    """Write who was trained on, how it went, and what the model's scores mean."""
    config, ended, parts = result.config, result.loop, result.parts
    rows = metrics.read(result.folder / "metrics.jsonl")
    sections: list[Section] = []
    if ended.best:
        sections.append(kept(ended.best, ended.best_step, rows))
    sections += curves(config, rows)
    sections.append(run(result))
    if learned := of_images(result):
        sections.append(Facts("What else the model says of an image", learned))
    if result.thresholds:
        sections.append(thresholds(result.thresholds))
    sections.append(Facts("Config", highlights(result), "The whole of it is in config.json."))
    if result.failures:
        sections.append(unreadable(result))
    summary = (
        f"{config.encoder.name} with {' then '.join(dict.fromkeys(_losses(config)))} on "
        f"{len(parts.train):,} images of {len(parts.train.classes):,} identities, "
        f"{ended.steps:,} steps."
    )
    return write_report(path, f"Training on {parts.train.name}", sections, summary)


def _losses(config: TrainConfig) -> list[str]:
    return [stage.objective.loss for _, stage in _stages(config)]


def _stages(config: TrainConfig) -> list[tuple[int, TrainConfig]]:
    """Return each stage, and the steps before it."""
    stages = [config.stage(number) for number in range(max(len(config.stages), 1))]
    begins = accumulate((stage.run.steps for stage in stages), initial=0)
    return list(zip(begins, stages, strict=False))


def kept(best: Validation, step: int, rows: list[dict[str, Any]]) -> Numbers:
    """How good the model is that was kept."""
    note = f"held-out identities, step {step}"
    items = [Number("recall@1, leave one out", _percent(best.recall_at_1), note)]
    if best.tar_resolved:
        items.append(Number("TAR at FAR 1 %", _percent(best.tar), note))
    chosen = "The best of several by the same identities: a little too good."
    if sum("recall_at_1" in row for row in rows) < 2:
        chosen = "Measured once, at the end."
    unresolved = ""
    if not best.tar_resolved:
        unresolved = (
            " They have too few pairs to state TAR at FAR 1 %, which has its part in the choice "
            "all the same."
        )
    further = " The command arcwise evaluate measures on others."
    return Numbers("The model kept", items, f"{chosen}{unresolved}{further}")


def curves(config: TrainConfig, rows: list[dict[str, Any]]) -> list[Section]:
    """The loss of each stage, and what was measured on held-out identities, by step."""
    found: list[Section] = []
    for number, (begins, stage) in enumerate(_stages(config)):
        ends = begins + stage.run.steps
        own = [row for row in rows if "loss" in row and begins < row["step"] <= ends]
        title = "Training"
        if config.stages:
            loss = stage.objective.loss
            title += f", stage {number + 1}: {loss}, steps {begins + 1:,} to {ends:,}"
        if own:
            found.append(Plot(title, plots.training(own, metrics=()), _why_it_rises(stage)))
    validated = [row for row in rows if "recall_at_1" in row]
    if any(not row.get("tar_resolved", True) for row in validated):
        validated = [{name: row[name] for name in ("step", "recall_at_1")} for row in validated]
    if validated:
        found.append(Plot("Held-out identities", plots.training(validated, losses=())))
    return found


def _why_it_rises(stage: TrainConfig) -> str:
    """Return when the margin grows, and the loss with it; empty where it does not."""
    first, last = (round(stage.run.steps * share) for share in _growth(stage))
    if first == last:
        return ""
    return (
        f"The margin grows from 0 to its full size in the steps {first:,} to {last:,} of the "
        "stage, so that the loss may rise though the model gets better."
    )


def _growth(stage: TrainConfig) -> tuple[float, float]:
    """Return the shares of the steps between which the margin grows."""
    objective = stage.objective
    if not isinstance(objective, CentresConfig) or isinstance(objective.margin, NormSoftmax):
        return 0.0, 0.0
    return objective.margin_from, max(objective.margin_from, objective.margin_full)


def of_images(result: TrainResult) -> list[tuple[str, Cell]]:
    """What the lengths and the qualities of the model say, by held-out images."""
    found: list[tuple[str, Cell]] = []
    if result.length is not None:
        found.append(("length", str(result.length)))
    if result.quality is not None:
        spread, warning = result.quality, result.quality.warning
        found.append(("quality", f"{spread}, held-out identities{'; ' * bool(warning)}{warning}"))
    return found


def run(result: TrainResult) -> Facts:
    """Who did what, and how long it took."""
    ended = result.loop
    uses = ("trained on", "chose the checkpoint", "set the thresholds")
    items: list[tuple[str, Cell]] = [("data", result.parts.train.name)]
    items += [
        (use, "nobody" if part is None else f"{len(part.classes)} identities, {len(part)} images")
        for use, part in zip(uses, result.parts, strict=True)
    ]
    items += [
        ("images that could not be read", len(result.failures)),
        ("time of the last start", f"{ended.seconds:.0f} s"),
        ("throughput", f"{ended.images_per_second:,.0f} images/s"),
        ("of the time waiting for images", _percent(ended.waiting)),
    ]
    return Facts("The run", items)


def highlights(result: TrainResult) -> list[tuple[str, Cell]]:
    """The fields of the config that readers ask for."""
    names = ("encoder.name", "encoder.dim", "encoder.size", "run.steps", "data.batch")
    names += ("optim.name", "optim.lr", "run.precision", "run.seed", "data.holdout")
    values = flat(result.config.as_dict())
    images, config = result.parts.train, result.config
    losses: list[tuple[str, Cell]] = []
    for number, (_, stage) in enumerate(_stages(config)):
        own = images.select(stage_rows(config, number, images)) if config.stages else images
        name = f"loss, stage {number + 1}" if config.stages else "loss"
        losses.append((name, described(stage, len(own.classes))))
    return [*losses, *((name, values[name]) for name in names)]


def thresholds(found: tuple[Threshold, ...]) -> Table:
    """One row a false-accept rate."""
    rows = [
        [
            f"{one.far:g}",
            f"{one.threshold:.4f}" if one.resolved else "not resolved: too few pairs",
            one.interval if one.resolved else "",
            _percent(one.tar) if one.resolved and one.tar is not None else "",
        ]
        for one in found
    ]
    header = ["false-accept rate", "similarity at least", "95 % interval", "mated pairs accepted"]
    pairs, identities = found[0].impostors, found[0].identities
    note = f"From {pairs:,} pairs of {identities:,} identities that were not trained on."
    return Table("Thresholds", header, rows, note)


def unreadable(result: TrainResult) -> Table:
    """The images that could not be read, and why."""
    rows = [[error.name, error.reason] for error in result.failures[:LISTED]]
    more = len(result.failures) - LISTED
    note = f"and {more} more" if more > 0 else ""
    return Table("Images that could not be read", ["image", "reason"], rows, note)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}\u202f%"
