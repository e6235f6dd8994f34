"""Verification packs: every flavour is read, nothing is ever loaded."""

from __future__ import annotations

import os
import pickle
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.containers.pack import PackContainer, open_container
from arcwise.errors import ArcwiseError, ImageError
from tests import packs

IMAGES = [b"\xff\xd8first\n\x00\x80", b"second 'quoted\\'", b"", bytes(range(256)) * 2]
SAME = [True, False]

APackFile = Callable[[bytes], Path]


@pytest.fixture
def a_pack(tmp_path: Path) -> APackFile:
    """A function: bytes → the file lfw.bin."""

    def make(data: bytes) -> Path:
        (tmp_path / "lfw.bin").write_bytes(data)
        return tmp_path / "lfw.bin"

    return make


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packs") / "lfw.bin"


def content(pack: PackContainer) -> list[bytes]:
    return [pack.read(str(row), f"lfw.bin/{row}") for row in range(len(pack))]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("flavour", packs.ALL, ids=lambda one: one.__name__)
def test_every_flavour_is_read(a_pack: APackFile, flavour: packs.Pickled, protocol: int) -> None:
    data = flavour(IMAGES, SAME, protocol)
    pack = open_container(str(a_pack(data)))
    assert content(pack) == IMAGES
    assert pack.same.tolist() == SAME


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.binary(max_size=600), st.binary(max_size=9), st.booleans()), min_size=1),
    st.sampled_from(packs.ALL),
    st.integers(0, 5),
)
def test_what_pickle_writes_is_read(
    place: Path, pairs: list[tuple[bytes, bytes, bool]], flavour: packs.Pickled, protocol: int
) -> None:
    images = [image for *both, _ in pairs for image in both]
    same = [same for *_, same in pairs]
    place.write_bytes(flavour(images, same, protocol))
    pack = open_container(str(place))
    assert content(pack) == images
    assert pack.same.tolist() == same


def test_the_real_pack_is_what_pickle_says(data_dir: Path) -> None:
    path = data_dir / "reference" / "small_lfw.bin"
    pack = open_container(str(path))
    with open(path, "rb") as file:
        images, same = pickle.load(file, encoding="bytes")
    assert content(pack) == [one.tobytes() for one in images]
    assert pack.same.tolist() == same


def test_a_image_that_occurs_twice_is_read_twice(a_pack: APackFile) -> None:
    one = b"the same object"
    assert content(open_container(str(a_pack(packs.plain([one, one], [True]))))) == [one, one]


def test_positions(a_pack: APackFile) -> None:
    pack = open_container(str(a_pack(packs.plain(IMAGES, SAME))))
    assert [
        name for name in ("0", "3", "4", "-1", "01", "", "x", "²", "9" * 30) if name in pack
    ] == [
        "0",
        "3",
    ]
    with pytest.raises(
        ImageError, match=r"^lfw\.bin/4: lfw\.bin has no image '4'; expected 0 to 3$"
    ):
        pack.read("4", "lfw.bin/4")


def test_a_file_cut_while_it_is_open_is_that_image_s_error(a_pack: APackFile) -> None:
    path = a_pack(packs.plain(IMAGES, SAME))
    pack = open_container(str(path))
    os.truncate(path, 40)
    assert pack.read("0", "lfw.bin/0") == IMAGES[0]
    with pytest.raises(ImageError, match=r"lfw\.bin was cut off since it was opened"):
        pack.read("3", "lfw.bin/3")


@pytest.mark.parametrize("flavour", [packs.plain, packs.arrays, packs.python_2, packs.numpy_1])
@pytest.mark.parametrize("protocol", [0, 3, 5])
def test_every_truncation_is_refused(place: Path, flavour: packs.Pickled, protocol: int) -> None:
    data = flavour([b"ab", b"cd\xff"], [True], protocol)
    for length in range(len(data)):
        place.write_bytes(data[:length])
        with pytest.raises(ArcwiseError, match=r"lfw\.bin: (damaged or cut off at byte|empty)"):
            open_container(str(place))
    place.write_bytes(data + b".")
    with pytest.raises(ArcwiseError, match="damaged"):
        open_container(str(place))


