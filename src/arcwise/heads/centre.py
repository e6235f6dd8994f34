"""Class centres on the sphere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from arcwise.errors import ArcwiseError
from arcwise.heads.selection import All, Chosen, Selection
from arcwise.margins import Margin
from arcwise.softmax.dense import dense
from arcwise.softmax.function import differentiable
from arcwise.softmax.margin import Implementation, check, check_rule, implementation
from arcwise.softmax.outcome import Pass
from arcwise.softmax.problem import Problem, prepare
from arcwise.softmax.workspace import Workspace


class CentreHead(nn.Module):
    """One centre a class, or K, and the margin softmax of embeddings over them.

    Attributes:
        centres: (C, D) parameter, or (C, K, D); only its rows' directions count. Initialised
            N(0, 0.01²) as in ArcFace (arXiv 1801.07698, section 3.1), in any length: the start is
            90° ± 1/√D rad.
        margin: what the target pays. Its running statistics are buffers of this module.
        scale: s.
        selection: which classes take part in a step.
        impl: how the softmax is computed, as for `arcwise.margin_softmax`.
        report: what the last loss's pass said about its own error; empty for exact ones.
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
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ArcwiseError(f"CentreHead: got {classes} classes; a softmax needs at least 2")
        check_rule("CentreHead", margin, scale)
        if subcentres < 1:
            raise ArcwiseError(f"CentreHead: got subcentres={subcentres!r}; expected at least 1")
        self.margin = margin
        self.scale = scale
        self.selection = selection or All()
        if isinstance(self.selection, type) or not hasattr(self.selection, "choose"):
            raise ArcwiseError(
                f"CentreHead: got selection={selection!r}; expected All() or, say, Sampled(0.1)"
            )
        implementation(impl, torch.device("cpu"))  # refuses what is none
        self.impl = impl
        self.report: dict[str, float] = {}
        shape = (classes, dim) if subcentres == 1 else (classes, subcentres, dim)
        self.centres = nn.Parameter(torch.empty(shape))
        nn.init.normal_(self.centres, std=0.01)
        self.statistics = nn.Module()
        for name, value in margin.initial().items():
            self.statistics.register_buffer(name, value)
        self.swept = False
        self.pending: Pending | None = None
        self._workspace = Workspace()

    def loss(self, embeddings: Tensor, labels: Tensor, strength: float = 1.0) -> Tensor:
        """Scalar loss of (N, D) embeddings with (N,) int64 labels.

        Args:
            embeddings: (N, D), not normalised.
            labels: (N,) in 0..C-1, or -1 for none.
            strength: fraction of the margin in force, for margin warm-up.

        Raises:
            ArcwiseError: shapes or labels that do not fit; or classes are sampled and no
                `CentreSGD` updates the centres: any other optimiser would move all of them.
        """
        check(embeddings, self.centres, labels)
        learning = torch.is_grad_enabled() and self.centres.requires_grad
        chosen = self.selection.choose(labels, len(self.centres)) if learning else None
        if chosen is not None and not self.swept:
            raise ArcwiseError(
                f"CentreHead: {self.selection} without a CentreSGD; expected one, as decay and "
                "momentum of any other optimiser would move the classes that take no part"
            )
        margin = self.margin if strength == 1.0 else self.margin.at(strength)
        centres = self.centres
        offsets = None
        if chosen is not None:
            centres, labels, offsets = (
                centres.detach()[chosen.classes],
                chosen.labels,
                chosen.offsets,
            )
        if self.impl == "dense" and self.swept:
            raise ArcwiseError(
                'CentreHead: impl="dense" under a CentreSGD, which needs a pass in chunks; '
                'expected impl="auto", "streaming" or "truncated"'
            )
        # Copies: a later step moves the buffers, maybe before this one's backward pass.
        state = {name: kept.clone() for name, kept in self.statistics.named_buffers()}
        problem = prepare(
            embeddings, centres, labels, margin, self.scale, state, offsets, observe=self.training
        )
        if self.impl == "dense":
            loss = dense(embeddings, centres, labels, margin, self.scale, problem.state, offsets)
        else:
            loss = self._swept(embeddings, problem, chosen)
        if self.training:
            self._remember(problem, loss.detach().isfinite())
        return loss

    forward = loss

    def _swept(self, embeddings: Tensor, problem: Problem, chosen: Chosen | None) -> Tensor:
        made: list[Pass] = []

        def start() -> Pass:
            made.append(how.run(problem, gradients=learning, workspace=self._workspace))
            return made[0]

        def later(multiple: Tensor) -> None:
            if self.pending is not None:
                raise ArcwiseError(
                    "CentreHead: a second backward pass without a CentreSGD.step(); call it "
                    "after each, or accumulate gradients in the ordinary mode: a head without a "
                    "CentreSGD, its parameters in a torch.optim optimiser"
                )
            self.pending = Pending(made[0], chosen, multiple, self.centres._version)

        how = implementation(self.impl, self.centres.device)
        learning = torch.is_grad_enabled()
        moves = self.swept and self.centres.requires_grad
        loss = differentiable(embeddings, self.centres, start, later if moves else None)
        self.report = made[0].report
        return loss

    def _remember(self, problem: Problem, well: Tensor) -> None:
        """Keep the statistics that this step reached, unless its loss is not a number."""
        for name, kept in self.statistics.named_buffers():
            kept.copy_(torch.where(well, problem.state[name], kept))


@dataclass(frozen=True)
class Pending:
    """A pass whose embeddings have their gradient, and whose centres have not moved yet.

    Attributes:
        swept: the pass.
        chosen: the classes that took part, None for all.
        multiple: scalar dL'/dloss of whatever was made of the loss.
        version: how often the centres had been changed by then, as autograd counts.
    """

    swept: Pass
    chosen: Chosen | None
    multiple: Tensor
    version: int
