"""What a comparison trains: every loss, in every margin and scale that is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write
from arcwise.training.config import TrainConfig
from arcwise.training.losses import CentresConfig
from arcwise.training.section import flat

PLAN = "compare.json"


@dataclass(frozen=True)
class Variant:
    """A loss with its margin and scale.

    Attributes:
        loss: by name, as `--loss` takes it.
        margin: m, in the unit of the loss; None for the recipe's, or the paper's.
        scale: s; None for the recipe's.
    """

    loss: str
    margin: float | None = None
    scale: float | None = None

    @property
    def label(self) -> str:
        """The loss, and what of it was asked for: the name of a row and of a folder."""
        numbers = (("m", self.margin), ("s", self.scale))
        return " ".join(
            [self.loss, *(f"{name}={one:g}" for name, one in numbers if one is not None)]
        )

    @property
    def options(self) -> list[str]:
        """The words by which `arcwise train` trains it."""
        words = ["--loss", self.loss]
        for name, value in (("--margin", self.margin), ("--scale", self.scale)):
            words += [name, f"{value:g}"] if value is not None else []
        return words

    def config(self, config: TrainConfig) -> TrainConfig:
        """Return a config with this loss.

        Raises:
            ArcwiseError: an unknown loss, or a number that it cannot have.
        """
        config = config.with_loss(self.loss)
        changes: dict[str, Any] = {}
        if self.margin is not None:
            changes |= _margin(config, self.margin)
        if self.scale is not None:
            changes["scale"] = self.scale
        return config.replace(objective=changes) if changes else config


def variants(
    config: TrainConfig, losses: Sequence[str], margins: Sequence[float], scales: Sequence[float]
) -> dict[str, list[Variant]]:
    """Return the variants of each loss, by its name.

    A loss without a margin, or without a scale, has none of these to vary.

    Raises:
        ArcwiseError: a loss that is unknown or named twice, or a number that does not fit.
    """
    found: dict[str, list[Variant]] = {}
    for loss in losses:
        if loss in found:
            raise ArcwiseError(f"--losses: {loss} is named twice")
        objective = config.with_loss(loss).objective
        own_margins = margins if _margin_field(config.with_loss(loss)) else ()
        own_scales = scales if isinstance(objective, CentresConfig) else ()
        found[loss] = [
            Variant(loss, margin, scale)
            for scale in (own_scales or (None,))
            for margin in (own_margins or (None,))
        ]
        for one in found[loss]:
            one.config(config)
    return found


def _margin(config: TrainConfig, value: float) -> dict[str, Any]:
    place = _margin_field(config)
    if place is None:
        raise ArcwiseError(
            f"{config.objective.loss} has no single margin; expected a loss that has"
        )
    first, second = place
    return {first: {second: value}}


def _margin_field(config: TrainConfig) -> tuple[str, str] | None:
    """Return where a loss has its margin; None where it has none, or several numbers for it."""
    objective = config.objective
    if isinstance(objective, CentresConfig) and hasattr(objective.margin, "m"):
        return "margin", "m"
    for name, term in objective.terms().items():
        if any(one.name == "margin" for one in fields(term)):
            return name, "margin"
    return None


@dataclass(frozen=True)
class Plan:
    """What a comparison does; the same plan, the same table.

    Attributes:
        losses: names of losses.
        margins: that each loss is tried with; empty for its own.
        scales: that each loss is tried with; empty for the recipe's.
        baseline: the loss that the others are compared with.
        seeds: trainings of each loss.
        far: false-accept rate at which losses are compared.
        steps: of each training; 0 while the budget has not been turned into steps.
        data: fingerprints of what is trained on, what chooses and what is measured.
        config: what the trainings share.
    """

    losses: tuple[str, ...]
    margins: tuple[float, ...]
    scales: tuple[float, ...]
    baseline: str
    seeds: int
    far: float
    steps: int
    data: str
    config: Mapping[str, Any]


def agreed(plan: Plan, out: Path) -> Plan:
    """Return the plan of a folder, where one began, or this one.

    A plan whose steps are still to be found takes those of the folder.

    Raises:
        ArcwiseError: the folder has another plan, or something else.
    """
    path = out / PLAN
    if not path.exists():
        others = [one.name for one in out.iterdir()] if out.is_dir() else []
        if any(not name.startswith(".") for name in others):
            raise ArcwiseError(f"{out}: holds something that is no comparison; name another --out")
        return plan
    try:
        content = json.loads(path.read_bytes())
        known = Plan(**{name: _tuple(value) for name, value in content.items()})
    except (ValueError, TypeError) as problem:
        raise ArcwiseError(f"{path} is damaged ({problem}); name another --out") from None
    now, before = _flat(plan), _flat(known)
    steps = known.steps or plan.steps  # neither is 0 once the budget has been turned into steps
    if not plan.steps or not known.steps:
        now["steps"] = before["steps"] = steps
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if changed:
        name = changed[0]
        raise ArcwiseError(
            f"{out}: a comparison with {name} {before.get(name)}, got {now.get(name)}; name "
            "another --out"
        )
    return replace(known, steps=steps)


def write_plan(plan: Plan, out: Path) -> None:
    """Write the plan into the folder of its comparison."""
    with atomic_write(out / PLAN) as unfinished:
        unfinished.write_text(json.dumps(asdict(plan), indent=1) + "\n", encoding="utf-8")


def _flat(plan: Plan) -> dict[str, Any]:
    values = flat(json.loads(json.dumps(asdict(plan))))
    return {name: value for name, value in values.items() if value != []}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
