"""What one step asks of a softmax over centres, and what its target classes pay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from arcwise.margins import Margin, State
from arcwise.sphere import TINY, unit


@dataclass(frozen=True)
class Target:
    """What the target class of each of n samples pays, in float64: it is O(n·D), and all there is.

    Attributes:
        logit: (n,) s·ψ.
        value: (n,) ψ.
        slope: (n,) dψ/dcos.
        norm_slope: (n,) dψ/d‖x‖, or None for 0.
        penalty: (n,) what the margin adds to the loss for a length, and its slope, or None.
        row: (n,) the centre meant, a row of the flat centres.
        length: (n,) of the embeddings.
        towards_centre: (n, D) tangent at the sample, w_y - cos·x.
        towards_sample: (n, D) tangent at the centre, x - cos·w_y.
    """

    logit: Tensor
    value: Tensor
    slope: Tensor
    norm_slope: Tensor | None
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
        labels: (n,) ascending.
        order: (n,) the row of the batch that each is.
        batch: N, rows of the batch, labelled or not.
        centres: (C·K, D) sub-centres of class c from row c·K on; any length, any float type.
        subcentres: K.
        margin: whose `others` says what the other classes pay.
        scale: s.
        state: the margin's running statistics in this step.
        offsets: (C,) added to a class's logit where it is not the target, or None.
        target: what the targets pay.
    """

    x: Tensor
    labels: Tensor
    order: Tensor
    batch: int
    centres: Tensor
    subcentres: int
    margin: Margin
    scale: float
    state: State
    offsets: Tensor | None
    target: Target

    @property
    def classes(self) -> int:
        """C."""
        return len(self.centres) // self.subcentres

    def chunk(self, asked: int | None) -> int:
        """Classes at a time: as asked, else so many that products are large and chunks in cache."""
        return asked or min(max(4 * len(self.x), 512), 4096)

    def chunks(self, size: int) -> Iterator[Chunk]:
        """All classes, `size` at a time."""
        starts = range(0, self.classes, size)
        edges = torch.tensor([*starts, self.classes], device=self.labels.device)
        bounds = torch.searchsorted(self.labels, edges).tolist()
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
) -> Problem:
    """The problem of (N, D) embeddings, (C, D) or (C, K, D) centres and (N,) labels.

    Target cosine and margin are computed here, in float64, once per sample: an error in them would
    be multiplied by s.

    With `observe` the margin's statistics move on with this batch, and the problem's state is the
    one they reach.
    """
    with torch.no_grad():
        flat = centres.detach().reshape(-1, centres.shape[-1])
        subcentres = centres.shape[1] if centres.ndim == 3 else 1
        dtype = torch.promote_types(
            torch.promote_types(embeddings.dtype, centres.dtype), torch.float32
        )
        kept = torch.nonzero(labels >= 0).squeeze(1)
        labels = labels[kept]
        x, length = _directions(embeddings[kept])
        w, row = _meant(x, flat, labels, subcentres)
        cos = torch.linalg.vecdot(x, w)
        if observe:
            state = margin.observe(cos, length, state)
        value, slope, norm_slope = margin.target(cos, length, state)
        order = torch.argsort(labels, stable=True)

        def arranged(values: Tensor) -> Tensor:
            return values.expand(len(order)).double()[order]

        penalty = margin.penalty(length)
        target = Target(
            logit=arranged(scale * value),
            value=arranged(value),
            slope=arranged(slope),
            norm_slope=None if norm_slope is None else arranged(norm_slope),
            penalty=penalty and (arranged(penalty[0]), arranged(penalty[1])),
            row=row[order],
            length=length[order],
            towards_centre=torch.addcmul(w, cos[:, None], x, value=-1).to(dtype)[order],
            towards_sample=torch.addcmul(x, cos[:, None], w, value=-1).to(dtype)[order],
        )
        return Problem(
            x=x.to(dtype)[order],
            labels=labels[order],
            order=kept[order],
            batch=len(embeddings),
            centres=flat,
            subcentres=subcentres,
            margin=margin,
            scale=scale,
            state=state,
            offsets=offsets,
            target=target,
        )


def _meant(x: Tensor, flat: Tensor, labels: Tensor, subcentres: int) -> tuple[Tensor, Tensor]:
    """(n, D) directions of the nearest of each target's sub-centres, and their rows, (n,)."""
    first = labels * subcentres
    if subcentres == 1:
        return _directions(flat[first])[0], first
    rows = first[:, None] + torch.arange(subcentres, device=first.device)
    w = _directions(flat[rows.flatten()])[0].view(*rows.shape, flat.shape[1])
    best = torch.einsum("nd,nkd->nk", x, w).argmax(1)
    each = torch.arange(len(first), device=first.device)
    return w[each, best], rows[each, best]


def _directions(rows: Tensor) -> tuple[Tensor, Tensor]:
    """What `unit` gives, in float64: no square of a float32 number is out of its range."""
    if rows.dtype == torch.float64:
        return unit(rows)
    rows = rows.double()
    length = torch.linalg.vector_norm(rows, dim=1)
    alive = length > TINY
    rows /= torch.where(alive, length, torch.inf)[:, None]
    return rows, torch.where(alive, length, 0.0)
