"""The collections of a gallery on Milvus, and the checks that every row read must pass.

A template is one row; a change of it is another row, and the older one does not count any more. Its
checksum covers everything that was written. What follows from that is made again when a row is
checked: `owner`, by which the rows of an identity are found, and what conditions can ask for.
Thumbnails are cut in pieces, because a text of Milvus is at most 65,535 bytes long.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from pymilvus import CollectionSchema, DataType, MilvusClient

from arcwise.errors import GalleryError
from arcwise.gallery.damage import Damage
from arcwise.gallery.milvus.conditions import sorted_of, terms_of
from arcwise.gallery.template_row import TemplateRow, checksum, damaged_templates
from arcwise.gallery.vectors import UNIT_TOLERANCE, norms
from arcwise.identity import identity_key

ROWS_OF_A_CHANGE = 2**32
"""Rows that one change can write; its number times this is the first of them."""

SMALLEST, LARGEST = 2, 32_768
"""Dimensions that a vector of Milvus can have."""

_TEXT = 65_535  # bytes of a text, and of a JSON object
_TERMS = 4096  # the longest array
_PIECE = 48_000  # bytes of a thumbnail in a row, which are a third more in base64
_NO_VECTOR = (1.0, 0.0)  # a collection without vectors there is not


@dataclass(frozen=True, slots=True)
class MilvusRow:
    """A row of a template.

    Attributes:
        row: its number, never used again.
        born: number of the change that wrote it.
        shown: number of the change that wrote the thumbnail.
        pieces: rows of the thumbnail; 0 where there is none.
        template: what the row says.
    """

    row: int
    born: int
    shown: int
    pieces: int
    template: TemplateRow

    def crc(self) -> int:
        """Return the checksum of all of it."""
        head = struct.pack("<4q", self.row, self.born, self.shown, self.pieces)
        return zlib.crc32(head, self.template.crc())

    def values(self) -> dict[str, Any]:
        """Return what Milvus keeps.

        Raises:
            GalleryError: a text is longer than Milvus takes.
        """
        one = self.template
        metadata = json.loads(one.metadata)
        terms, in_order = terms_of(metadata), sorted_of(metadata)
        for name, size in (
            ("identity", len(one.identity.encode())),
            ("metadata", len(one.metadata)),
            ("metadata, as they are searched,", len(json.dumps(in_order))),
            ("reason", len((one.quarantine or "").encode())),
        ):
            if size > _TEXT:
                raise GalleryError(
                    f"{one.identity[:40]!r}: the {name} take {size:,} bytes; a gallery on Milvus "
                    f"takes at most {_TEXT:,}"
                )
        if len(terms) > _TERMS:
            raise GalleryError(
                f"{one.identity[:40]!r}: {len(metadata):,} keys of metadata; a gallery on Milvus "
                f"takes at most {_TERMS // 2:,}"
            )
        return {
            "row": self.row,
            "template": one.template,
            "born": self.born,
            "shown": self.shown,
            "pieces": self.pieces,
            "crc": self.crc(),
            "owner": owner_of(one.identity),
            "active": one.quarantine is None,
            "identity": one.identity,
            "metadata": one.metadata,
            "quality": -1.0 if one.quality is None else one.quality,
            "quarantine": one.quarantine or "",
            "terms": terms,
            "sorted": in_order,
            "vector": one.floats(),
        }


FIELDS = [
    "row", "template", "born", "shown", "pieces", "crc", "owner", "active", "identity", "metadata",
    "quality", "quarantine", "terms", "sorted", "vector",
]  # fmt: skip


def read_row(values: Mapping[str, Any]) -> MilvusRow | None:
    """Return the row of the fields `FIELDS`; None where they are not what was written."""
    quality = values["quality"]
    vector = np.asarray(values["vector"], np.float32)
    row = MilvusRow(
        values["row"],
        values["born"],
        values["shown"],
        values["pieces"],
        TemplateRow(
            values["template"],
            values["identity"],
            values["metadata"],
            vector.astype(">f4").tobytes(),
            None if quality == -1.0 else quality,
            values["quarantine"] or None,
        ),
    )
    if row.crc() != values["crc"] or not abs(norms(vector[None])[0] - 1) <= UNIT_TOLERANCE + 1e-6:
        return None
    again = row.values()
    return row if all(values[one] == again[one] for one in FIELDS[:-1]) else None


def read_rows(rows: Iterable[Mapping[str, Any]]) -> list[MilvusRow]:
    """Return rows of the fields `FIELDS`, the oldest template first.

    Raises:
        Damage: names those that are not what was written, or are there twice.
    """
    given = sorted(rows, key=lambda one: one["template"])
    found = [read_row(values) for values in given]
    ids = [values["template"] for values in given]
    damaged = {one for one, row in zip(ids, found, strict=True) if row is None}
    damaged |= {one for one, other in pairwise(ids) if one == other}
    if damaged:
        raise damaged_templates(sorted(damaged))
    return [row for row in found if row is not None]


def pieces_of(
    template: int, number: Callable[[], int], born: int, image: bytes
) -> list[dict[str, Any]]:
    """Return the rows of a thumbnail, which take the next numbers."""
    rows = []
    for place, start in enumerate(range(0, len(image), _PIECE)):
        piece = image[start : start + _PIECE]
        rows.append(
            {
                "row": number(),
                "template": template,
                "born": born,
                "place": place,
                "crc": checksum(template, struct.pack("<q", place) + piece),
                "text": base64.b64encode(piece).decode(),
                "vector": _NO_VECTOR,
            }
        )
    return rows


PIECE_FIELDS = ["row", "template", "born", "place", "crc", "text"]


def image_of(row: MilvusRow, pieces: Sequence[Mapping[str, Any]]) -> bytes | None:
    """Return the thumbnail of a row from its rows, of the fields `PIECE_FIELDS`.

    Raises:
        Damage: it is not what was written.
    """
    template, content = row.template.template, []
    for one in sorted(pieces, key=lambda one: one["place"]):
        try:
            piece = base64.b64decode(one["text"], validate=True)
        except ValueError:
            piece = b""
        place = struct.pack("<q", len(content))
        if one["crc"] == checksum(template, place + piece):
            content.append(piece)
    if len(content) != row.pieces or len(pieces) != row.pieces:
        raise Damage(f"the thumbnail of template {template}", [template])
    return b"".join(content) if content else None


def owner_of(identity: str) -> int:
    """Return a number that all written forms of an identity share, and hardly any other."""
    digest = hashlib.sha256(identity_key(identity).encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def template_fields(dim: int) -> CollectionSchema:
    """Return the fields of the templates."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    for name in ("template", "born", "shown", "pieces", "crc", "owner"):
        schema.add_field(name, DataType.INT64)
    schema.add_field("active", DataType.BOOL)
    for name in ("identity", "metadata", "quarantine"):
        schema.add_field(name, DataType.VARCHAR, max_length=_TEXT)
    schema.add_field("quality", DataType.DOUBLE)
    schema.add_field(
        "terms",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=_TERMS,
        max_length=32,
    )
    schema.add_field("sorted", DataType.JSON)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    return schema


def piece_fields() -> CollectionSchema:
    """Return the fields of the pieces of thumbnails."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    for name in ("template", "born", "place", "crc"):
        schema.add_field(name, DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, max_length=_TEXT)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=len(_NO_VECTOR))
    return schema


def state_fields(description: str) -> CollectionSchema:
    """Return the fields of what a gallery says of itself."""
    schema = MilvusClient.create_schema(
        auto_id=False, enable_dynamic_field=False, description=description
    )
    schema.add_field("id", DataType.INT64, is_primary=True)
    for name in ("pieces", "crc"):
        schema.add_field(name, DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, max_length=_TEXT)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=len(_NO_VECTOR))
    return schema


STATE_FIELDS = ["id", "pieces", "crc", "text"]


def piece_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Milvus keeps of a row of the fields `PIECE_FIELDS`."""
    return {**row, "vector": _NO_VECTOR}


def state_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Milvus keeps of a row of a state."""
    return {**row, "vector": _NO_VECTOR}
