"""The tables of a gallery on PostgreSQL, and the checks that every row read must pass.

A template is one row. Its checksum covers the id, the identity, the metadata, the vector, the
quality and the reason of a quarantine. The other columns follow from these and are made again when
a row is checked: what all written forms of the identity share (`key`), the length of the vector,
and what conditions can ask for. The one row of `about` says how many rows there must be.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray

from arcwise.gallery.damage import Damage
from arcwise.gallery.postgres.conditions import (
    conditions_of,
    restored,
    same_conditions,
    storable,
)
from arcwise.gallery.vectors import UNIT_TOLERANCE, norms
from arcwise.identity import identity_key

VERSION = 1
LARGEST = 16_000
"""Dimensions that pgvector's type can have."""

_INLINE = 1900  # dimensions that fit a page of 8 KiB with what else is in a row
_LONG = 1000  # bytes of a key; an index takes no row of more than a third of a page

# STATISTICS 0: ANALYZE would copy names, metadata and vectors into the catalogue, where they stay
# when the templates are gone. Vectors lie within the rows (PLAIN): out of line, every one costs a
# look-up, and a scan takes three times as long. What else is long lies with them, too, as long as
# the row fits a page (MAIN). The columns that a scan reads come first.
TABLES: LiteralString = """
CREATE TABLE {schema}.about (
    one integer PRIMARY KEY CHECK (one = 1), version integer NOT NULL, created text NOT NULL,
    dim integer NOT NULL, fingerprint text, model text, last bigint NOT NULL,
    templates bigint NOT NULL, quarantined bigint NOT NULL, thumbnails bigint NOT NULL,
    changes bigint NOT NULL, crc bigint NOT NULL, calibration text, calibration_crc bigint);
CREATE TABLE {schema}.templates (
    id bigint PRIMARY KEY, crc bigint NOT NULL,
    length float8 NOT NULL CHECK (length BETWEEN 0.998 AND 1.002),
    active boolean GENERATED ALWAYS AS (quarantine IS NULL) STORED NOT NULL,
    vector {vectors}.vector({dim}) NOT NULL, key text COLLATE "C" NOT NULL,
    identity text COLLATE "C" NOT NULL, conditions jsonb NOT NULL, metadata text NOT NULL,
    quality float8, quarantine text);
CREATE TABLE {schema}.thumbnails (
    template bigint PRIMARY KEY, crc bigint NOT NULL, image bytea NOT NULL);
CREATE INDEX templates_key ON {schema}.templates (key, id) INCLUDE (active);
ALTER TABLE {schema}.templates
    ALTER key SET STORAGE MAIN, ALTER key SET STATISTICS 0,
    ALTER identity SET STORAGE MAIN, ALTER identity SET STATISTICS 0,
    ALTER metadata SET STORAGE MAIN, ALTER metadata SET STATISTICS 0,
    ALTER conditions SET STORAGE MAIN, ALTER conditions SET STATISTICS 0,
    ALTER vector SET STORAGE {storage}, ALTER vector SET STATISTICS 0,
    ALTER length SET STATISTICS 0, ALTER quality SET STATISTICS 0,
    ALTER quarantine SET STORAGE MAIN, ALTER quarantine SET STATISTICS 0;
ALTER TABLE {schema}.thumbnails
    ALTER image SET STORAGE EXTERNAL, ALTER image SET STATISTICS 0;
COMMENT ON SCHEMA {schema} IS 'a gallery of Arcwise';
"""

OWN: LiteralString = (
    "id, crc, key, identity, metadata, conditions, vector, length, quality, quarantine"
)
TYPES = ["int8", "int8", "text", "text", "text", "bytea", "bytea", "float8", "float8", "text"]
"""What the columns are written as in binary: a jsonb and a vector as the bytes that they are."""

READ: LiteralString = (
    "t.id, t.crc, t.key, t.identity, t.metadata, t.conditions::text, t.vector, t.length, "
    "t.quality, t.quarantine"
)


@dataclass(frozen=True)
class GalleryRow:
    """What a gallery says of itself.

    Attributes:
        version: of its tables.
        created: a random name, so that another gallery in its place is not taken for it.
        dim: dimensions of every vector.
        fingerprint: the model it is bound to, or None.
        model: where that model lay.
        last: the largest template id ever given.
        templates: how many there are, those in quarantine too.
        quarantined: how many of these are in quarantine.
        thumbnails: how many of these have one.
        changes: how often a template was enrolled, removed or changed.
    """

    version: int
    created: str
    dim: int
    fingerprint: str | None
    model: str | None
    last: int = 0
    templates: int = 0
    quarantined: int = 0
    thumbnails: int = 0
    changes: int = 0

    def crc(self) -> int:
        """Return the checksum of all of it."""
        return zlib.crc32(json.dumps(astuple(self)).encode())


ABOUT: LiteralString = (
    "version, created, dim, fingerprint, model, last, templates, quarantined, thumbnails, changes, "
    "crc"
)


