"""Class centres on the sphere, and how sharp the softmax over them is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from arcwise.errors import ArcwiseError
from arcwise.heads.dominant import Dominant
from arcwise.heads.host_memory import host_zeros
from arcwise.heads.optimiser import CentreSGD
from arcwise.heads.selection import All, Selection
from arcwise.margins import Margin
from arcwise.softmax.dense import dense
from arcwise.softmax.flow import differentiable
from arcwise.softmax.function import (
    Implementation,
    check_margin,
    checked_labels,
    implementation,
)
from arcwise.softmax.problem import Problem, prepare
from arcwise.softmax.workspace import Workspace


class CentreHead(nn.Module):
    """One centre a class, or K, and the margin softmax of embeddings over them.

    Attributes:
        centres: (C, D) parameter, or (C, K, D); only its rows' directions count. Initialised
            N(0, 0.01²) as in ArcFace (arXiv 1801.07698, section 3.1), in any length: the start is
            90° ± 1/√D rad. With a `Dominant` selection they stay in host memory.
        margin: the margin of the target. Its running statistics are buffers of this module.
        scale: s.
        selection: which classes take part in a step.
        impl: how the softmax is computed, as for `arcwise.margin_softmax`.
        of_classes: what the margin needs of every class, made from the (C,) images of each in
            `sizes`; empty for most margins, and without sizes.
        centre_optimiser: the `CentreSGD` that moves the centres, or None for another optimiser.
        metrics: of the last loss: the error of its gradients, where it is more than rounding, and
            how many negatives of a sample the margin re-weighted, where it does.
    """

    def __init__(
        self,
        classes: int,
        dim: int,
        *,
        margin: Margin,
        scale: float = 64.0,
        selection: Selection | None = None,
        subcentres: int = 1,
        impl: Implementation = "auto",
        sizes: Tensor | None = None,
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ArcwiseError(f"CentreHead: got {classes} classes; a softmax needs at least 2")
        check_margin("CentreHead", margin, scale)
        if subcentres < 1:
            raise ArcwiseError(f"CentreHead: got subcentres={subcentres!r}; expected at least 1")
        self.margin = margin
        self.scale = scale
        self.selection = selection or All()
        if isinstance(self.selection, type) or not hasattr(self.selection, "select"):
            raise ArcwiseError(
                f"CentreHead: got selection={selection!r}; expected All() or, say, Sampled(0.1)"
            )
        shape = (classes, dim) if subcentres == 1 else (classes, subcentres, dim)
        queues = self.selection.dominant if isinstance(self.selection, Dominant) else None
        if queues is not None and (subcentres > 1 or len(queues) != classes):
            raise ArcwiseError(
                f"CentreHead: got {classes} classes of {subcentres} sub-centres with the queues of "
                f"{len(queues)}; expected Dominant({classes}) and subcentres=1"
            )
        implementation(impl, torch.device("cpu"))  # refuses what is none
        self.impl = impl
        self.metrics: Mapping[str, float | Tensor] = {}
        self.centres = nn.Parameter(torch.empty(shape) if queues is None else host_zeros(shape))
        nn.init.normal_(self.centres, std=0.01)
        self.statistics = nn.Module()
        for name, value in margin.initial().items():
            self.statistics.register_buffer(name, value)
        # Of the data, which a resumed run has again: no part of a checkpoint.
        self.of_classes = nn.Module()
        for name, value in ({} if sizes is None else margin.of_classes(sizes)).items():
            self.of_classes.register_buffer(name, value, persistent=False)
        self.centre_optimiser: CentreSGD | None = None
        self._workspace = Workspace()

    def loss(self, embeddings: Tensor, labels: Tensor, margin_scale: float = 1.0) -> Tensor:
        """Return the scalar loss of (N, D) embeddings with (N,) int64 labels.

        Args:
            embeddings: (N, D), not normalised.
            labels: (N,) in 0..C-1, or -1 for none. They may stay on the CPU, where reading them
                waits for no GPU.
            margin_scale: fraction of the margin in force, 0 to 1, for margin warm-up.

        Raises:
            ArcwiseError: shapes or labels that do not fit; or classes are sampled and no
                `CentreSGD` updates the centres: any other optimiser would move all of them.
        """
        labels = checked_labels(embeddings, self.centres, labels)
        own = {
            name: values[labels[labels >= 0].to(values.device)]
            for name, values in self.of_classes.named_buffers()
        }
        learning = torch.is_grad_enabled() and self.centres.requires_grad
        centres, chosen, sampled, offsets = self.centres, None, None, None
        if learning:
            on_device = labels.to(centres.device, non_blocking=True)
            chosen = self.selection.select(on_device, centres)
            if chosen is not None:
                labels, sampled, offsets = chosen.labels, chosen.classes, chosen.offsets
                centres = centres.detach()[sampled]
        centres = centres.to(embeddings.device)  # from host memory
        self._check_optimiser(sampled is not None)
        # Copies: a later step moves the buffers, maybe before this one's backward pass.
        state = {name: buffer.clone() for name, buffer in self.statistics.named_buffers()} | own
        margin = self.margin if margin_scale == 1.0 else self.margin.scaled(margin_scale)
        problem = prepare(
            embeddings, centres, labels, margin, self.scale, state, offsets,
            observe=self.training, sampled=sampled,
        )  # fmt: skip
        if self.impl == "dense":
            loss = dense(embeddings, centres, labels, margin, self.scale, problem.state, offsets)
        else:
            loss, ctx = differentiable(
                implementation(self.impl, self.centres.device), problem, embeddings, self.centres,
                workspace=self._workspace, optimiser=self.centre_optimiser if learning else None,
            )  # fmt: skip
            self.metrics = ctx.passes.metrics
        if chosen is not None:
            learnt = self.selection.update(chosen, embeddings, problem.centres)
            self.metrics = {**self.metrics, **learnt}
        if self.training:
            self._keep_statistics(problem, loss.detach().isfinite())
        return loss

    forward = loss

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Convert the module as torch does, without centres that stay in host memory."""
        if not isinstance(self.selection, Dominant):
            return super()._apply(fn, recurse)
        centres = self._parameters.pop("centres")
        try:
            return super()._apply(fn, recurse)
        finally:
            self._parameters["centres"] = centres

    def _check_optimiser(self, sampled: bool) -> None:
        """Refuse what the optimiser of the centres cannot do."""
        if sampled and self.centre_optimiser is None:
            raise ArcwiseError(
                f"CentreHead: {self.selection} without a CentreSGD; expected one, as decay and "
                "momentum of any other optimiser would move the classes that take no part"
            )
        if self.impl == "dense" and self.centre_optimiser is not None:
            raise ArcwiseError(
                'CentreHead: impl="dense" under a CentreSGD, which needs a pass in chunks; '
                'expected impl="auto", "streaming" or "truncated"'
            )

    def _keep_statistics(self, problem: Problem, finite: Tensor) -> None:
        """Keep the statistics that this step reached, unless its loss is not a number."""
        for name, buffer in self.statistics.named_buffers():
            buffer.copy_(torch.where(finite, problem.state[name], buffer))

    def __getstate__(self) -> dict[str, Any]:
        """A copy of the head has no fused optimiser: that one moves the original's centres."""
        return {**self.__dict__, "centre_optimiser": None}


SEEN = 80
"""How often a class has to be seen for a scale that follows from the classes alone."""


def scale_for(classes: int, seen: float = math.inf) -> float:
    """Return the scale s for this many classes: 2.5 · √2 · log(C - 1), at least 8.

    √2 · log(C - 1) is the start value of AdaCos (arXiv 1905.00292, section 3.2), chosen so that
    the target's probability responds most where angles are halfway. A margin and centres that are
    not spread evenly need more; the factor was chosen on products kept apart for that. A
    fixed 64, right for ten thousand classes and more, leaves a few dozen hardly grouped: the loss
    is satisfied long before they are.

    Where a class is seen fewer than `SEEN` times, s is multiplied by √(seen / SEEN): its centre is
    then hardly learnt, and a large s learns much less (measured in docs/defaults.md, which also
    says on what the root was chosen).

    Args:
        classes: C.
        seen: samples of a class in the whole training, on average.
    """
    if classes < 2:
        raise ArcwiseError(f"scale_for: got {classes} classes; expected at least 2")
    whole = 2.5 * math.sqrt(2) * math.log(max(classes - 1, 1))
    return max(8.0, whole * math.sqrt(min(1.0, seen / SEEN)))
