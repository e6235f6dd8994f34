"""A margin around another: what it does not change is the inner one's."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.margins.margin import Margin, State


@dataclass(frozen=True)
class Around(Margin):
    """Asks another margin everything, and so leaves the other classes to whoever stands on it.

    Attributes:
        margin: what the target pays.
    """

    margin: Margin

    def __post_init__(self) -> None:
        if not isinstance(self.margin, Margin):
            raise ArcwiseError(
                f"{type(self).__name__}: margin={self.margin!r}; expected a margin to stand "
                "around, say ArcFace(0.5)"
            )

    def initial(self) -> dict[str, Tensor]:
        """The inner margin's."""
        return self.margin.initial()

    def observe(self, cos: Tensor, norm: Tensor, state: State) -> dict[str, Tensor]:
        """The inner margin's."""
        return self.margin.observe(cos, norm, state)

    def target(
        self, cos: Tensor, norm: Tensor, state: State
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The inner margin's."""
        return self.margin.target(cos, norm, state)

    def others(self, cos: Tensor, value: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """The inner margin's."""
        return self.margin.others(cos, value, state)

    def penalty(self, norm: Tensor) -> tuple[Tensor, Tensor] | None:
        """The inner margin's."""
        return self.margin.penalty(norm)
