"""The classes that those of the batch are confused with: DP-softmax's dominant prototypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import faiss
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from arcwise.errors import ArcwiseError
from arcwise.heads.selection import Chosen

EXACT = 20_000
"""Classes up to which neighbours are found exactly; above, by an inverted file."""

PROBED = 16
"""Lists of the inverted file that are searched for each class."""

ROUNDS = 5
"""Of k-means, which makes the lists: they need not be good ones."""

BLOCK = 8192
"""Classes whose neighbours are looked for at a time."""


class Dominant(nn.Module):
    """The classes of the batch, and those that dominate their softmax (arXiv 1806.03018).

    Each class y has two queues of other classes. The candidates are its nearest neighbours among
    the centres. The dominant queue is a part of them, at first the nearest. Whenever a sample of y
    is nearest to another class of the step that is a candidate and not dominant yet, this class is
    put first in the dominant queue and the last one leaves it.

    A step takes the classes of the batch and their dominant ones, so its cost depends on the batch
    and the queues, not on the number of classes. A class that takes no part is left as it is, bit
    for bit. A head keeps the centres in host memory and brings in the rows of the step.

    The queues follow a third-party re-implementation, yizt/keras-lbl-IvS, as the paper's text could
    not be read. It never looks for neighbours again. Here that is done every `refresh` steps: the
    dominant classes that were put in since then stay first, as far as they are still candidates.

    Attributes:
        candidates: (C, K) int32, -1 where there are no more: the candidates, which begin with
            the dominant queue as it was after the last refresh.
        dominant: (C, Q) int32, -1 where there are no more.
        steps: how many steps it was updated after.
        refreshed: after how many of them the neighbours were found; -1 for never.
        active: most classes of a step, unless the batch has more; None for no limit.
        refresh_every: steps between two searches for neighbours.
        ceiling: cosine above which another class is no candidate, as it is probably the same
            identity under a second label.
    """

    candidates: Tensor
    dominant: Tensor
    steps: Tensor
    refreshed: Tensor

    def __init__(
        self,
        classes: int,
        *,
        active: int | None = None,
        candidates: int = 300,
        queue: int = 100,
        refresh: int = 1000,
        ceiling: float = 1.0,
    ) -> None:
        super().__init__()
        if active is not None and active < 2:
            raise ArcwiseError(f"Dominant: got active={active!r}; expected at least 2 classes")
        if not 1 <= queue <= candidates:
            raise ArcwiseError(
                f"Dominant: got queue={queue!r} of candidates={candidates!r}; expected at least 1, "
                "and at most as many as the candidates"
            )
        if refresh < 1:
            raise ArcwiseError(f"Dominant: got refresh={refresh!r}; expected at least 1 step")
        if not 0 < ceiling <= 1:
            raise ArcwiseError(f"Dominant: got ceiling={ceiling!r}; expected over 0, at most 1")
        self.active, self.refresh_every, self.ceiling = active, refresh, ceiling
        found = max(min(candidates, classes - 1), 1)
        for name, width in (("candidates", found), ("dominant", min(queue, found))):
            self.register_buffer(name, torch.full((classes, width), -1, dtype=torch.int32))
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("refreshed", torch.tensor(-1))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Leave the queues in host memory, wherever the head goes."""
        return self

    @property
    def due(self) -> bool:
        """Whether the next step begins with a search for neighbours."""
        passed = int(self.steps - self.refreshed)
        return int(self.refreshed) < 0 or passed >= self.refresh_every

    @property
    def drawn(self) -> np.ndarray:
        """(C, Q) int32: the dominant queues after the last refresh, from which batches are drawn.

        They stay until the next one, so that batches are known ahead.
        """
        return self.candidates[:, : self.dominant.shape[1]].numpy()

    def select(self, labels: Tensor, centres: Tensor) -> Chosen:
        """Return the batch's classes and their dominant ones, the first of every queue first."""
        if self.due:
            self.refresh(centres)
        host = labels.cpu()
        positives = host[host >= 0].unique()
        if self.active is not None and self.active >= len(centres):
            taken = torch.arange(len(centres))
        else:
            ranked = self.dominant[positives].T.flatten().numpy()
            ranked = ranked[(ranked >= 0) & ~np.isin(ranked, positives.numpy())]
            others, first = np.unique(ranked, return_index=True)
            others = others[np.argsort(first)]
            if self.active is not None:
                others = others[: max(self.active - len(positives), 0)]
            taken = torch.cat([positives, torch.from_numpy(others.astype(np.int64))]).sort().values
        places = torch.searchsorted(taken, host.clamp_min(0))
        places = torch.where(host >= 0, places, -1)
        return Chosen(taken.to(labels.device), places.to(labels.device), None)

    @torch.no_grad()
    def update(self, chosen: Chosen, embeddings: Tensor, centres: Tensor) -> dict[str, float]:
        """Put the classes that samples were taken for into dominant queues.

        Args:
            chosen: the classes of the step.
            embeddings: (N, D).
            centres: (S, D), theirs.

        Returns:
            How many were put in, as ``dominant_new``.
        """
        self.steps += 1
        directions = functional.normalize(centres.detach().float())
        x = embeddings.detach().float()  # its length does not matter to which is nearest
        nearest = torch.cat([(part @ directions.T).argmax(1) for part in x.split(256)])
        wrong = (chosen.labels >= 0) & (nearest != chosen.labels) & x.isfinite().all(1)
        own, taken_for = (
            chosen.classes[places[wrong]].cpu().numpy() for places in (chosen.labels, nearest)
        )
        candidates, dominant = self.candidates.numpy(), self.dominant.numpy()
        new = 0
        for y, other in zip(own, taken_for, strict=True):
            if other in candidates[y] and other not in dominant[y]:
                dominant[y, 1:] = dominant[y, :-1].copy()
                dominant[y, 0] = other
                new += 1
        return {"dominant_new": float(new)}

    @torch.no_grad()
    def refresh(self, centres: Tensor) -> None:
        """Find the candidates of every class anew among (C, D) centres, and with them its queue."""
        width, queue = self.candidates.shape[1], self.dominant.shape[1]
        candidates, dominant = self.candidates.numpy(), self.dominant.numpy()
        index = _index(centres)
        for start in range(0, len(centres), BLOCK):
            block = slice(start, min(start + BLOCK, len(centres)))
            cosines, found = index.search(_directions(centres[block]), width + 1)
            own = np.arange(block.start, block.stop)[:, None]
            usable = (found >= 0) & (found != own) & (cosines <= self.ceiling + 1e-6)
            near = _first(np.where(usable, found, -1), width)
            candidates[block] = _ordered(near, candidates[block, :queue], dominant[block])
            dominant[block] = candidates[block, :queue]
        self.refreshed.copy_(self.steps)


