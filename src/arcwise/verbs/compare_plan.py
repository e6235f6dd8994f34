"""What a comparison trains: every loss, with each of the margins and scales to be tried."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write
from arcwise.training.config import TrainConfig
from arcwise.training.losses import places_of
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
        """The loss with the numbers that are varied: the name of a row and of a folder."""
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
        for name, value in (("margin", self.margin), ("scale", self.scale)):
            if value is not None:
                (place,) = places_of(config.objective, name)
                changes: Any = value
                for part in reversed(place.split(".")):
                    changes = {part: changes}
                config = config.replace(objective=changes)
        return config


def variants(
    config: TrainConfig, losses: Sequence[str], margins: Sequence[float], scales: Sequence[float]
) -> dict[str, list[Variant]]:
    """Return the variants of each loss, by its name.

    A loss varies in the margin, and in the scale, where it has a single number for it.

    Raises:
        ArcwiseError: a loss that is unknown or named twice, or a number that does not fit.
    """
    if 0 in scales:
        raise ArcwiseError(
            "--scales: got 0, which leaves the scale to the recipe; expected numbers above 0"
        )
    found: dict[str, list[Variant]] = {}
    for loss in losses:
        if loss in found:
            raise ArcwiseError(f"--losses: {loss} is named twice")
        objective = config.with_loss(loss).objective
        one_margin, one_scale = (len(places_of(objective, n)) == 1 for n in ("margin", "scale"))
        found[loss] = [
            Variant(loss, margin, scale)
            for scale in ((one_scale and scales) or (None,))
            for margin in ((one_margin and margins) or (None,))
        ]
        for one in found[loss]:
            one.config(config)
    return found


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
