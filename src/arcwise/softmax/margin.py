"""margin_softmax(): the one entry to every implementation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.margins import Margin
from arcwise.softmax.dense import dense

Implementation = Literal["auto", "dense"]


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
        centres: (C, D), likewise.
        labels: (N,) int64 in 0..C-1, or -1 for a row without a class, which adds nothing; the
            mean is over the others, and 0 when there are none.
        margin: what the target pays; see `arcwise.margins`.
        scale: s, the inverse temperature.
        impl: how it is computed; ``"auto"`` chooses, the numbers are the same.
        state: the margin's running statistics, where it has some.

    Returns:
        A scalar in float32 or, for float64 embeddings, float64; gradients reach both inputs. A
        zero row has cosine 0 to everything and gradient 0.

    Raises:
        ArcwiseError: shapes that do not fit, or an unknown implementation.
    """
    if embeddings.ndim != 2 or centres.ndim != 2 or embeddings.shape[1] != centres.shape[1]:
        raise ArcwiseError(
            f"margin_softmax: got embeddings {tuple(embeddings.shape)} and centres "
            f"{tuple(centres.shape)}; expected (N, D) and (C, D) with the same D"
        )
    if labels.shape != embeddings.shape[:1] or labels.dtype != torch.int64:
        raise ArcwiseError(
            f"margin_softmax: got labels {tuple(labels.shape)} of {labels.dtype}; expected "
            f"({embeddings.shape[0]},) of torch.int64"
        )
    if impl not in get_args(Implementation):
        known = ", ".join(f'"{name}"' for name in get_args(Implementation))
        raise ArcwiseError(f"margin_softmax: impl={impl!r}; expected one of {known}")
    return dense(embeddings, centres, labels, margin, scale, state or {})
