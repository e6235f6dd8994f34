"""The softmax over class centres: one function, several implementations of the same numbers."""

from arcwise.softmax.margin import margin_softmax
from arcwise.softmax.streaming import Streaming
from arcwise.softmax.triton import Triton
from arcwise.softmax.truncated import Truncated

__all__ = ["Streaming", "Triton", "Truncated", "margin_softmax"]