@pytest.mark.parametrize("flavour", [packs.plain, packs.arrays, packs.numpy_flags, packs.python_2])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_every_flipped_byte_is_an_error_or_a_pack_as_pickle_loads_it(
    place: Path, flavour: packs.Pickled, protocol: int
) -> None:
    data = flavour([b"ab", b"cd\xff"], [False], protocol)
    outcomes: set[object] = set()
    for position in range(len(data)):
        for flip in (1, 0x20, 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= flip
            place.write_bytes(damaged)
            try:
                found = content(pack := open_container(str(place)))
            except ArcwiseError as problem:
                outcomes.add((str(problem).startswith(str(place)), "\n" in str(problem)))
                continue
            outcomes.add("read")
            assert len(found) == 2 * len(pack.same)
            if b"numpy" not in damaged:  # a flipped dtype can break NumPy itself
                _agrees(bytes(damaged), found, pack.same.tolist())
    assert outcomes - {(False, False)} == {(True, False), "read"}


def _agrees(data: bytes, images: list[bytes], same: list[bool]) -> None:
    """Assert that pickle loads the same; what the reader has followed is safe to load."""
    try:
        loaded = pickle.loads(data, encoding="bytes")
    except Exception:  # stricter about frames and protocols, which carry nothing
        return
    assert [list(loaded[0]), [bool(one) for one in loaded[1]]] == [images, same]


def test_a_damaged_image_takes_no_other_with_it(a_pack: APackFile) -> None:
    data = packs.plain([b"aaaa", b"bbbb", b"cccc", b"dddd"], SAME)
    damaged = data.replace(b"bbbb", b"b.(R")
    found = content(open_container(str(a_pack(damaged))))
    assert found == [b"aaaa", b"b.(R", b"cccc", b"dddd"]
    written_as_text = packs.plain([b"aaaa", b"bbbb", b"cccc", b"dddd"], SAME, 2)
    pack = open_container(str(a_pack(written_as_text.replace(b"bbbb", b"bb\xff\xff"))))
    with pytest.raises(ImageError, match=r"^lfw.bin/1: damaged: its bytes are not written as"):
        pack.read("1", "lfw.bin/1")
    assert pack.read("2", "lfw.bin/2") == b"cccc"


def test_an_array_of_another_length_than_it_states_is_that_image_s_error(
    a_pack: APackFile,
) -> None:
    data = packs.arrays([b"abcdefghi" * 5, b"second"], [True], 3)
    pack = open_container(str(a_pack(data.replace(b"K\x2d", b"K\x2c", 1))))
    with pytest.raises(ImageError, match=r"^lfw.bin/0: damaged: 45 bytes where 44 are stated$"):
        pack.read("0", "lfw.bin/0")
    assert pack.read("1", "lfw.bin/1") == b"second"


class Reduced:
    """Pickles as a call of a function."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


def _getattr_chain() -> object:
    return Reduced(getattr, (Reduced(getattr, (os, "path")), "join"))


HOSTILE = {
    "os.system": (lambda: Reduced(os.system, ("touch owned",)), r"would load (posix|nt)\.system"),
    "eval": (lambda: Reduced(eval, ("1",)), r"would load (builtins|__builtin__)\.eval"),
    "exec": (lambda: Reduced(exec, ("1",)), r"would load (builtins|__builtin__)\.exec"),
    "numpy.load": (lambda: Reduced(np.load, ("x.npy",)), r"would load numpy\.load"),
    "a class": (lambda: IMAGES.__class__.__subclasses__, r"would load (builtins|__builtin__)\."),
    "getattr": (
        lambda: Reduced(getattr, (np.ndarray, "tofile")),
        r"would load (builtins|__builtin__)\.getattr",
    ),
    "a Path": (lambda: Path("x"), r"would load pathlib"),
    "an object array": (lambda: np.array([{}, []], object), "would build an array of O8, not of"),
    "numbers": (lambda: np.zeros(3), "would build an array of f8, not of bytes"),
    "a NumPy number": (lambda: np.int64(3), "would build an array of i8"),
    "a record": (lambda: np.zeros(2, [("x", "u1")]), "would build an array of V1"),
    "pixels": (
        lambda: np.zeros((2, 3, 3), np.uint8),
        r"would build an array of shape \(2, 3, 3\), not the bytes",
    ),
    "a dictionary": (dict, "would build a dictionary"),
    "a fraction": (lambda: 0.5, "would build a fraction"),
    "a large number": (lambda: 2**70, "would build a number|damaged"),
}


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
@pytest.mark.parametrize("what", HOSTILE)
def test_what_else_it_would_load_is_named(
    a_pack: APackFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    make, message = HOSTILE[what]
    path = a_pack(pickle.dumps(([IMAGES[0], make()], [True]), protocol))
    with pytest.raises(ArcwiseError, match=rf"lfw\.bin: ({message})"):
        open_container(str(path))
    assert os.listdir(tmp_path) == ["lfw.bin"]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            b"cos\nsystem\n(S'touch owned'\ntR.",
            r"would load os\.system; refused: a verification pack",
        ),
        (b"(S'touch owned'\nios\nsystem\n.", r"would load os\.system"),
        (b"(inumpy\ndtype\n.", r"would call numpy\.dtype"),
        (b"cos\npath.join\n.", r"would load os\.path\.join"),
        (b"\x8c\x02os\x8c\x06system\x93.", r"would load os\.system"),
        (b"\x8c\x02os\x8c\x04a\n\x1bb\x93.", r"would load 'os\.a\\n\\x1bb'"),
        (b"K\x01K\x02\x93.", "has int in the place of a name"),
        (b"\x8c\x05numpy\x8c\x05dtype\x93)\x81.", "would build an object"),
        (b"(cnumpy\nndarray\no.", "would build an object"),
        (b"cnumpy\nndarray\nK\x05\x85R.", r"would call numpy\.ndarray"),
        (b"cnumpy\ndtype\n)R.", r"would call numpy\.dtype with 0 arguments"),
        (b"cnumpy\ndtype\nK\x01R.", r"would call numpy\.dtype"),
        (b"cnumpy\ndtype\n\x8c\x02u1\x85RK\x01b.", "would set the state of a NumPy dtype u1"),
        (b"cnumpy\ndtype\n\x8c\x02u1\x85R]\x85b.", "would build a NumPy dtype with fields"),
        (b"]K\x01b.", "would set the state of list"),
        (
            b"cnumpy.core.multiarray\n_reconstruct\nK\x01K\x01K\x01\x87R.",
            "would build int as an array",
        ),
        (b"c_codecs\nencode\nX\x01\0\0\0aX\x05\0\0\0utf-7\x86R.", "would encode text"),
        (b"\x82\x01.", "would load an extension by its number"),
        (b"P1\n.", "would load a persistent object"),
        (b"K\x01Q.", "would load a persistent object"),
        (b"\x97.", "would take a buffer from elsewhere"),
        (b"\x8f.", "would build a set"),
        (b"F1.5\n.", "would build a fraction"),
        (b"\x8b\xff\xff\xff\x7f1.", "would build a number of more than 8 bytes"),
        (b"\x8e" + struct.pack("<Q", 2**63) + b"abc.", "damaged or cut off at byte 0"),
        (b"\x8d" + struct.pack("<Q", 2**40) + b"abc.", "damaged or cut off at byte 0"),
        (b"B\xff\xff\xff\xffabc.", "damaged or cut off at byte 0"),
        (b"\x80\x04\x95" + b"\xff" * 8 + b"].", "no verification pack"),
        (b"Nr\xff\xff\xff\xff.", "no verification pack"),  # a memo of 4 billion places
        (b"h\x05.", "damaged or cut off at byte 0"),
        (b"j\x05\0\0\0.", "damaged"),
        (b"g" + b"9" * 1000 + b"\n.", "damaged"),
        (b"I" + b"9" * 100 + b"\n.", "damaged"),
        (b"L9999999999999999999L\n.", "damaged"),
        (b"S'a\n.", "damaged"),
        (b"S'\n.", "damaged"),
        (b"0.", "damaged"),
        (b"1.", "damaged"),
        (b"e.", "damaged"),
        (b"K\x01K\x02a.", "damaged or cut off at byte 4"),
        (b"\x87.", "damaged"),
        (b"N2.", "damaged or cut off at byte 1"),  # pickle writes no DUP
        (b"(N.", "damaged"),
        (b"NN.", "damaged"),
        (b"PK\x03\x04", "would load a persistent object|damaged"),
        (b"hello", "damaged"),
        (b"]" * 100_000 + b".", "takes more steps than its images can need"),
    ],
)
def test_programs_that_pickle_never_writes(a_pack: APackFile, program: bytes, message: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ArcwiseError, match=rf"lfw\.bin: ({message})") as caught:
        open_container(str(a_pack(program)))
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - start < 1.0


def test_memory_is_not_taken_by_what_a_file_states(a_pack: APackFile) -> None:
    """Nesting as deep as the file is long, and a list that holds itself."""
    deep = b"]" * 2000 + b"a" * 1999
    with pytest.raises(ArcwiseError, match="no verification pack"):
        open_container(str(a_pack(deep + b".")))
    with pytest.raises(ArcwiseError, match="no verification pack"):
        open_container(str(a_pack(b"]q\x00h\x00a.")))
    with pytest.raises(ArcwiseError, match="image 0 is a list"):
        open_container(str(a_pack(b"]q\x00(h\x00h\x00e](\x88e\x86.")))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "no verification pack; expected a list of images and of flags"),
        (([], []), "0 images and 0 flags"),
        (([b"a"], [True]), "1 images and 1 flags; expected two images for each flag"),
        (([b"a", b"b"], [True, True]), "2 images and 2 flags"),
        (([b"a", b"b"], [2]), "flag 0 is 2; expected true or false"),
        (([b"a", b"b"], ["yes"]), "flag 0 is text"),
        (([b"a", b"b"], [None]), "flag 0 is nothing"),
        (([b"a", b"b"], b"\x01"), "expected its flags as a list"),
        ((b"ab", [True]), "expected its images as a list"),
        (([b"a", "b"], [True]), "image 1 is text; expected the bytes of an image file"),
        (([b"a", []], [True]), "image 1 is a list"),
        (([b"a", 7], [True]), "image 1 is 7"),
        (([b"a", np.array([True])], [True]), "image 1 is an array of something else"),
    ],
)
def test_what_is_no_pack_is_refused(a_pack: APackFile, value: object, message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        open_container(str(a_pack(pickle.dumps(value))))


def test_flags_as_numbers_are_flags(a_pack: APackFile) -> None:
    pack = open_container(str(a_pack(pickle.dumps(([b"a", b"b", b"c", b"d"], [1, 0])))))
    assert pack.same.tolist() == [True, False]


def test_no_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no\.bin"):
        open_container(str(tmp_path / "no.bin"))
    (tmp_path / "empty.bin").touch()
    with pytest.raises(ArcwiseError, match=r"empty\.bin: empty; expected a verification pack"):
        open_container(str(tmp_path / "empty.bin"))
