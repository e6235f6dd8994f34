"""How the pass is made on a GPU. Triton itself is imported by the first pass."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import torch

from arcwise.errors import ArcwiseError
from arcwise.softmax.flow import ClassPass
from arcwise.softmax.problem import Problem
from arcwise.softmax.streaming import Streaming
from arcwise.softmax.workspace import Workspace

ProductPrecision = Literal["half", "fp32"]


@dataclass(frozen=True)
class Triton:
    """How the pass is made.

    Attributes:
        precision: arithmetic of the four products; their sums, the logits and the loss are in
            float32 and the target in float64 either way. ``"half"``: the logits from directions in
            fp16, whose components are at most 1 and keep 11 bits, and the gradients in bf16, which
            holds every exponential. The gradients are off by 1e-3 of their length at D = 512 and
            s = 64, by twice that where D is a few dozen. ``"fp32"``: by less than 1e-6, without
            the matrix units, as tf32 is off.
        chunk: classes at a time.
    """

    precision: ProductPrecision = "half"
    chunk: int = 16384

    def __post_init__(self) -> None:
        if self.precision not in ("half", "fp32"):
            raise ArcwiseError(f'Triton: precision={self.precision!r}; expected "half" or "fp32"')
        if self.chunk < 1:
            raise ArcwiseError(f"Triton: chunk={self.chunk!r}; expected at least 1 class")

    def first_pass(
        self, problem: Problem, *, gradients: bool = True, workspace: Workspace | None = None
    ) -> ClassPass:
        """Make the first pass: see `PassSettings`. One in float64 is made by `Streaming`.

        Raises:
            ArcwiseError: no Triton, or no device that it compiles for.
        """
        if find_spec("triton") is None:
            raise ArcwiseError(
                'impl="triton": Triton is not installed; expected it on Linux with a CUDA '
                "device: pip install 'arcwise[gpu]', or leave impl=\"auto\""
            )
        if not available(problem.x.device) and not interpreted():
            raise ArcwiseError(
                f'impl="triton": got tensors on {problem.x.device}; expected a CUDA device of '
                'compute capability 8 or more, or impl="streaming"'
            )
        if problem.x.dtype == torch.float64:
            return Streaming().first_pass(problem, gradients=gradients, workspace=workspace)
        from arcwise.softmax.triton.passes import TritonPass

        half = self.precision == "half"
        return TritonPass(problem, gradients, half=half, chunk_size=self.chunk)


def available(device: torch.device) -> bool:
    """Whether Triton is installed, and the device multiplies bf16 in hardware."""
    return (
        device.type == "cuda"
        and find_spec("triton") is not None
        and torch.cuda.get_device_capability(device) >= (8, 0)
    )


def interpreted() -> bool:
    """Whether Triton's interpreter stands in for the device, as it does in tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"
