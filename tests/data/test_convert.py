"""Converted data sets are the same data set, whole or not there, and stay in their place."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arcwise.cli import main
from arcwise.data.file_names import member_paths, safe_part
from arcwise.data.formats.manifest_columns import nobody_in
from arcwise.data.formats.opening import open_manifest
from arcwise.data.formats.written_forms import with_one_form_each
from arcwise.data.manifest import Manifest
from arcwise.data.writing.zipped import ZipWriter
from arcwise.errors import ArcwiseError
from arcwise.verbs.data_convert import convert

AFolder = Callable[..., Path]
NASTY = (
    *("..", "../../x", "/etc/passwd", "a/../../b", "C:\\x", "CON", "con.png", "a:b", ".x", "~"),
    *("A", "a", "x ", "x.", "a/b.png", "\0", "\n", "\r", "x" * 400, "manifest.csv", "ﬁ"),
    *("e\u0301", "\u00e9", '"', ",", "a\r\nb"),
)
names = st.text(min_size=1) | st.sampled_from(NASTY)


FORMS = ("out.csv", "out/", "out.zip", "out.rec", "out.tar", "out.parquet")
COPIES = FORMS[1:]
COLUMNS = ("identity", "age", "landmarks", "note")


def content(manifest: Manifest, columns: tuple[str, ...] = COLUMNS) -> list[tuple[object, ...]]:
    found = [manifest.column(name) or [] for name in columns]
    return sorted(zip(*found, map(manifest.read, range(len(manifest))), strict=True), key=repr)


def pairs_of(manifest: Manifest) -> list[tuple[object, ...]]:
    assert manifest.pairs is not None
    rows = {name: row for row, name in enumerate(manifest.images)}
    sides = [[manifest.read(rows[one]) for one in manifest.pairs[s].to_pylist()] for s in "ab"]
    return list(zip(*sides, manifest.pairs["same"].to_pylist(), strict=True))


@pytest.fixture
def described(a_folder: AFolder, tmp_path: Path) -> Manifest:
    """Four images with columns of every kind, and pairs."""
    a_folder("1.png", "2.jpg", "3.webp", "4.png")
    marks = " ".join(map(str, range(10)))
    (tmp_path / "set.csv").write_text(
        "image,identity,age,landmarks,note\n"
        f'photos/1.png,Al,3,{marks},"x, ""y"""\n'
        f"photos/2.jpg,Al,4.5,{marks},\nphotos/3.webp,Bob Ä,5,,z\nphotos/4.png,c,6,,\n",
        encoding="utf-8",
    )
    images = [f"photos/{name}" for name in ("1.png", "2.jpg", "3.webp", "4.png")]
    sides = {"a": [images[0], images[1]], "b": [images[1], images[3]]}
    pairs = pa.table({**sides, "same": [True, False]})
    return replace(open_manifest(tmp_path / "set.csv"), pairs=pairs)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_every_form(described: Manifest, tmp_path: Path, form: str) -> None:
    done = convert(described, os.path.join(tmp_path, "first", form))
    assert (done.images, done.identities, done.pairs, done.left_out) == (4, 3, 2, ())
    first = open_manifest(done.path)
    assert content(first) == content(described)
    assert pairs_of(first) == pairs_of(described)
    for again in FORMS:
        second = convert(done.path, os.path.join(tmp_path, again.strip("/"), again))
        found = open_manifest(second.path)
        assert content(found) == content(described)
        assert pairs_of(found) == pairs_of(described)
    assert not list(tmp_path.rglob("*partial*"))


@pytest.mark.parametrize("form", FORMS)
def test_a_pack_is_made_of_the_pairs(described: Manifest, tmp_path: Path, form: str) -> None:
    source = convert(described, os.path.join(tmp_path, form)).path
    convert(source, tmp_path / "pack.bin")
    pack = open_manifest(tmp_path / "pack.bin", identities=False)
    assert pairs_of(pack) == pairs_of(described)
    convert(tmp_path / "pack.bin", os.path.join(tmp_path, "unpacked", form))
    unpacked = open_manifest(os.path.join(tmp_path, "unpacked", form), identities=False)
    assert pairs_of(unpacked) == pairs_of(described)


def test_pairs_can_be_named(a_folder: AFolder, tmp_path: Path) -> None:
    source = open_manifest(a_folder("Al/Al_0001.png", "Al/Al_0002.png", "Bo/Bo_0001.png"))
    with pytest.raises(ArcwiseError, match="states none"):
        convert(source, tmp_path / "pack.bin")
    assert not list(tmp_path.glob(".*"))
    (tmp_path / "pairs.csv").write_text("a,b,same\nAl/Al_0001.png,Bo/Bo_0001.png,0\n")
    (tmp_path / "pairs.txt").write_text("Al 1 2\nAl 1 Bo 1\n")
    first = convert(source, tmp_path / "pack.bin", pairs=tmp_path / "pairs.csv")
    assert (first.images, first.pairs) == (3, 1)
    second = convert(source, tmp_path / "set.zip", pairs=tmp_path / "pairs.txt")
    assert second.pairs == 2
    assert "3 images of 2 identities, 2 pairs to verify" in str(second)
    assert pairs_of(open_manifest(second.path))[1] == (source.read(0), source.read(2), False)


