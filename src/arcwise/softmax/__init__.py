"""The softmax over class centres: one function, several implementations of the same numbers."""

from arcwise.softmax.margin import margin_softmax
from arcwise.softmax.streaming import Streaming

__all__ = ["Streaming", "margin_softmax"]
