"""The exact loss, and a gradient without the entries that hardly count.

Most classes get a probability far below 1/C from a trained embedding. The first sweep is the exact
one, so every probability is known; only entries of at least τ go into the two gradient products,
which become sparse. What the others weigh together is known too, and reported: Partial FC's
sampled classes answer the same need with a gradient that is 20 to 90 % off, unknown by how much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from arcwise.errors import ArcwiseError
from arcwise.softmax.outcome import Pass
from arcwise.softmax.problem import Problem
from arcwise.softmax.workspace import Workspace

Below = Literal["drop", "roulette"]


@dataclass(frozen=True)
class Truncated:
    """How the pass is made; on a CPU.

    Attributes:
        tau: τ, the probability from which an entry of the gradient is kept as it is.
        below: what becomes of entries under τ. ``"drop"`` leaves them out. ``"roulette"`` keeps
            one of probability p with chance p/τ, as τ: the gradient then is right on average. Its
            random choices come from torch's global generator.
        chunk: classes at a time; None for four a sample, within reason.
    """

    tau: float = 3e-5
    below: Below = "drop"
    chunk: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.tau < 1:
            raise ArcwiseError(f"Truncated: tau={self.tau!r}; expected a probability, 0 or more")
        if self.below not in get_args(Below):
            raise ArcwiseError(f'Truncated: below={self.below!r}; expected "drop" or "roulette"')
        if self.chunk is not None and self.chunk < 1:
            raise ArcwiseError(f"Truncated: chunk={self.chunk!r}; expected at least 1 class")

    def run(
        self, problem: Problem, *, gradients: bool = True, workspace: Workspace | None = None
    ) -> Pass:
        """The exact sweep, then the sparse products; `gradients=False` where the loss is all."""
        if problem.x.device.type != "cpu":
            raise ArcwiseError(
                f"Truncated: the embeddings are on {problem.x.device}; it computes on a CPU: "
                'expected impl="auto" there'
            )
        try:
            from arcwise.softmax.truncation import TruncatedPass
        except ImportError as error:
            raise ArcwiseError(
                f"Truncated: its loops are compiled by numba ({error}); "
                "pip install 'arcwise[train]' has it"
            ) from error
        return TruncatedPass(self, problem, gradients)
