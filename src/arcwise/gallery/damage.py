"""What a store raises where it finds something else than it wrote, before the gallery is named."""

from __future__ import annotations

from collections.abc import Iterable


class Damage(Exception):
    """What was read is not what was written; a `DamagedGallery` is made of it.

    Attributes:
        templates: ids of the damaged ones; empty where that is hidden.
    """

    def __init__(self, reason: str, templates: Iterable[int] = ()) -> None:
        super().__init__(reason)
        self.templates = tuple(templates)
