"""What a comparison of losses found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arcwise.evaluation import RunComparison
from arcwise.verbs.compare_plan import Plan, Variant

METRICS = {"tar": "TAR", "recall_at_1": "recall@1", "eer": "EER"}
"""What the metrics of a comparison are called."""


@dataclass(frozen=True)
class TunedVariant:
    """A variant of a loss, and what it reached on the identities that choose.

    Attributes:
        variant: the loss with its margin and scale.
        tar: true-accept rate, mean over the seeds.
        chosen: whether it stands for its loss.
    """

    variant: Variant
    tar: float
    chosen: bool


@dataclass(frozen=True)
class ComparedLoss:
    """A loss in a comparison.

    Attributes:
        variant: the loss, with the margin and the scale that stand for it.
        described: what is trained, with every number.
        seconds: time of one training, mean over the seeds.
        memory: peak memory of its process, in bytes, the highest of the seeds; 0 if not known.
        failed: why it cannot be compared, the first seed's reason; empty if it can.
    """

    variant: Variant
    described: str
    seconds: float
    memory: int
    failed: str = ""


@dataclass(frozen=True)
class LossComparison:
    """Losses, compared.

    Attributes:
        folder: where everything is.
        data: name of the data set.
        plan: what was done.
        split: identities trained on, that chose margins and scales, and that were measured.
        losses: each loss, by its name.
        table: what was measured; the runs have the names of their losses.
        tuned: the variants that were tried; empty where nothing was varied.
        notes: what the user has to know.
        report: the page; None where matplotlib or jinja2 are missing.
    """

    folder: Path
    data: str
    plan: Plan
    split: tuple[int, int, int]
    losses: Mapping[str, ComparedLoss]
    table: RunComparison
    tuned: tuple[TunedVariant, ...]
    notes: tuple[str, ...] = ()
    report: Path | None = None

    @property
    def choice(self) -> str:
        """The name of the loss with the best mean, by the metric that decides."""
        return self.table.deciding.best

    @property
    def certainty(self) -> str:
        """How sure the choice is: whether it is significantly better than every other loss."""
        alike = [name for name in self.table.deciding.not_worse if name != self.choice]
        return "not certain" if alike else "certain"

    @property
    def reason(self) -> str:
        """Why it is the choice, in words."""
        deciding = self.table.deciding
        alike = [name for name in deciding.not_worse if name != self.choice]
        worse = [name for name in self.table.names if name not in (self.choice, *alike)]
        words = f"the highest mean {METRICS[deciding.metric]}"
        if worse:
            words += f", significantly better than {', '.join(worse)}"
        if alike:
            words += f"; with {self.table.identities} identities and {self.table.seeds} seeds no "
            words += f"significant difference to {', '.join(alike)}"
        return words


def as_dict(result: LossComparison) -> dict[str, Any]:
    """Return plain values for JSON."""
    trained, chose, measured = result.split
    return {
        "plan": asdict(result.plan),
        "identities": {"trained on": trained, "choosing": chose, "measured": measured},
        "losses": {
            name: {
                "label": one.variant.label,
                "described": one.described,
                "seconds": one.seconds,
                "memory": one.memory,
                "failed": one.failed,
            }
            for name, one in result.losses.items()
        },
        "table": result.table.as_dict(),
        "tuned": [
            {"label": one.variant.label, "tar": one.tar, "chosen": one.chosen}
            for one in result.tuned
        ],
        "choice": result.choice,
        "certainty": result.certainty,
        "reason": result.reason,
    }
