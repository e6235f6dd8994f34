"""The first phase of a step: labelled samples, centres, and the logit of each sample's target.

The second phase, the log-sum-exp of the negatives, is in `arcwise.softmax.negatives`. The third,
loss and gradients, is in `arcwise.softmax.loss`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from arcwise.margins import Margin, State
from arcwise.sphere import TINY, unit


@dataclass(frozen=True)
class Target:
    """The target term of each of n samples, in float64.

    It is O(n·D) numbers and all that a pass reads of the target's centre, so it may also come from
    another process that owns this centre.

    Attributes:
        logit: (n,) s·ψ.
        psi: (n,) margin logit ψ of the target cosine.
        derivative: (n,) dψ/dcos.
        norm_derivative: (n,) dψ/d‖x‖, or None for 0.
        penalty: (n,) what the margin adds to the loss for a length, and its derivative, or None.
        row: (n,) row of the flat centres: the nearest sub-centre of the target class.
        length: (n,) of the embeddings.
        towards_centre: (n, D) tangent at the sample, w_y - cos·x.
        towards_sample: (n, D) tangent at the centre, x - cos·w_y.
    """

    logit: Tensor
    psi: Tensor
    derivative: Tensor
    norm_derivative: Tensor | None
    penalty: tuple[Tensor, Tensor] | None
    row: Tensor
    length: Tensor
    towards_centre: Tensor
    towards_sample: Tensor


@dataclass(frozen=True)
class Problem:
    """The n labelled rows of a batch, by ascending label, against C classes of K sub-centres.

    Attributes:
        x: (n, D) directions of the embeddings, float32 or float64: what the passes compute in.
        labels: (n,) ascending, on the device of `x`.
        host_labels: (n,) the same on the CPU, where reading them does not wait for a GPU.
        order: (n,) the row of the batch that each is.
        batch: N, rows of the batch, labelled or not.
        centres: (C·K, D) sub-centres of class c from row c·K on; any length, any float type.
        subcentres: K.
        margin: its `negatives` re-weights the cosines to the other classes.
        scale: s.
        state: the margin's running statistics in this step.
        offsets: (C,) added to a class's logit where it is a negative, or None.
        target: the target term.
        sampled: (C,) classes of the head that `centres` is a copy of, or None for all of them.
    """

    x: Tensor
    labels: Tensor
    host_labels: Tensor
    order: Tensor
    batch: int
    centres: Tensor
    subcentres: int
    margin: Margin
    scale: float
    state: State
    offsets: Tensor | None
    target: Target
    sampled: Tensor | None = None

    @property
    def classes(self) -> int:
        """C."""
        return len(self.centres) // self.subcentres

    @property
    def scale_per_sample(self) -> float:
        """s/n, by which every gradient of a logit's cosine is multiplied."""
        return self.scale / max(len(self.x), 1)

    def chunk_size(self, requested: int | None) -> int:
        """Classes at a time: as requested, else large products on chunks that fit the cache."""
        return requested or min(max(4 * len(self.x), 512), 4096)

    def chunks(self, size: int) -> Iterator[Chunk]:
        """All classes, `size` at a time."""
        starts = range(0, self.classes, size)
        edges = torch.tensor([*starts, self.classes])
        bounds = torch.searchsorted(self.host_labels, edges).tolist()
        for i, start in enumerate(starts):
            end = min(start + size, self.classes)
            yield Chunk(start, end, slice(bounds[i], bounds[i + 1]), self.subcentres)


@dataclass(frozen=True)
class Chunk:
    """Classes start to end - 1, and the samples whose target is among them."""

    start: int
    end: int
    samples: slice
    subcentres: int

    @property
    def rows(self) -> slice:
        """Their rows of the flat centres."""
        return slice(self.start * self.subcentres, self.end * self.subcentres)

    @property
    def width(self) -> int:
        """R, how many rows these are."""
        return (self.end - self.start) * self.subcentres


@torch.no_grad()
def prepare(
    embeddings: Tensor,
    centres: Tensor,
    labels: Tensor,
    margin: Margin,
    scale: float,
    state: State,
    offsets: Tensor | None = None,
    *,
    observe: bool = False,
    sampled: Tensor | None = None,
) -> Problem:
    """Return the problem of (N, D) embeddings, (C, D) or (C, K, D) centres and (N,) labels.

    Target cosine and margin logit are computed here, in float64, once per sample: an error in them
    would be multiplied by s.

    Labels are read on the CPU. Labels that are there make no step wait for a GPU. Labels on a GPU
    are copied once, which waits for its earlier work.

    With `observe` the margin's statistics move on with this batch, and the problem's state is the
    one they reach.
    """
    device = embeddings.device
    labels = labels.cpu()
    labelled = torch.nonzero(labels >= 0).squeeze(1)
    labels = labels[labelled]
    by_label = torch.argsort(labels, stable=True)
    host_labels = labels[by_label]
    rows, labels, order = (
        part.to(device, non_blocking=True) for part in (labelled, labels, by_label)
    )

    flat = centres.detach().reshape(-1, centres.shape[-1])
    subcentres = centres.shape[1] if centres.ndim == 3 else 1
    dtype = torch.promote_types(torch.promote_types(embeddings.dtype, centres.dtype), torch.float32)
    x, length = _directions(embeddings[rows])
    w, row = _target_centres(x, flat, labels, subcentres)
    cos = torch.linalg.vecdot(x, w)
    if observe:
        state = margin.observe(cos, length, state)
    psi, derivative, norm_derivative = margin.target(cos, length, state)
    penalty = margin.penalty(length)

    def arranged(values: Tensor) -> Tensor:
        return values.expand(len(order)).double()[order]

    target = Target(
        logit=arranged(scale * psi),
        psi=arranged(psi),
        derivative=arranged(derivative),
        norm_derivative=None if norm_derivative is None else arranged(norm_derivative),
        penalty=penalty and (arranged(penalty[0]), arranged(penalty[1])),
        row=row[order],
        length=length[order],
        towards_centre=torch.addcmul(w, cos[:, None], x, value=-1).to(dtype)[order],
        towards_sample=torch.addcmul(x, cos[:, None], w, value=-1).to(dtype)[order],
    )
    return Problem(
        x=x.to(dtype)[order],
        labels=labels[order],
        host_labels=host_labels,
        order=rows[order],
        batch=len(embeddings),
        centres=flat,
        subcentres=subcentres,
        margin=margin,
        scale=scale,
        state=state,
        offsets=offsets,
        target=target,
        sampled=sampled,
    )


def _target_centres(
    x: Tensor, flat: Tensor, labels: Tensor, subcentres: int
) -> tuple[Tensor, Tensor]:
    """(n, D) directions of the nearest of each target's sub-centres, and their rows, (n,)."""
    first = labels * subcentres
    if subcentres == 1:
        return _directions(flat[first])[0], first
    rows = first[:, None] + torch.arange(subcentres, device=first.device)
    w = _directions(flat[rows.flatten()])[0].view(*rows.shape, flat.shape[1])
    nearest = torch.einsum("nd,nkd->nk", x, w).argmax(1)
    each = torch.arange(len(first), device=first.device)
    return w[each, nearest], rows[each, nearest]


def _directions(rows: Tensor) -> tuple[Tensor, Tensor]:
    """What `unit` gives, in float64: no square of a float32 number is out of its range."""
    if rows.dtype == torch.float64:
        return unit(rows)
    rows = rows.double()
    length = torch.linalg.vector_norm(rows, dim=1)
    nonzero = length > TINY
    rows /= torch.where(nonzero, length, torch.inf)[:, None]
    return rows, torch.where(nonzero, length, 0.0)