def new_about(dim: int, fingerprint: str | None, model: str | None) -> GalleryRow:
    """Return what a new gallery says of itself."""
    return GalleryRow(VERSION, secrets.token_hex(16), dim, fingerprint, model)


def read_about(values: Sequence[Any]) -> GalleryRow:
    """Return what the columns `ABOUT` say.

    Raises:
        Damage: their checksum does not fit.
    """
    own: list[Any] = [restored(one) if isinstance(one, str) else one for one in values]
    crc = own.pop()
    about = GalleryRow(*own)
    if about.crc() != crc:
        raise Damage("what it says of itself")
    return about


def about_values(about: GalleryRow) -> tuple[int | str | None, ...]:
    """Return the columns `ABOUT`."""
    own = (storable(one) if isinstance(one, str) else one for one in astuple(about))
    return (*own, about.crc())


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A template as it is stored, without its thumbnail.

    Attributes:
        template: its id.
        identity: as it was written with it.
        metadata: a JSON text.
        vector: D big-endian float32, as PostgreSQL sends them.
        quality: None where none was enrolled.
        quarantine: the reason of it; None where it takes part.
    """

    template: int
    identity: str
    metadata: str
    vector: bytes
    quality: float | None = None
    quarantine: str | None = None

    def floats(self) -> NDArray[np.float32]:
        """Return the vector (D,)."""
        return np.frombuffer(self.vector, ">f4").astype(np.float32)

    def crc(self) -> int:
        """Return the checksum of all of it."""
        texts = [one.encode() for one in (self.identity, self.metadata, self.quarantine or "")]
        head = struct.pack("<q3Q", self.template, *map(len, texts))
        quality = b"" if self.quality is None else struct.pack("<d", self.quality)
        mark = b"\0" if self.quarantine is None else b"\1"
        return zlib.crc32(b"".join((head, *texts, mark, self.vector, quality)))


def key_of(identity: str) -> str:
    """Return what all written forms of an identity share, short enough for an index."""
    key = storable(identity_key(identity))
    content = key.encode()
    if len(content) <= _LONG:
        return key
    start = content[:_LONG].decode(errors="ignore")
    return f"{start}\N{HORIZONTAL ELLIPSIS}{hashlib.sha256(content).hexdigest()}"


def row_values(row: TemplateRow) -> tuple[int | float | str | bytes | None, ...]:
    """Return the columns `OWN` of a row, as `TYPES`."""
    return (
        row.template,
        row.crc(),
        key_of(row.identity),
        storable(row.identity),
        row.metadata,
        b"\1" + conditions_of(json.loads(row.metadata)).encode(),
        struct.pack(">HH", len(row.vector) // 4, 0) + row.vector,
        _length(row.floats()),
        row.quality,
        None if row.quarantine is None else storable(row.quarantine),
    )


def read_row(values: Sequence[Any]) -> TemplateRow | None:
    """Return the row that has the columns `READ`; None where they are not what was written."""
    template, crc, key, identity, metadata, conditions, vector, length, quality, reason = values
    row = TemplateRow(
        template,
        restored(identity),
        metadata,
        vector[4:],
        quality,
        None if reason is None else restored(reason),
    )
    if row.crc() != crc or key_of(row.identity) != key:
        return None
    floats = row.floats()
    # The checksum has passed: a length that is wrong now was wrong when it was written.
    if not abs(_length(floats) - 1) <= UNIT_TOLERANCE + 1e-6 or _length(floats) != length:
        return None
    return row if same_conditions(conditions, conditions_of(json.loads(metadata))) else None


def read_rows(rows: Sequence[Sequence[Any]]) -> list[TemplateRow]:
    """Return rows of the columns `READ`.

    Raises:
        Damage: names those that are not what was written.
    """
    found = [read_row(values) for values in rows]
    damaged = [values[0] for values, row in zip(rows, found, strict=True) if row is None]
    if damaged:
        raise damaged_templates(damaged)
    return [row for row in found if row is not None]


def damaged_templates(templates: Sequence[int], shown: int = 10) -> Damage:
    """Return the damage of these templates."""
    names = ", ".join(map(str, sorted(templates)[:shown]))
    more = f" and {len(templates) - shown} more" if len(templates) > shown else ""
    return Damage(f"{len(templates)} templates, ids {names}{more}", sorted(templates))


def checksum(number: int, content: bytes) -> int:
    """Return the checksum of a template's thumbnail, or of anything else with a number."""
    return zlib.crc32(struct.pack("<q", number) + content)


def vector_storage(dim: int) -> LiteralString:
    """Return how the vectors are stored: within the rows where they fit a page."""
    return "PLAIN" if dim <= _INLINE else "EXTERNAL"


def vector_text(vector: NDArray[np.floating]) -> str:
    """Return a vector (D,) as pgvector reads it, float32 to the last bit."""
    return f"[{','.join(map(repr, vector.astype(np.float32).tolist()))}]"


def _length(vector: NDArray[np.float32]) -> float:
    return float(norms(vector[None])[0])
