"""What a training step minimises, and a weighted sum of such objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from arcwise.encoders.interface import EncoderOutput
from arcwise.errors import ArcwiseError


@dataclass(frozen=True)
class Batch:
    """The samples of a training step.

    Attributes:
        images: (N, 3, H, W), the encoder's input.
        labels: (N,) int64 in 0..C-1, or -1 for a sample without an identity.
        columns: (N,) for each column of the data set that the objective asks for: float32 numbers,
            NaN where missing, or the int64 codes of categories, -1 where missing.
        places: (N,) int64, where each stood in the batch as the sampler planned it, some of whose
            images may not be readable; None where all are there, in that order.
    """

    images: Tensor
    labels: Tensor
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    places: Tensor | None = None


class Objective(Protocol):
    """What a training step knows of a loss. An objective is a `torch.nn.Module` too.

    Attributes:
        columns: names of the data set's columns that `loss` reads from the batch, in addition to
            images and labels.
    """

    columns: tuple[str, ...]

    def loss(self, output: EncoderOutput, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the scalar loss of a batch, and detached scalars for the log by name."""
        ...

    def set_margin_scale(self, margin_scale: float) -> None:
        """Set the fraction of the margin in force, 0 to 1; no effect where there is no margin."""
        ...


class WeightedSum(nn.Module):
    """The weighted sum of several objectives, which is an objective.

    The metrics are those of the terms, named ``<term>/<metric>``, and ``<term>/loss`` for each
    term's own loss, before its weight.

    Attributes:
        columns: those of all terms.
        terms: the objectives by name.
        weights: by the term's name.
    """

    def __init__(self, terms: Mapping[str, tuple[Objective, float]]) -> None:
        """Make the sum of these terms: an objective and its weight by name.

        Raises:
            ArcwiseError: no terms, an objective that is no module, or a weight that is negative or
                not finite.
        """
        super().__init__()
        if not terms:
            raise ArcwiseError("WeightedSum: got no terms; expected at least one")
        modules: dict[str, nn.Module] = {}
        for name, (objective, weight) in terms.items():
            if not isinstance(objective, nn.Module):
                raise ArcwiseError(
                    f"WeightedSum: got {type(objective).__name__} for {name!r}; expected an "
                    "objective that is a torch.nn.Module"
                )
            if not 0 <= weight < math.inf:
                raise ArcwiseError(
                    f"WeightedSum: got the weight {weight!r} for {name!r}; expected 0 or more"
                )
            modules[name] = objective
        self.terms: Mapping[str, Objective] = nn.ModuleDict(modules)  # type: ignore[assignment]
        self.weights = {name: weight for name, (_, weight) in terms.items()}
        columns = (name for objective, _ in terms.values() for name in objective.columns)
        self.columns = tuple(dict.fromkeys(columns))

    def loss(self, output: EncoderOutput, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return Σ weight · loss over the terms, and the metrics of all terms."""
        total = output.embedding.new_zeros(())
        metrics: dict[str, Tensor] = {}
        for name, objective in self.terms.items():
            loss, values = objective.loss(output, batch)
            total = total + self.weights[name] * loss
            metrics[f"{name}/loss"] = loss.detach()
            metrics |= {f"{name}/{metric}": value for metric, value in values.items()}
        return total, metrics

    def set_margin_scale(self, margin_scale: float) -> None:
        """Set the fraction of the margin in force in every term."""
        for objective in self.terms.values():
            objective.set_margin_scale(margin_scale)
