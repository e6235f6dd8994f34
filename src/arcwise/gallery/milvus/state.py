"""What a gallery on Milvus says of itself, and by that which of its rows count.

Milvus has no transactions. A change writes rows that carry its number, and then one row that says
what the gallery is from now on: a state. The rows count from the moment when that state is there.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from arcwise.errors import GalleryError
from arcwise.gallery.damage import Damage

VERSION = 1
PIECES = 2**12
"""Pieces that a state can have, a row each; the number of the state times this is its first id."""

_PIECE = 60_000  # characters of ASCII; a text of Milvus has at most 65,535 bytes


@dataclass(frozen=True)
class GalleryState:
    """What a gallery says of itself.

    Attributes:
        version: of its collections.
        created: a random name, so that another gallery in its place is not taken for it.
        dim: dimensions of every vector.
        fingerprint: the model it is bound to, or None.
        model: where that model lay.
        number: of the change that made this state; they rise.
        generation: number of the change that made the collections with its rows.
        last: the largest template id ever given.
        templates: how many there are, those in quarantine too.
        quarantined: how many of these are in quarantine.
        changes: how often a template was enrolled, removed or changed.
        deviation: by how much the length of a vector differs from 1, at most.
        removing: number of the last change that left something behind; a reader of an older state
            may miss rows.
        gone: rows of templates that do not count any more, and are to be deleted.
        gone_pieces: rows of their thumbnails.
        abandoned: numbers of changes that were cut off; rows with these never count.
        calibration: what was measured against the gallery, a JSON text.
    """

    version: int
    created: str
    dim: int
    fingerprint: str | None
    model: str | None
    number: int = 1
    generation: int = 1
    last: int = 0
    templates: int = 0
    quarantined: int = 0
    changes: int = 0
    deviation: float = 0.0
    removing: int = 0
    gone: tuple[int, ...] = ()
    gone_pieces: tuple[int, ...] = ()
    abandoned: tuple[int, ...] = ()
    calibration: str | None = None

    def counting(self) -> str:
        """Return the expression for the rows that count."""
        parts = [f"born <= {self.number}"]
        if self.abandoned:
            parts.append(f"born not in {list(self.abandoned)}")
        if self.gone:
            parts.append(f"row not in {list(self.gone)}")
        return " and ".join(f"({one})" for one in parts)

    def followed_by_nothing(self) -> GalleryState:
        """Return the state after this one where the change that was to follow was cut off."""
        return replace(self, number=self.number + 2, abandoned=(*self.abandoned, self.number + 1))

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows that hold it; it is there from the moment when the first of them is."""
        text = json.dumps(asdict(self))
        pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
        crc = zlib.crc32(text.encode())
        return [
            {"id": self.number * PIECES + place, "pieces": len(pieces), "crc": crc, "text": piece}
            for place, piece in enumerate(pieces)
        ]


def new_state(dim: int, fingerprint: str | None, model: str | None) -> GalleryState:
    """Return what a new gallery says of itself."""
    return GalleryState(VERSION, secrets.token_hex(16), dim, fingerprint, model)


def skip_row(number: int) -> dict[str, Any]:
    """Return the row that says of a change to come that its number is skipped."""
    return {"id": number * PIECES + PIECES - 1, "pieces": 0, "crc": 0, "text": ""}


def read_state(rows: Iterable[Mapping[str, Any]]) -> GalleryState | None:
    """Return the newest state that some rows hold; None where there is none.

    Raises:
        Damage: it is not what was written.
        GalleryError: it is of another version.
    """
    by_id = {row["id"]: row for row in rows}
    firsts = [one for one in by_id if one % PIECES == 0]
    if not firsts:
        return None
    first = by_id[max(firsts)]
    ids = range(first["id"], first["id"] + first["pieces"])
    text = "".join(by_id[one]["text"] for one in ids if one in by_id)
    if zlib.crc32(text.encode()) != first["crc"]:
        raise Damage("what it says of itself")
    values = json.loads(text)
    if values["version"] != VERSION:
        raise GalleryError(
            f"a gallery of version {values['version']}; this Arcwise reads version {VERSION}: use "
            "the Arcwise that wrote it"
        )
    for name in ("gone", "gone_pieces", "abandoned"):
        values[name] = tuple(values.get(name, ()))
    state = GalleryState(**values)
    if state.number * PIECES != first["id"]:
        raise Damage("what it says of itself")
    return state