def test_pairs_by_another_name_stay_and_those_left_out_go(
    a_folder: AFolder, tmp_path: Path
) -> None:
    root = a_folder("1.png", "2.png", "3.png")
    (tmp_path / "set.csv").write_text(
        "image,identity,template\nphotos/1.png,a,t1\nphotos/2.png,a,t2\nphotos/3.png,b,t3\n"
    )
    pairs = pa.table({"a": ["t1", "t2"], "b": ["t2", "t3"], "same": [True, False], "fold": [0, 1]})
    source = replace(open_manifest(tmp_path / "set.csv"), pairs=pairs)
    (root / "3.png").unlink()
    for form in FORMS:
        done = convert(source, os.path.join(tmp_path, form.strip("/"), form))
        assert (done.images, done.pairs) == (2, 1)
        kept = open_manifest(done.path).pairs
        assert kept is not None
        assert kept.to_pylist() == [{"a": "t1", "b": "t2", "same": True, "fold": 0}]


def test_a_table_points_at_pictures_below_it_and_elsewhere(
    a_folder: AFolder, tmp_path: Path
) -> None:
    root = a_folder("Al/1.png")
    convert(root, tmp_path / "below.csv")
    assert open_manifest(tmp_path / "below.csv").images == ["photos/Al/1.png"]
    convert(root, tmp_path / "other" / "elsewhere.csv")
    absolute = open_manifest(tmp_path / "other" / "elsewhere.csv")
    assert absolute.images == [(root / "Al/1.png").as_posix()]


@pytest.mark.parametrize("form", FORMS)
def test_what_cannot_be_read_is_left_out_and_listed_and_damage_is_copied(
    a_folder: AFolder, tmp_path: Path, form: str
) -> None:
    root = a_folder("Al/1.png", "Al/2.png", "Al/3.png", "Bob/1.png")
    (root / "Al/3.png").write_text("no image")
    source = open_manifest(root)
    (root / "Al/2.png").unlink()
    done = convert(source, os.path.join(tmp_path, form))
    assert done.images == 3
    assert [error.name for error in done.left_out] == ["Al/2.png"]
    assert "left out, they cannot be read (1)\n    Al/2.png: no such " in str(done)
    copied = open_manifest(done.path)
    assert copied.identities == ["Al", "Al", "Bob"]
    assert copied.read(1) == b"no image"
    for path in root.rglob("*.png"):
        path.unlink()
    with pytest.raises(ArcwiseError, match=r"no image can be read; the first: Al/1\.png"):
        convert(source, os.path.join(tmp_path, "none", form))
    assert not list((tmp_path / "none").iterdir())


def test_a_damaged_archive_loses_its_own(
    a_zip: Callable[..., Path], a_picture: Callable[..., bytes], tmp_path: Path
) -> None:
    images = {f"Al/{number}.png": a_picture(number) for number in range(3)}
    path = a_zip(images)
    data = path.read_bytes()
    path.write_bytes(data.replace(images["Al/1.png"], bytes(len(images["Al/1.png"])), 1))
    done = convert(path, tmp_path / "out.tar")
    assert [str(error) for error in done.left_out] == ["photos.zip/Al/1.png: photos.zip is damaged"]
    assert [one[-1] for one in content(open_manifest(done.path), ("identity",))] == sorted(
        [images["Al/0.png"], images["Al/2.png"]], key=repr
    )


@pytest.mark.parametrize("form", [*FORMS, "out.bin"])
def test_nothing_is_overwritten(described: Manifest, tmp_path: Path, form: str) -> None:
    target = os.path.join(tmp_path, form)
    convert(described, target)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(ArcwiseError, match="exists; name another place"):
        convert(described, target)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("form", "other"),
    [("out.rec", "out.idx"), ("out.tar", "out.index.parquet"), ("out.parquet", "out.pairs.csv")],
)
def test_what_lies_beside_is_not_overwritten_either(
    described: Manifest, tmp_path: Path, form: str, other: str
) -> None:
    (tmp_path / other).write_text("mine")
    with pytest.raises(ArcwiseError, match=rf"{other} exists; name another place"):
        convert(described, tmp_path / form)
    assert (tmp_path / other).read_text() == "mine"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("form", COPIES)
