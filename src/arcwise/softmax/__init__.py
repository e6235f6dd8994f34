"""The softmax over class centres: one function, several implementations of the same numbers."""

from arcwise.softmax.margin import margin_softmax

__all__ = ["margin_softmax"]
