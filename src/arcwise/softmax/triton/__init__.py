"""The pass over the classes on a GPU: the vendor's matrix products, and Triton between them."""

from arcwise.softmax.triton.settings import Triton, available

__all__ = ["Triton", "available"]
