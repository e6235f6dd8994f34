"""Tar files: read as `tarfile` writes them; damage costs its own member and is named."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.containers.tarred import MAX_BYTES, TarContainer, each
from arcwise.data.containers.tarred.tar_headers import BLOCK, Lost, Member, scan
from arcwise.data.image_files import image_exists, read_image_bytes
from arcwise.errors import ArcwiseError, ImageError

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]

Files = Mapping[str, bytes]


def packed(files: Files, form: int = tarfile.GNU_FORMAT) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as file:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return sink.getvalue()


@pytest.fixture
def a_tar(tmp_path: Path) -> Callable[..., str]:
    """A function: bytes → where they lie as a tar file."""

    def make(data: bytes, name: str = "set.tar") -> str:
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return make


names = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0/"), min_size=1, max_size=60
).filter(lambda name: name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=5).map("/".join)


@given(
    files=st.dictionaries(paths, st.binary(max_size=1500), max_size=6), form=st.sampled_from([1, 2])
)
@settings(max_examples=60, deadline=None)
def test_what_tarfile_writes_is_read(tmp_path_factory, files, form):
    path = tmp_path_factory.mktemp("tar") / "set.tar"
    path.write_bytes(packed(files, form))
    if not files:
        with pytest.raises(ArcwiseError, match="no member in it"):
            TarContainer(str(path))
        return
    container = TarContainer(str(path))
    assert {name: container.read(name, name) for name in files} == files
    assert dict(each(path)) == files
    assert "another" not in container


def test_ustar_names_in_two_parts(a_tar):
    name = f"{'a' * 90}/{'b' * 90}.jpg"
    path = a_tar(packed({name: b"x"}, tarfile.USTAR_FORMAT))
    assert TarContainer(path).read(name, "ref") == b"x"


def test_a_size_that_octal_digits_do_not_hold_is_read_as_binary(a_tar):
    block = bytearray(packed({"a.jpg": b"x" * 600})[:BLOCK])
    block[124:136] = b"\x80" + (600).to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path = a_tar(bytes(block) + b"x" * 600 + bytes(424 + 1024))
    assert TarContainer(path).read("a.jpg", "ref") == b"x" * 600


def test_names_start_without_a_dot_and_the_last_of_a_name_counts(a_tar):
    path = a_tar(packed({"./a/1.jpg": b"one", "a/1.jpg": b"two"}))
    assert TarContainer(path).read("a/1.jpg", "ref") == b"two"
    assert [name for name, _ in each(path)] == ["a/1.jpg", "a/1.jpg"]


def test_joined_archives_are_read_whole(a_tar):
    path = a_tar(packed({"1.jpg": b"one"}) + packed({"2.jpg": b"two"}))
    assert dict(each(path)) == {"1.jpg": b"one", "2.jpg": b"two"}


def test_links_devices_and_folders_are_no_images(a_tar, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as file:
        for name, kind in (
            ("link.jpg", tarfile.SYMTYPE), ("hard.jpg", tarfile.LNKTYPE),
            ("pipe.jpg", tarfile.FIFOTYPE), ("device.jpg", tarfile.CHRTYPE),
            ("folder", tarfile.DIRTYPE),
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(tmp_path / "secret.jpg")
            file.addfile(info)
        file.addfile(tarfile.TarInfo("../../secret.jpg"))
    path = a_tar(sink.getvalue())
    assert dict(each(path)) == {"../../secret.jpg": b""}  # a name, and no way to anywhere
    container = TarContainer(path)
    for name in ("link.jpg", "hard.jpg", "pipe.jpg", "device.jpg", "folder"):
        assert name not in container
        with pytest.raises(ImageError, match="has no member"):
            container.read(name, name)


def test_a_ref_leads_into_it(a_tar, tmp_path):
    a_tar(packed({"a/1.jpg": b"one"}))
    assert read_image_bytes(tmp_path, "set.tar/a/1.jpg") == b"one"
    assert image_exists(tmp_path, "set.tar/a/1.jpg")
    assert not image_exists(tmp_path, "set.tar/a/2.jpg")
    with pytest.raises(ImageError, match=r"^set\.tar/a/2\.jpg: set\.tar has no member 'a/2\.jpg'"):
        read_image_bytes(tmp_path, "set.tar/a/2.jpg")


THREE = {"a.jpg": b"\xff\xd8 a" * 200, "b.jpg": b"\xff\xd8 b" * 150, "c.jpg": b"\xff\xd8 c" * 10}


@pytest.mark.parametrize("form", FORMATS)
def test_every_flipped_byte_costs_at_most_its_own_member(form):
    files = {f"{'ü' * 80}/{name}": data for name, data in THREE.items()} if form else THREE
    whole = packed(files, form).rstrip(b"\0") + bytes(2 * BLOCK)
    payloads = {place for one in _members(whole) for place in _payload(one)}
    framing = set(range(len(whole) - 2 * BLOCK)) - payloads
    for place in sorted(framing | set(range(0, len(whole), 101))):
        damaged = bytearray(whole)
        damaged[place] ^= 0x5A
        found = {one.name: bytes(damaged[one.data :][: one.size]) for one in _members(damaged)}
        assert sum(found.get(name) == data for name, data in files.items()) >= 2, place
        if place in payloads:  # not ours to find: the image's own
            assert found.keys() == files.keys()


def _scan(whole: bytes | bytearray) -> list[Member | Lost]:
    return list(scan(lambda place, size: bytes(whole[place : place + size]), len(whole)))


def _members(whole: bytes | bytearray) -> list[Member]:
    return [one for one in _scan(whole) if isinstance(one, Member)]


def _payload(member: Member) -> range:
    return range(member.data, member.data + member.size)


def test_every_truncation_is_seen(a_tar):
    whole = packed(THREE).rstrip(b"\0")
    whole += bytes(-len(whole) % BLOCK)
    ends = [one.data + one.size for one in _members(whole)]
    for length in range(1, len(whole), 13):
        found = _scan(whole[:length])
        there = [one.name for one in found if isinstance(one, Member)]
        whole_ones = sum(end <= length for end in ends)
        assert there[:whole_ones] == list(THREE)[:whole_ones]
        cut = [one for one in found if isinstance(one, Member) and one.data + one.size > length]
        assert cut or isinstance(found[-1], Lost)  # without its end mark at the very least
        if cut:
            container = TarContainer(a_tar(whole[:length]))
            with pytest.raises(ImageError, match=r"cut off: [\d,]+ of [\d,]+ bytes are there"):
                container.read(cut[0].name, "ref")


def test_the_bytes_between_damaged_headers_are_lost_and_counted():
    whole = bytearray(packed(THREE))
    second = _members(whole)[1]
    whole[second.start : second.start + BLOCK] = b"\xff" * BLOCK
    assert [one.name for one in _members(whole)] == ["a.jpg", "c.jpg"]
    lost = [one for one in _scan(whole) if isinstance(one, Lost)]
    assert lost == [Lost(second.start, second.end)]


def test_a_header_that_was_zeroed_hides_nothing_behind_it(a_tar):
    whole = bytearray(packed(THREE))
    second = _members(whole)[1]
    whole[second.start : second.start + BLOCK] = bytes(BLOCK)
    assert dict(each(a_tar(bytes(whole)))).keys() == {"a.jpg", "c.jpg"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no member in it; expected a tar archive"),
        (b"\x1f\x8b" + bytes(range(256)) * 8, "no member in it; it is compressed: unpack it"),
        (b"\xff\xd8\xff" * 1000, "no member in it"),
        (bytes(10240), "no member in it"),
    ],
)
def test_what_is_no_tar_file_is_refused(a_tar, data, message):
    path = a_tar(data)
    with pytest.raises(ArcwiseError, match=message) as caught:
        TarContainer(path)
    assert str(caught.value).startswith(path)
    with pytest.raises(ArcwiseError, match=message):
        list(each(path))


@pytest.mark.parametrize("size", [2**33 - 1, MAX_BYTES + 1, 4000])
def test_an_absurd_size_allocates_nothing(a_tar, size):
    block = bytearray(packed({"a.jpg": b""})[:BLOCK])
    block[124:136] = b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path = a_tar(bytes(block) + b"x" * 600)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=r"refused|cut off: 600 of 4,000"):
            TarContainer(path).read("a.jpg", "ref")
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "record", [b"-7 path=x\n", b"0 path=x\n", b"x path=x\n", b"99999 path=x\n"]
)
def test_a_pax_record_of_an_absurd_length_is_damage(a_tar, record):
    extra = bytearray(packed({"x": record})[: 2 * BLOCK])
    extra[156:157] = b"x"
    extra[148:156] = b" " * 8
    extra[148:156] = b"%06o\0 " % sum(extra[:BLOCK])
    path = a_tar(bytes(extra) + packed(THREE))
    assert dict(each(path)) == THREE


def test_a_member_costs_few_bytes(a_tar):
    count = 20_000
    block = packed({"000000000.jpg": b"x"})[: 2 * BLOCK]
    parts = []
    for number in range(count):
        head = bytearray(block)
        head[:9] = b"%09d" % number
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head[:BLOCK])
        parts.append(bytes(head))
    path = a_tar(b"".join(parts) + bytes(1024))
    tracemalloc.start()
    container = TarContainer(path)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 10 * count + 50_000
    assert peak < 50 * count + 500_000  # 2 million of them: under 100 MB
    assert container.read(f"{count - 1:09d}.jpg", "ref") == b"x"
