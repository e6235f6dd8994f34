"""A removed template is gone: from the file and from the log beside it, byte for byte."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest

from arcwise.errors import GalleryError
from arcwise.gallery import NewTemplate, open_gallery, sql

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


@pytest.mark.parametrize("compact_from", [50, 10**9])
def test_no_copy_stays_behind_whatever_happened_before(path, monkeypatch, compact_from):
    """SQLite moves rows between pages and leaves copies; ours are overwritten where they stand.

    With plain DELETEs instead, this finds some of the thousands of templates that were removed.
    """
    monkeypatch.setattr(sql, "_COMPACT_FROM", compact_from)
    rng = random.Random(0)
    vectors = np.random.default_rng(1).normal(size=(6000, DIM))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    live: dict[str, list[int]] = {}
    dead: list[int] = []
    used = 0
    with open_gallery(path, create=True, dim=DIM) as gallery:
        while used < 5900:
            if len(live) > 5 and rng.random() < 0.6:
                name = rng.choice(sorted(live))
                assert gallery.remove(name) == len(live[name])
                dead += live.pop(name)
            else:
                rows = range(used, used + rng.randrange(1, 60))
                used = rows.stop
                names = [f"name {rng.randrange(60)}" for _ in rows]
                notes = [{"note": "x" * rng.choice([0, 50, 1500])} for _ in rows]
                gallery.enrol(zip(names, vectors[rows], notes, strict=True))
                for name, row in zip(names, rows, strict=True):
                    live.setdefault(name, []).append(row)
        assert gallery.check().templates == sum(map(len, live.values()))
    content = np.frombuffer(contents(path), np.uint8)
    everywhere = np.sort(
        np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(content, 8)).view(np.uint64),
        axis=None,
    )
    words = vectors.view(np.uint64)[:, ::4]  # 8 bytes at eight places of each vector
    places = np.minimum(np.searchsorted(everywhere, words), everywhere.size - 1)
    found = everywhere[places] == words
    assert len(dead) > 2000
    assert all(found[rows].all() for rows in live.values())
    assert not found[dead].any()


def test_the_file_does_not_grow_for_ever(path, unit, monkeypatch):
    monkeypatch.setattr(sql, "_COMPACT_FROM", 20)
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


def test_a_thumbnail_and_what_was_changed_go_with_the_template(path, unit):
    vectors = unit(4, DIM)
    picture = bytes(range(1, 200))
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol([NewTemplate(f"id-{n}", v, thumbnail=picture) for n, v in enumerate(vectors)])
        gallery.assign([1, 2], "renamed-person")
        gallery.annotate(1, {"note": "second-secret"})
        gallery.quarantine([1], "third-secret")
        secrets = (b"renamed-person", b"second-secret", b"third-secret")
        assert all(one in contents(path) for one in secrets)
        gallery.release([1])
        gallery.remove_templates([1, 3, 4])
        gallery.remove("renamed-person")
        content = contents(path)
        assert not any(one in content for one in (*secrets, picture[:16], picture[-16:]))


def test_purging_takes_the_names_that_templates_had(path, unit):
    vectors = unit(3, DIM)
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol([(f"old-name-{n}", v, {"note": "old-note"}) for n, v in enumerate(vectors)])
        gallery.assign([1, 2, 3], "new-name")
        for template in (1, 2, 3):
            gallery.annotate(template, {"note": f"new-{template}"})
        gallery.quarantine([3], "blurred")
        assert b"old-name" in contents(path)
        before = gallery.templates(), gallery.quarantined(), gallery.search(vectors)
        gallery.purge()
        content = contents(path)
        assert b"old-name" not in content
        assert b"old-note" not in content
        assert (gallery.templates(), gallery.quarantined(), gallery.search(vectors)) == before
        gallery.release([3])
        gallery.assign([2], "another")  # of which the purge left no amendment
        assert gallery.counts() == {"another": 1, "new-name": 2}
        assert gallery.check().templates == 3
    with open_gallery(path) as gallery:
        assert gallery.counts() == {"another": 1, "new-name": 2}


def test_a_purge_says_that_a_reader_is_in_the_way(path, unit):
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol([("ann", unit(1, DIM)[0])])
        with open_gallery(path, mode="r") as other:
            reading = other.stored()
            next(reading)
            with pytest.raises(GalleryError, match="another process is reading"):
                gallery.purge()
            reading.close()
        gallery.purge()
