from __future__ import annotations

from tests.serving.conftest import images, model

__all__ = ["images", "model"]
