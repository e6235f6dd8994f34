"""margin_softmax(): the one entry to every implementation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.margins import Margin
from arcwise.softmax.dense import dense
from arcwise.softmax.function import differentiable
from arcwise.softmax.outcome import Pass
from arcwise.softmax.problem import Problem, prepare
from arcwise.softmax.streaming import Streaming
from arcwise.softmax.triton import Triton, available
from arcwise.softmax.truncated import Truncated
from arcwise.softmax.workspace import Workspace

Name = Literal["auto", "dense", "streaming", "truncated", "triton"]


class Sweeping(Protocol):
    """An object that makes passes over the classes."""

    def run(
        self, problem: Problem, *, gradients: bool = True, workspace: Workspace | None = None
    ) -> Pass:
        """The pass; `gradients=False` where only the loss is wanted."""
        ...


Implementation = Name | Sweeping


def margin_softmax(
    embeddings: Tensor,
    centres: Tensor,
    labels: Tensor,
    *,
    margin: Margin,
    scale: float = 64.0,
    impl: Implementation = "auto",
    state: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Mean cross-entropy of scaled cosines to class centres, the target's after its margin.

    L = 1/N Σ_i [ log( e^{s ψ(cos θ_{i,y})} + Σ_{j≠y} e^{s cos θ_ij} ) - s ψ(cos θ_{i,y}) ],
    ArcFace (arXiv 1801.07698) equations 2 to 4 for the margins' ψ.

    Args:
        embeddings: (N, D), any float type, any length; directions are what counts.
        centres: (C, D), likewise; or (C, K, D), K sub-centres a class, of which the nearest counts
            (Sub-center ArcFace, ECCV 2020).
        labels: (N,) int64 in 0..C-1, or -1 for a row without a class, which adds nothing; the
            mean is over the others, and 0 when there are none.
        margin: what the target pays; see `arcwise.margins`.
        scale: s, the inverse temperature.
        impl: how it is computed. ``"dense"`` is the readable reference, all N·C logits at once;
            ``"streaming"`` passes over the classes in chunks, with the same numbers; ``"triton"``
            does on a GPU, its products in 16 bits. ``"auto"`` takes ``"triton"`` where it can and
            ``"streaming"`` elsewhere. ``"truncated"`` has the same loss and leaves the smallest
            entries out of the gradient. An object, say ``Streaming(keep="none")`` or
            ``Triton(precision="fp32")``, settles how in detail.
        state: the margin's running statistics, where it has some; without them it is at their
            start. A `CentreHead` keeps them; here they are the caller's: `margin.observe` moves
            them on, and draws ElasticFace's margins.

    Returns:
        A scalar in float32 or, for float64 inputs, float64; gradients reach both inputs. A zero
        row has cosine 0 to everything and gradient 0.

    Raises:
        ArcwiseError: shapes, labels or a scale that cannot be, or an unknown implementation.
    """
    check(embeddings, centres, labels)
    check_rule("margin_softmax", margin, scale)
    statistics = state or {}
    if impl == "dense":
        return dense(embeddings, centres, labels, margin, scale, statistics)
    how = implementation(impl, centres.device)
    needed = torch.is_grad_enabled() and (embeddings.requires_grad or centres.requires_grad)

    def start() -> Pass:
        problem = prepare(embeddings, centres, labels, margin, scale, statistics)
        return how.run(problem, gradients=needed)

    return differentiable(embeddings, centres, start)


def implementation(impl: Implementation, device: torch.device) -> Sweeping:
    """The object that makes the pass on this device."""
    if not isinstance(impl, str | type) and hasattr(impl, "run"):
        return impl
    if impl not in get_args(Name):
        known = ", ".join(f'"{name}"' for name in get_args(Name))
        raise ArcwiseError(
            f"margin_softmax: impl={impl!r}; expected one of {known}, or an object like Streaming()"
        )
    if impl == "truncated":
        return Truncated()
    if impl == "triton" or (impl == "auto" and available(device)):
        return Triton()
    return Streaming()


def check_rule(asker: str, margin: Margin, scale: float) -> None:
    """Whether this margin and this scale make a softmax."""
    if not isinstance(margin, Margin):
        raise ArcwiseError(
            f"{asker}: got margin={margin!r}; expected one of arcwise.margins, say ArcFace(0.5)"
        )
    if not 0 < scale < math.inf:
        raise ArcwiseError(f"{asker}: got scale={scale!r}; expected a positive number")


def check(embeddings: Tensor, centres: Tensor, labels: Tensor) -> None:
    """Whether the three fit together."""
    if (
        embeddings.ndim != 2
        or centres.ndim not in (2, 3)
        or embeddings.shape[1] != centres.shape[-1]
    ):
        raise ArcwiseError(
            f"margin_softmax: got embeddings {tuple(embeddings.shape)} and centres "
            f"{tuple(centres.shape)}; expected (N, D) and (C, D) or (C, K, D) with the same D"
        )
    if labels.shape != embeddings.shape[:1] or labels.dtype != torch.int64:
        raise ArcwiseError(
            f"margin_softmax: got labels {tuple(labels.shape)} of {labels.dtype}; expected "
            f"({embeddings.shape[0]},) of torch.int64"
        )
    if len(labels):
        least, most = (int(end) for end in labels.aminmax())
        if least < -1 or most >= len(centres):
            raise ArcwiseError(
                f"margin_softmax: got labels from {least} to {most}; expected 0 to "
                f"{len(centres) - 1} for {len(centres)} classes, or -1 for none"
            )
