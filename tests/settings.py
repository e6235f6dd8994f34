"""Change a config in tests, by the last part of its fields' names."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from arcwise.training.config import TrainConfig

SECTIONS = ("encoder", "data", "optim", "run", "objective")


def changed(config: TrainConfig, **leaves: Any) -> TrainConfig:
    """Return the config with fields changed: `changed(config, steps=5, loss="cosface", m=0.3)`.

    `loss` settles which fields the objective has; `m` is its margin's.
    """
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    if "loss" in leaves:
        config = config.with_loss(leaves.pop("loss"))
    if "m" in leaves:
        sections["objective"]["margin"] = {"m": leaves.pop("m")}
    stages = {"stages": leaves.pop("stages")} if "stages" in leaves else {}
    for name in SECTIONS:
        sections[name] |= leaves.pop(name, {})
    for leaf, value in leaves.items():
        owner = next(
            name for name in SECTIONS if leaf in {one.name for one in fields(getattr(config, name))}
        )
        sections[owner][leaf] = value
    return config.replace(**{name: one for name, one in sections.items() if one} | stages)