def _index(centres: Tensor) -> faiss.Index:
    """Return an index of all centres' directions, for the largest cosines."""
    classes, dim = centres.shape
    if classes <= EXACT:
        index = faiss.IndexFlatIP(dim)
    else:
        lists = round(4 * classes**0.5)
        index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(dim), dim, lists, faiss.ScalarQuantizer.QT_fp16,
            faiss.METRIC_INNER_PRODUCT,
        )  # fmt: skip
        index.nprobe = PROBED
        index.cp.niter = ROUNDS
        step = max(classes // (40 * lists), 1)
        index.train(_directions(centres[::step]))
    for part in centres.split(BLOCK):
        index.add(_directions(part))
    return index


def _directions(rows: Tensor) -> np.ndarray:
    return functional.normalize(rows.detach().float()).cpu().numpy()


def _first(found: np.ndarray, width: int) -> np.ndarray:
    """Return (B, width): the first entries of every row that are not -1, then -1."""
    order = np.argsort(found < 0, axis=1, kind="stable")[:, :width]
    return np.take_along_axis(found, order, 1).astype(np.int32)


def _ordered(near: np.ndarray, before: np.ndarray, dominant: np.ndarray) -> np.ndarray:
    """Return new candidates, first those that were put into the dominant queue and stay.

    Args:
        near: (B, K) the new candidates, the nearest first.
        before: (B, Q) the dominant queue after the last refresh.
        dominant: (B, Q) the same now.
    """
    near = near.copy()
    for row in np.flatnonzero((before != dominant).any(1)):
        new = dominant[row][~np.isin(dominant[row], before[row])]
        stays = new[np.isin(new, near[row])]
        near[row] = np.concatenate([stays, near[row][~np.isin(near[row], stays)]])
    return near
