"""Packs that are written: what pickle loads, in the order of the pairs, after any interruption."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.writing.pack import PackWriter
from arcwise.errors import ArcwiseError

LOADS = """
import json, pickle, sys
with open(sys.argv[1], "rb") as file:
    images, same = pickle.load(file, encoding="bytes")
assert [type(one) for one in images] == [bytes] * len(images), "bytes"
assert [type(one) for one in same] == [bool] * len(same), "bool"
print(json.dumps([[one.decode("latin-1") for one in images], same]))
"""


def a_manifest(images: int, pairs: list[tuple[int, int, bool]] | None, **more: list) -> Manifest:
    table = pa.table({"image": [f"{row}.jpg" for row in range(images)]})
    columns = {
        "a": [f"{a}.jpg" for a, _, _ in pairs or ()],
        "b": [f"{b}.jpg" for _, b, _ in pairs or ()],
        "same": pa.array([same for *_, same in pairs or ()], pa.bool_()),
    }
    stated = None if pairs is None else pa.table({**columns, **more})
    return Manifest(table, Path(), "photos", pairs=stated)


def image(row: int) -> bytes:
    return b"\xff\xd8picture %d." % row * (row + 1)


def written(folder: Path, manifest: Manifest, rows: list[int] | None = None) -> Path:
    """The pack of a manifest's images, or of some of them."""
    rows = list(range(len(manifest))) if rows is None else rows
    writer = PackWriter(folder, "faces.bin", manifest)
    assert writer.resume() == 0
    for row in rows:
        writer.add(row, image(row))
    assert writer.finish(rows) == ["faces.bin"]
    return folder / "faces.bin"


def read(path: Path) -> tuple[list[bytes], list[bool]]:
    manifest = open_manifest(path, identities=False)
    assert manifest.pairs is not None
    return [manifest.read(row) for row in range(len(manifest))], manifest.pairs["same"].to_pylist()


PAIRS = [(0, 3, True), (3, 1, False), (4, 0, True)]


def test_plain_pickle_loads_it(tmp_path: Path) -> None:
    path = written(tmp_path, a_manifest(5, PAIRS))
    child = [sys.executable, "-c", LOADS, str(path)]
    loaded = json.loads(subprocess.run(child, check=True, capture_output=True).stdout)
    expected = [image(row).decode("latin-1") for row in (0, 3, 3, 1, 4, 0)]
    assert loaded == [expected, [True, False, True]]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=40
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[int, int, bool]]
) -> None:
    images, same = read(written(tmp_path_factory.mktemp("pack"), a_manifest(7, pairs)))
    assert images == [image(row) for a, b, _ in pairs for row in (a, b)]
    assert same == [one for *_, one in pairs]


def test_many_pairs_of_few_pictures(tmp_path: Path) -> None:
    pairs = [(row % 5, (row + 1) % 5, row % 3 == 0) for row in range(30_000)]
    path = written(tmp_path, a_manifest(5, pairs))
    images, same = read(path)
    assert images == [image(row) for a, b, _ in pairs for row in (a, b)]
    assert same == [one for *_, one in pairs]
    assert path.stat().st_size < 11 * len(pairs) + 1000  # each image is in it once


def test_pairs_go_fold_by_fold(tmp_path: Path) -> None:
    pairs = [(0, 1, True), (1, 2, False), (2, 3, True), (3, 4, False)]
    images, same = read(written(tmp_path, a_manifest(5, pairs, fold=["x", "y", "x", "y"])))
    assert images == [image(row) for row in (0, 1, 2, 3, 1, 2, 3, 4)]
    assert same == [True, True, False, False]


def test_pairs_without_their_pictures_are_left_out_and_counted(tmp_path: Path) -> None:
    manifest = a_manifest(5, PAIRS)
    images, same = read(written(tmp_path, manifest, [0, 1, 3]))
    assert (images, same) == ([image(row) for row in (0, 3, 3, 1)], [True, False])
    writer = PackWriter(tmp_path, "faces.bin", manifest)
    assert writer.resume() == 4
    writer.finish([0, 1, 3])
    assert writer.left_out == 1
    assert "no place in a pack" in writer.notes[0]
    assert writer.notes[1].startswith("1 pairs left out")
    with pytest.raises(ArcwiseError, match=r"faces\.bin: both images of none of 3 pairs"):
        writer.finish([1, 2])


def test_resumed_wherever_it_was_cut_off(tmp_path: Path) -> None:
    manifest = a_manifest(6, PAIRS)  # no pair has image 2 or 5
    whole = written(tmp_path, manifest).read_bytes()
    waiting = tmp_path / "faces.bin.images"
    everything = waiting.read_bytes()
    seen = set()
    for length in range(len(everything) + 1):
        waiting.write_bytes(everything[:length])
        (tmp_path / "faces.bin").write_bytes(whole[: length // 2])  # finishing was cut off, too
        writer = PackWriter(tmp_path, "faces.bin", manifest)
        start = writer.resume()
        seen.add(start)
        assert everything.startswith(waiting.read_bytes())
        for row in range(start, 6):
            writer.add(row, image(row))
        writer.close()
        writer.finish(range(6))
        assert (tmp_path / "faces.bin").read_bytes() == whole
    assert seen == set(range(7))


def test_what_waits_and_makes_no_sense_is_cut_off(tmp_path: Path) -> None:
    manifest = a_manifest(6, PAIRS)
    written(tmp_path, manifest)
    waiting = tmp_path / "faces.bin.images"
    length = waiting.stat().st_size
    for junk in (bytes(40), b"\xff" * 40, (9).to_bytes(8, "little") + bytes(8)):
        with open(waiting, "ab") as file:
            file.write(junk)
        assert PackWriter(tmp_path, "faces.bin", manifest).resume() == 6
        assert waiting.stat().st_size == length


def test_pairs_are_needed(tmp_path: Path) -> None:
    for pairs in (None, []):
        with pytest.raises(
            ArcwiseError, match=r"photos states none; make some with 'arcwise data pairs'"
        ):
            PackWriter(tmp_path, "faces.bin", a_manifest(2, pairs))
    with pytest.raises(ArcwiseError, match=r"pair 1: '5\.jpg' is no image of photos"):
        PackWriter(tmp_path, "faces.bin", a_manifest(2, [(0, 5, True)]))


def test_pairs_of_templates_are_refused(tmp_path: Path) -> None:
    manifest = a_manifest(3, [(0, 1, True)])
    table = manifest.table.append_column("template", pa.array(["0.jpg", "1.jpg", "1.jpg"]))
    with pytest.raises(ArcwiseError, match=r"pair 1: '1\.jpg' is several images of photos"):
        PackWriter(tmp_path, "faces.bin", replace(manifest, table=table))
