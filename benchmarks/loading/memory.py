"""What a file of very many records costs in memory, only because there are so many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from arcwise.data.manifest import Manifest, open_manifest
from arcwise.data.writing.records import RecordWriter
from arcwise.data.writing.shards import ShardWriter
from measured import memory

from .process import Running

WRITERS = {"rec": ("tiny.rec", RecordWriter), "tar shards": ("tiny.tar", ShardWriter)}
IDENTITIES, READ = 100_000, 10_000


def measure(_: Manifest, folder: Path, rounds: int, records: int) -> list[dict[str, Any]]:
    """A row a container: how much more memory is resident at the highest than before."""
    rows = []
    for form in WRITERS:
        place = folder / f"{records}_{form.replace(' ', '_')}"
        if not place.exists():
            Running(make, [0, 1], form=form, place=str(place), records=records).result()
        name = WRITERS[form][0]
        rows.append({"line": form} | Running(job, [0], place=str(place / name)).result())
    return rows


def make(form: str, place: str, records: int) -> None:
    """A file of this many records of a few bytes each."""
    name, writer = WRITERS[form]
    people = np.arange(records) // max(records // IDENTITIES, 1)
    table = {
        "image": pa.array([f"{row}.jpg" for row in range(records)]),
        "identity": pa.array(people).cast(pa.string()),
    }
    partial = Path(f"{place}.partial")
    partial.mkdir(parents=True)
    written = writer(partial, name, Manifest(pa.table(table), partial, "tiny"))
    written.resume()
    for row in range(records):
        written.add(row, b"\xff\xd8%d\xff\xd9" % row)
    written.finish(range(records))
    partial.rename(place)


def job(place: str) -> dict[str, int]:
    """Bytes beyond the start: to open the file, and to read pictures all over it."""
    warm = open_manifest(place).select([0]).read(0)  # what is loaded once is not the file's
    assert warm
    memory.settle()
    before = memory.resident()
    memory.reset_peak()
    manifest = open_manifest(place)
    opened = memory.peak() - before
    for row in np.linspace(0, len(manifest) - 1, READ).astype(int):
        assert manifest.read(int(row))
    return {"records": len(manifest), "opened": opened, "read": memory.peak() - before}
