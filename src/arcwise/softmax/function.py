"""margin_softmax(), the loss over all classes, and which implementation computes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.margins import Margin
from arcwise.softmax.dense import dense
from arcwise.softmax.flow import PassSettings, differentiable
from arcwise.softmax.problem import prepare
from arcwise.softmax.streaming import Streaming
from arcwise.softmax.triton import Triton, available
from arcwise.softmax.truncated import Truncated

ImplementationName = Literal["auto", "dense", "streaming", "truncated", "triton"]


Implementation = ImplementationName | PassSettings


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
            mean is over the others, and 0 when there are none. They may stay on the CPU, where
            reading them waits for no GPU.
        margin: the margin of the target; see `arcwise.margins`.
        scale: s, the inverse temperature.
        impl: how it is computed. ``"dense"`` is the readable reference, all N·C logits at once;
            ``"streaming"`` passes over the classes in chunks, with the same numbers; ``"triton"``
            does on a GPU, its products in 16 bits. ``"auto"`` takes ``"triton"`` where it can and
            ``"streaming"`` elsewhere. ``"truncated"`` has the same loss and leaves the smallest
            entries out of the gradient. An object, say ``Streaming(keep="none")`` or
            ``Triton(precision="fp32")``, settles how in detail.
        state: the margin's running statistics, where it has some; without them it is at their
            start. A `CentreHead` keeps them. Without a head the caller does: `margin.observe` moves
            them on, and draws ElasticFace's margins.

    Returns:
        A scalar in float32 or, for float64 inputs, float64; gradients reach both inputs. A zero
        row has cosine 0 to everything and gradient 0.

    Raises:
        ArcwiseError: shapes, labels or a scale that cannot be, or an unknown implementation.
    """
    labels = checked_labels(embeddings, centres, labels)
    check_margin("margin_softmax", margin, scale)
    if impl == "dense":
        return dense(embeddings, centres, labels, margin, scale, state or {})
    settings = implementation(impl, centres.device)
    problem = prepare(embeddings, centres, labels, margin, scale, state or {})
    needed = embeddings.requires_grad or centres.requires_grad
    return differentiable(settings, problem, embeddings, centres, gradients=needed)[0]


def implementation(impl: Implementation, device: torch.device) -> PassSettings:
    """Return how the passes over the classes are made on this device."""
    if not isinstance(impl, str | type) and hasattr(impl, "first_pass"):
        return impl
    if impl not in get_args(ImplementationName):
        names = ", ".join(f'"{name}"' for name in get_args(ImplementationName))
        raise ArcwiseError(
            f"margin_softmax: impl={impl!r}; expected one of {names}, or an object like Streaming()"
        )
    if impl == "truncated":
        return Truncated()
    if impl == "triton" or (impl == "auto" and available(device)):
        return Triton()
    return Streaming()


def check_margin(caller: str, margin: Margin, scale: float) -> None:
    """Refuse what is no margin or no scale."""
    if not isinstance(margin, Margin):
        raise ArcwiseError(
            f"{caller}: got margin={margin!r}; expected one of arcwise.margins, say ArcFace(0.5)"
        )
    if not 0 < scale < math.inf:
        raise ArcwiseError(f"{caller}: got scale={scale!r}; expected a positive number")


def checked_labels(embeddings: Tensor, centres: Tensor, labels: Tensor) -> Tensor:
    """Return the labels on the CPU, if embeddings, centres and labels fit together.

    The range of the labels is checked where it costs no further wait. Those given on a GPU are
    copied to the CPU once, and the copy serves all of the step.
    """
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
    labels = labels.cpu()
    if len(labels):
        least, most = (int(end) for end in labels.aminmax())
        if least < -1 or most >= len(centres):
            raise ArcwiseError(
                f"margin_softmax: got labels from {least} to {most}; expected 0 to "
                f"{len(centres) - 1} for {len(centres)} classes, or -1 for none"
            )
    return labels
