"""The digest of an image depends on the bytes of its file, not on its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from arcwise.data.digests import content_digest, content_digests
from arcwise.data.formats.opening import open_manifest
from arcwise.verbs.data_convert import convert


def test_a_digest_is_a_positive_number_of_63_bits() -> None:
    digests = [content_digest(bytes([one])) for one in range(256)]
    assert len(set(digests)) == 256
    assert all(0 < one < 2**63 for one in digests)


def test_the_same_in_every_container(a_folder: Callable[..., Path], tmp_path: Path) -> None:
    root = a_folder("ann/1.png", "bob/1.jpg", "bob/gone.png")
    source = open_manifest(root)
    (root / "bob" / "gone.png").unlink()
    expected = [content_digest((root / one).read_bytes()) for one in ("ann/1.png", "bob/1.jpg")]
    assert content_digests(source).tolist() == [*expected, 0]
    for form in ("set.zip", "set.rec", "set.tar", "set.parquet"):
        path = convert(root, tmp_path / form).path
        assert sorted(content_digests(open_manifest(path)).tolist()) == sorted(expected)
