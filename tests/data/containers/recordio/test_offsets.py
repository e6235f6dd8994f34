import contextlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arcwise.data.containers.recordio.offsets import read_index
from arcwise.errors import ArcwiseError

places = st.dictionaries(st.integers(0, 2**40), st.integers(0, 2**40).map(lambda one: 4 * one))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index") / "train.idx"


@given(places.filter(bool), st.sampled_from(["\n", "\r\n"]))
def test_every_key_leads_to_its_offset(path: Path, written: dict[int, int], newline: str):
    path.write_bytes("".join(f"{k}\t{v}{newline}" for k, v in written.items()).encode())
    index = read_index(path)
    assert {int(key): index.offset(int(key)) for key in index.keys} == written
    keys = np.array([*written, 2**41], np.int64)
    np.testing.assert_array_equal(index.offsets[index.rows(keys[:-1])], [*written.values()])
    assert index.rows(keys)[-1] == -1
    assert index.offset(2**41) == index.offset(-1) == -1
    assert len(index) == len(written)


def test_keys_without_gaps_are_not_stored(path: Path):
    path.write_text("2\t8\n1\t4\n3\t0\n")
    assert read_index(path).keys == range(1, 4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty; remove it, and the .rec itself is looked through"),
        ("0\t0\n1\t8\n0\t16\n", "line 3 has the key 0 of line 1 again"),
        ("5\t0\n9\t8\n5\t16\n", "line 3 has the key 5 of line 1 again"),
        ("0\t0\n1\t7\n", r"line 2 is '1\\t7'; expected a key, a tab"),
        ("0\t0\n1\t-8\n", "line 2 is"),
        ("0\t0\n-1\t8\n", "line 2 is"),
        ("0\t0\n1\n", "line 2 is '1'"),
        ("0\t0\n1\t8\t9\n", "line 2 is"),
        ("0\t0\n1\t8\n1\teight\n", r"line 3 is '1\\teight'"),
        ("0\t0\n1\t99999999999999999999\n", "line 2 is"),
        ('"0\t0\n1\t8\n', "line 1 is"),
        ("\x00\x00\x00", "line 1 is"),
    ],
)
def test_wrong_lines_are_named(path: Path, text: str, reason: str):
    path.write_text(text)
    with pytest.raises(ArcwiseError, match=reason) as caught:
        read_index(path)
    assert str(path) in str(caught.value)


@given(st.binary(max_size=60))
def test_anything_else_is_one_clear_error(path: Path, data: bytes):
    path.write_bytes(data)
    with contextlib.suppress(ArcwiseError):
        index = read_index(path)
        assert len(index) <= data.count(b"\t")


@pytest.mark.parametrize("mixed", [False, True])
def test_the_index_of_200_000_records_is_read_in_blocks(path: Path, mixed: bool):
    """8 bytes a record stay: 16 MB for two million."""
    count = 200_000
    keys = np.random.default_rng(0).permutation(count) if mixed else np.arange(count)
    path.write_text("".join(f"{key}\t{40 * key}\n" for key in keys))
    tracemalloc.start()
    try:
        index = read_index(path)
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert index.offset(777) == 40 * 777
    assert now < 2.0e6
    assert peak - now < 4e6  # blocks of text, however many there are
