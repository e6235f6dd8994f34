"""The servers of `tests.serving`, for what asks them."""

from tests.serving.conftest import gallery, images, make, model, served

__all__ = ["gallery", "images", "make", "model", "served"]
