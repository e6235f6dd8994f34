"""The softmax over class centres: one function, several implementations of the same numbers."""

from arcwise.softmax.function import Implementation, ImplementationName, margin_softmax
from arcwise.softmax.streaming import GradientPrecision, Streaming
from arcwise.softmax.triton import Triton
from arcwise.softmax.truncated import Truncated

__all__ = [
    "GradientPrecision",
    "Implementation",
    "ImplementationName",
    "Streaming",
    "Triton",
    "Truncated",
    "margin_softmax",
]