def test_the_same_data_set_gives_the_same_bytes(
    described: Manifest, tmp_path: Path, form: str
) -> None:
    for place in ("one", "two"):
        convert(described, os.path.join(tmp_path, place, form))
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_names_of_keys_get_endings_and_sort_as_keys_do(described: Manifest, tmp_path: Path) -> None:
    convert(described, tmp_path / "out.rec")
    convert(tmp_path / "out.rec", os.path.join(tmp_path, "out/"))
    assert sorted(files(tmp_path / "out")) == [
        *("Al/000000001.png", "Al/000000002.jpg", "Bob Ä/000000003.webp", "c/000000004.png"),
        *("manifest.csv", "pairs.csv"),
    ]


@pytest.mark.parametrize("form", COPIES)
def test_memory_does_not_grow_with_the_pictures(tmp_path: Path, form: str) -> None:
    (tmp_path / "many" / "Al").mkdir(parents=True)
    for number in range(40):
        (tmp_path / "many" / "Al" / f"{number:02d}.png").write_bytes(os.urandom(2**20))
    convert(tmp_path / "many", tmp_path / "source.zip")
    tracemalloc.start()
    try:
        done = convert(tmp_path / "source.zip", os.path.join(tmp_path, form))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (done.images, done.copied) == (40, 40 * 2**20)
    assert peak < 8 * 2**20


def test_stopped_by_hand_it_says_how_to_go_on(
    described: Manifest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["data", "convert", str(tmp_path / "set.csv"), str(tmp_path / "out.zip")]

    def interrupt(self: object, rows: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ZipWriter, "finish", interrupt)
        assert main(words) == 130
    assert capsys.readouterr().err == "stopped; the same command goes on from there\n"
    assert main(words) == 0
    assert "resuming at image 4 of 4\n" in capsys.readouterr().out


def test_unknown_forms_and_vectors_as_pictures_are_refused(
    a_folder: AFolder, tmp_path: Path
) -> None:
    with pytest.raises(ArcwiseError, match=r"cannot write \.7z; end the name in \.zip"):
        convert(a_folder("Al/1.png"), tmp_path / "out.7z")
    vectors = Manifest(pa.table({"vector": [[1.0]], "identity": ["a"]}), tmp_path, "v")
    with pytest.raises(ArcwiseError, match="vectors"):
        convert(vectors, tmp_path / "out.zip")
    for name in ("out.parquet", "out.csv"):
        convert(vectors, tmp_path / name)
        assert open_manifest(tmp_path / name).vectors.tolist() == [[1.0]]


def files(root: Path) -> dict[str, bytes]:
    paths = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@settings(deadline=None)
@given(names)
def test_a_safe_name_is_one_name(text: str) -> None:
    name = safe_part(text)
    assert name not in ("", ".", "..")
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert not name.startswith(".")
    assert len(name.encode()) <= 255
    assert safe_part(name) == name


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(names, names, st.sampled_from(["", "train", "../up"])), min_size=1, max_size=12
    )
)
def test_no_two_pictures_get_one_path_and_none_leaves_the_folder(
    table: list[tuple[str, str, str]],
) -> None:
    images, identities, splits = zip(*table, strict=True)
    images = [image.encode("utf-8", "replace").decode() for image in images]
    identities = [one.encode("utf-8", "replace").decode() for one in identities]
    columns = {"image": images, "identity": identities, "split": splits}
    paths = member_paths(Manifest(pa.table(columns), Path(), "x"), taken=["manifest.csv"])
    lowered = [path.lower() for path in paths]
    stems = {os.path.splitext(path)[0] for path in lowered}
    assert len(set(lowered)) == len(stems) == len(paths)
    folders = {
        "/".join(path.split("/")[:n]) for path in lowered for n in range(1, path.count("/") + 1)
    }
    assert not folders & {*lowered, "manifest.csv"}
    for path in paths:
        assert not path.startswith("/")
        assert ".." not in path.split("/")
    owners: dict[str, set[tuple[str, str]]] = {}
    for path, identity, split in zip(lowered, identities, splits, strict=True):
        owners.setdefault(path.rpartition("/")[0], set()).add((split, identity))
    assert all(len(found) == 1 for found in owners.values())  # a folder is one identity


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.lists(names, min_size=1, max_size=4))
def test_any_identity_survives_every_form(
    tmp_path_factory: pytest.TempPathFactory, a_picture: Callable[..., bytes], identities: list[str]
) -> None:
    identities = [one.encode("utf-8", "replace").decode() for one in identities]
    identities = [one for one in identities if "\0" not in one and not nobody_in(pa.array([one]))]
    if not identities:
        return
    root = tmp_path_factory.mktemp("any")
    for number in range(len(identities)):
        (root / f"{number}.png").write_bytes(a_picture(number))
    images = [f"{number}.png" for number in range(len(identities))]
    source = Manifest(pa.table({"image": images, "identity": identities}), root, "any")
    for form in ("out.csv", "out.zip", "out/"):
        done = convert(source, os.path.join(root / "new", form))
        expected = content(with_one_form_each(source), ("identity",))
        assert content(open_manifest(done.path), ("identity",)) == expected
    assert sorted(path.name for path in root.iterdir()) == sorted([*images, "new"])
