"""The memory that a file of very many small records takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from arcwise.data.containers import tarred
from arcwise.data.containers.recordio import RecordContainer
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.writing.records import RecordWriter
from arcwise.data.writing.shards import ShardWriter
from measured import memory

from .process import Running

WRITERS = {"rec": ("tiny.rec", RecordWriter), "tar shards": ("tiny.tar", ShardWriter)}
IDENTITIES, FEW, READ = 100_000, 1000, 10_000


def measure(_: Manifest, folder: Path, rounds: int, records: int) -> list[dict[str, Any]]:
    """Return a row per container: peak resident memory above that before."""
    rows = []
    for form, (name, _writer) in WRITERS.items():
        few, many = (_made(folder, form, count) / name for count in (FEW, records))
        task = {"few": str(few), "many": str(many)}
        streamed = Running(stream, [0], **task).result()
        rows.append({"line": form, "streamed": streamed} | Running(job, [0], **task).result())
    return rows


def _made(folder: Path, form: str, records: int) -> Path:
    place = folder / f"{records}_{form.replace(' ', '_')}"
    if not place.exists():
        Running(make, [0, 1], form=form, place=str(place), records=records).result()
    return place


def make(form: str, place: str, records: int) -> None:
    """Write a file of this many records of a few bytes each."""
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


def stream(few: str, many: str) -> int:
    """Return the bytes above the start to read every record in order."""
    before, count = 0, 0
    for place in (few, many):
        memory.settle()
        before = memory.resident()
        memory.reset_peak()
        count = sum(1 for _ in _each(Path(place)))
    assert count >= FEW
    return memory.peak() - before


def _each(place: Path) -> Iterator[object]:
    if place.suffix == ".rec":
        yield from RecordContainer(str(place)).each()
    for shard in sorted(place.parent.glob(f"{place.stem}-*.tar")):
        yield from tarred.each(shard)


def job(few: str, many: str) -> dict[str, int]:
    """Return the bytes above the start to open the file, and to read images all over it."""
    assert open_manifest(few).read(0)  # what is loaded once for any file is not counted
    memory.settle()
    before = memory.resident()
    memory.reset_peak()
    manifest = open_manifest(many)
    opened = memory.peak() - before
    for row in np.linspace(0, len(manifest) - 1, READ).astype(int):
        assert manifest.read(int(row))
    return {"records": len(manifest), "opened": opened, "read": memory.peak() - before}
