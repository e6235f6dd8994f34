"""The length of an embedding tells a number, such as the age; the direction is left to identity."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from arcwise.data.column_values import impossible_in_words
from arcwise.data.manifest import Manifest
from arcwise.data.training_columns import training_columns
from arcwise.encoders.interface import EncoderOutput
from arcwise.errors import ArcwiseError
from arcwise.objectives.objective import Batch
from arcwise.sphere import TINY, unit, wide

SPREAD = 0.2
"""Standard deviation of the lengths that is asked for, as a share of their mean."""

_SLOWEST = 0.05
"""Weight of a batch in the mean length; of the first batches, 1 over their number."""


class LengthRegression(nn.Module):
    """L_age of OE-CNN (Wang et al., ECCV 2018, arXiv 1810.07599).

    x = ‖x‖ · x/‖x‖: the length r tells a number z of the image, a loss over directions tells the
    identity. This one is ½ (f(r) - z)², averaged over the samples whose number is known. z is
    standardised by mean and standard deviation of the training data, and f(r) = (r/m - 1) / 0.2
    with the running mean m of the lengths.

    That is the paper's line k r + b with k = 1/(0.2 m) and b = -5; the encoder, free to choose its
    lengths, is fitted to it. A k that is learnt as well goes to the correlation of r and z, near 0
    at first, and the gradient by x goes with it.

    The gradient by x points along x, and that of a loss over directions is orthogonal to x: the two
    never meet in the embedding. m is a constant to the gradient.

    Attributes:
        columns: the column that is read.
        mean: of the column, a buffer.
        std: of the column, a buffer.
        length_mean: m, a buffer that follows the batches in training mode.
        batches: how many moved it.
    """

    mean: Tensor
    std: Tensor
    length_mean: Tensor
    batches: Tensor

    def __init__(self, column: str, mean: float, std: float) -> None:
        """Make the term for a column of this mean and standard deviation.

        Raises:
            ArcwiseError: they are not finite, or the standard deviation is not over 0.
        """
        super().__init__()
        if not (np.isfinite(mean) and np.isfinite(std) and std > 0):
            raise ArcwiseError(
                f"LengthRegression: got mean={mean!r}, std={std!r} of {column!r}; expected finite "
                "numbers, and std over 0"
            )
        self.columns: tuple[str, ...] = (column,)
        for name, value in (("mean", mean), ("std", std), ("length_mean", 0.0)):
            self.register_buffer(name, torch.tensor(float(value), dtype=torch.float64))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def loss(self, output: EncoderOutput, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean over the samples whose number is known, 0 where none is.

        The metrics are the mean length, and the correlation of lengths and numbers in the batch.
        """
        lengths = unit(output.embedding.double())[1]
        if self.training:
            self._follow(lengths.detach())
        z = (batch.columns[self.columns[0]].double() - self.mean) / self.std
        known = z.isfinite()
        r, z = lengths[known], z[known]
        m = torch.where(self.length_mean > TINY, self.length_mean, 1.0)
        residual = (r / m - 1) / SPREAD - z
        loss = 0.5 * residual.square().sum() / max(len(r), 1)
        metrics = {"length": lengths.detach().mean(), "correlation": _correlation(r.detach(), z)}
        return loss.to(wide(output.embedding).dtype), metrics

    def set_margin_scale(self, margin_scale: float) -> None:
        """Have no effect: there is no margin."""

    @torch.no_grad()
    def _follow(self, lengths: Tensor) -> None:
        """Move the running mean towards that of this batch."""
        if len(lengths):
            self.batches += 1
            weight = (1 / self.batches.double()).clamp_min(_SLOWEST)
            self.length_mean.lerp_(lengths.mean(), weight)


def _correlation(lengths: Tensor, numbers: Tensor) -> Tensor:
    """Return Pearson's correlation, 0 where either is constant."""
    r, z = (one - one.mean() if len(one) else one for one in (lengths, numbers))
    scale = (r.square().sum() * z.square().sum()).sqrt()
    return torch.where(scale > 0, (r * z).sum() / scale, 0.0)


def standardisation(column: str, images: Manifest) -> tuple[float, float]:
    """Return mean and standard deviation of a column that lengths are to tell.

    Args:
        column: its name.
        images: what is trained on.

    Raises:
        ArcwiseError: there is no such column, or it holds no numbers, one that cannot be (an
            infinite one; an `age` that is negative or beyond 150), or the same number
            everywhere.
    """
    data = images.name
    if column not in images.table.column_names:
        raise ArcwiseError(
            f"{data}: no column {column!r} for the length of an embedding to tell among "
            f"{', '.join(images.table.column_names)}; name one of numbers: "
            "--objective.length.column"
        )
    values = training_columns(images, [column]).values[column]
    if values.dtype.kind != "f":
        raise ArcwiseError(
            f"{data}: the column {column!r} holds text; expected numbers, which the length of an "
            "embedding is to tell (--objective.length.column names another)"
        )
    if problem := impossible_in_words(column, values):
        raise ArcwiseError(f"{data}: {problem}")
    known = values[~np.isnan(values)].astype(np.float64)
    if len(np.unique(known)) < 2:
        got = f"{known[0]:g} in every row" if len(known) else "no number in any row"
        raise ArcwiseError(
            f"{data}: the column {column!r} holds {got}; expected at least two different numbers "
            "for the length of an embedding to tell"
        )
    return float(known.mean()), float(known.std())
