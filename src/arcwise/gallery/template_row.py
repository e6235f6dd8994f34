"""A template as the stores on servers keep it, and its checksum."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arcwise.gallery.contract import Health, StoredTemplates
from arcwise.gallery.damage import Damage
from arcwise.identity import identity_key


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A template as it is stored, without its thumbnail.

    Attributes:
        template: its id.
        identity: as it was written with it.
        metadata: a JSON text.
        vector: D big-endian float32.
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


def damaged_templates(templates: Sequence[int], shown: int = 10) -> Damage:
    """Return the damage of these templates."""
    names = ", ".join(map(str, sorted(templates)[:shown]))
    more = f" and {len(templates) - shown} more" if len(templates) > shown else ""
    return Damage(f"{len(templates)} templates, ids {names}{more}", sorted(templates))


def checksum(number: int, content: bytes) -> int:
    """Return the checksum of a template's thumbnail, or of anything else with a number."""
    return zlib.crc32(struct.pack("<q", number) + content)


def stored_templates(
    rows: Sequence[TemplateRow], thumbnails: Sequence[bytes | None]
) -> StoredTemplates:
    """Return what `Gallery.stored` yields of some templates, at least one."""
    return StoredTemplates(
        np.array([row.template for row in rows], np.int64),
        [row.identity for row in rows],
        np.stack([row.floats() for row in rows]),
        [json.loads(row.metadata) for row in rows],
        [row.quality for row in rows],
        list(thumbnails),
        [row.quarantine for row in rows],
    )


def health(stored: Iterable[StoredTemplates]) -> Health:
    """Return how much there is in all of the chunks."""
    count, held, names = 0, 0, set()
    for rows in stored:
        count += len(rows)
        held += sum(reason is not None for reason in rows.quarantined)
        names.update(map(identity_key, rows.identities))
    return Health(count, len(names), held)
