"""An item as a picture, small enough for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arcwise.data.manifest import Manifest
from arcwise.images import decode
from arcwise.report import Picture, shrunk

if TYPE_CHECKING:
    from arcwise.protocols.result import Evaluation
    from arcwise.report.sections import Frame


def picture(manifest: Manifest, row: int, said: str = "", frame: Frame = "neutral") -> Picture:
    """Return one row's picture with its identity (or name), and perhaps more, below."""
    image = shrunk(decode(manifest.read(row), manifest.image(row)))
    named = "identity" if "identity" in manifest.table.column_names else "image"
    title = manifest.table.column(named)[row].as_py()
    return Picture(image, f"{title}, {said}" if said else title, frame)


def item(result: Evaluation, place: int, said: str = "", frame: Frame = "neutral") -> Picture:
    """Return the picture of an item; of a template its first."""
    return picture(result.manifest, int(result.items.rows[place]), said, frame)
