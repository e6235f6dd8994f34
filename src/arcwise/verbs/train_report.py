"""The page about a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arcwise.evaluation import Threshold
from arcwise.report import Facts, Number, Numbers, Plot, Section, Table, plots, write_report
from arcwise.report.sections import Cell
from arcwise.training import metrics
from arcwise.training.described_loss import described
from arcwise.training.section import flat
from arcwise.verbs.run_folder import TrainResult

LISTED = 20
"""Unreadable images named before the rest is counted."""


def write_train_report(path: Path, result: TrainResult) -> Path:
    """Write who was trained on, how it went, and what the model's scores mean."""
    config, ended, parts = result.config, result.loop, result.parts
    sections: list[Section] = []
    if ended.best:
        note = f"held-out identities, step {ended.best_step}"
        sections.append(
            Numbers(
                "The model kept",
                [
                    Number("recall@1, leave one out", _percent(ended.best.recall_at_1), note),
                    Number("TAR at FAR 1 %", _percent(ended.best.tar), note),
                ],
                "The best of several by the same identities: a little too good. The command "
                "arcwise evaluate measures on others.",
            )
        )
    sections += curves(metrics.read(result.folder / "metrics.jsonl"))
    sections.append(run(result))
    if result.thresholds:
        sections.append(thresholds(result.thresholds))
    sections.append(Facts("Config", highlights(result), "The whole of it is in config.json."))
    if result.failures:
        sections.append(unreadable(result))
    summary = (
        f"{config.encoder.name} with {config.objective.loss} on {len(parts.train):,} images of "
        f"{len(parts.train.classes):,} identities, {ended.steps:,} steps."
    )
    return write_report(path, f"Training on {parts.train.name}", sections, summary)


def curves(rows: list[dict[str, Any]]) -> list[Section]:
    """The loss, and what was measured on held-out identities, by step."""
    found: list[Section] = []
    if any("loss" in row for row in rows):
        found.append(Plot("Training", plots.training(rows, metrics=())))
    if any("tar" in row for row in rows):
        found.append(Plot("Held-out identities", plots.training(rows, losses=())))
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
    loss = described(result.config, len(result.parts.train.classes))
    return [("loss", loss), *((name, values[name]) for name in names)]


def thresholds(found: tuple[Threshold, ...]) -> Table:
    """One row a false-accept rate."""
    rows = [
        [
            f"{one.far:g}",
            f"{one.threshold:.4f}" if one.resolved else "not resolved: too few pairs",
            f"{one.low:.4f} – {one.high:.4f}" if one.resolved else "",
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
