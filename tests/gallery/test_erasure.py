"""A removed template is gone: from the file and from the log beside it, byte for byte."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest

from arcwise.gallery import open_gallery, records

DIM = 64


def contents(path):
    """The bytes of the file and its log, read by another process: see test_damage."""
    read = (
        "import sys, pathlib; sys.stdout.buffer.write(b''.join("
        "p.read_bytes() for p in sorted(pathlib.Path(sys.argv[1]).iterdir())))"
    )
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", read, str(path.parent)], capture_output=True, check=True
    ).stdout  # fmt: skip


def traces(content, vector, identity):
    blob = vector.tobytes()
    pieces = [blob[start : start + 16] for start in (0, 64, 128, 192, len(blob) - 16)]
    return sum(piece in content for piece in [*pieces, identity.encode()])


def test_the_bytes_of_a_removed_identity_are_in_no_file(path, unit):
    vectors = unit(10, DIM)
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol(
            [(f"identity-{row}", v, {"note": f"secret-{row}"}) for row, v in enumerate(vectors)]
        )
        content = contents(path)
        assert traces(content, vectors[3], "identity-3") == 6
        assert b"secret-3" in content
        gallery.remove("identity-3")
        content = contents(path)  # while it is open
        assert traces(content, vectors[3], "identity-3") == 0
        assert b"secret-3" not in content
        assert traces(content, vectors[4], "identity-4") == 6
        gallery.enrol([("identity-4", vectors[5])], replace=True)
        assert traces(contents(path), vectors[4], "no such name") == 0


@pytest.mark.parametrize("compact_from", [10, 10**9])
def test_no_copy_stays_behind_whatever_happened_before(path, monkeypatch, compact_from):
    """SQLite moves rows between pages and leaves copies; ours are overwritten where they stand."""
    monkeypatch.setattr(records, "_COMPACT_FROM", compact_from)
    rng = random.Random(1)
    vectors = np.random.default_rng(1).normal(size=(1000, DIM))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    live: dict[str, np.ndarray] = {}
    dead: dict[str, np.ndarray] = {}
    used = 0
    with open_gallery(path, create=True, dim=DIM) as gallery:
        for _ in range(40):
            if len(live) > 50 and rng.random() < 0.6:
                for name in rng.sample(sorted(live), 8):
                    gallery.remove(name)
                    dead[name] = live.pop(name)
            else:
                new = {f"name-{n:05}-end": vectors[n] for n in range(used, used + 25)}
                used += 25
                live |= new
                note = {"note": "x" * rng.randrange(1500)}
                gallery.enrol([(name, vector, note) for name, vector in new.items()])
        assert gallery.check().templates == len(live)
    content = contents(path)
    assert len(dead) > 100
    assert sum(traces(content, vector, name) for name, vector in dead.items()) == 0
    assert all(traces(content, vector, name) == 6 for name, vector in live.items())


def test_the_file_does_not_grow_for_ever(path, unit, monkeypatch):
    monkeypatch.setattr(records, "_COMPACT_FROM", 20)
    vectors = unit(100, DIM)
    with open_gallery(path, create=True, dim=DIM) as gallery:
        for start in range(0, 100, 10):
            for _ in range(3):
                gallery.enrol([("ann", v) for v in vectors[start : start + 10]], replace=True)
        size = path.stat().st_size
        for _ in range(15):
            gallery.enrol([("ann", v) for v in vectors[:10]], replace=True)
        assert path.stat().st_size <= size + 16384
        assert len(gallery) == 10
