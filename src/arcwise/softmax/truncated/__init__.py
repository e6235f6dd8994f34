"""The pass over the classes with a truncated gradient: research, apart from the other ones."""

from arcwise.softmax.truncated.truncation import Truncated

__all__ = ["Truncated"]
