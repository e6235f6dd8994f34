"""Converted data sets are the same data set, whole or not there, and stay in their place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arcwise.data.manifest import Manifest, open_manifest
from arcwise.data.names import member_paths, safe_part
from arcwise.errors import ArcwiseError
from arcwise.verbs.data_convert import convert

AFolder = Callable[..., Path]
NASTY = (
    *("..", "../../x", "/etc/passwd", "a/../../b", "C:\\x", "CON", "con.png", "a:b", ".x", "~"),
    *("A", "a", "x ", "x.", "a/b.png", "\0", "\n", "\r", "x" * 400, "manifest.csv", "ﬁ"),
    *("e\u0301", "\u00e9", '"', ",", "a\r\nb"),
)
names = st.text(min_size=1) | st.sampled_from(NASTY)


def content(manifest: Manifest) -> list[tuple[object, ...]]:
    columns = [name for name in manifest.table.column_names if name != "image"]
    values = [manifest.column(name) for name in columns]
    return sorted(zip(*values, map(manifest.read, range(len(manifest))), strict=True), key=repr)


@pytest.mark.parametrize("form", ["out.csv", "out.parquet", "out.zip", "out/", "deep/er/out.zip"])
@pytest.mark.parametrize("again", ["again.csv", "again.zip", "again/"])
def test_every_form_holds_the_same_data_set(
    a_folder: AFolder, tmp_path: Path, form: str, again: str
) -> None:
    source = open_manifest(a_folder("train/Al/1.png", "train/Al/2.webp", "test/Bob Ä/1.jpg"))
    done = convert(source, os.path.join(tmp_path, form))
    assert (done.images, done.identities, done.left_out) == (3, 2, ())
    first = open_manifest(done.path)
    assert content(first) == content(source)
    second = convert(done.path, os.path.join(tmp_path, again))
    assert content(open_manifest(second.path)) == content(source)
    assert not list(tmp_path.rglob("*partial*"))


def test_a_table_points_at_pictures_below_it_and_elsewhere(
    a_folder: AFolder, tmp_path: Path
) -> None:
    root = a_folder("Al/1.png")
    convert(root, tmp_path / "below.csv")
    assert open_manifest(tmp_path / "below.csv").images == ["photos/Al/1.png"]
    convert(root, tmp_path / "other" / "elsewhere.csv")
    absolute = open_manifest(tmp_path / "other" / "elsewhere.csv")
    assert absolute.images == [(root / "Al/1.png").as_posix()]


def test_other_columns_are_kept(a_folder: AFolder, tmp_path: Path) -> None:
    a_folder("1.png", "2.png")
    marks = " ".join(map(str, range(10)))
    (tmp_path / "set.csv").write_text(
        "image,identity,age,landmarks,note\n"
        f'photos/1.png,a,3,{marks},"x, ""y"""\nphotos/2.png,b,,,\n'
    )
    source = open_manifest(tmp_path / "set.csv")
    for form in ("out.zip", "out/", "out.csv", "out.parquet"):
        done = open_manifest(convert(source, os.path.join(tmp_path, form)).path)
        for column in ("age", "landmarks", "note", "identity"):
            assert done.column(column) == source.column(column)


def test_what_cannot_be_decoded_is_left_out_and_listed(a_folder: AFolder, tmp_path: Path) -> None:
    root = a_folder("Al/1.png", "Al/2.png")
    (root / "Al/3.png").write_text("no picture")
    for form in ("out.zip", "out/", "out.csv"):
        done = convert(root, os.path.join(tmp_path, form))
        assert done.images == 2
        assert [error.name for error in done.left_out] == ["Al/3.png"]
        assert "Al/3.png: not a picture but text" in str(done)
    (root / "Al/1.png").write_bytes(b"")
    (root / "Al/2.png").write_bytes(b"")
    with pytest.raises(
        ArcwiseError, match=r"no picture can be decoded; the first: Al/1\.png: empty"
    ):
        convert(root, tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()


@pytest.mark.parametrize("form", ["out.csv", "out.parquet", "out.zip", "out/"])
def test_nothing_is_overwritten_and_nothing_half_written_stays(
    a_folder: AFolder, tmp_path: Path, form: str
) -> None:
    root, target = a_folder("Al/1.png", "Al/2.png"), os.path.join(tmp_path, form)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(root, target, progress=interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]
    convert(root, target)
    before = Path(target).stat().st_mtime_ns
    with pytest.raises(ArcwiseError, match="exists; name another place"):
        convert(root, target)
    assert Path(target).stat().st_mtime_ns == before


def test_the_same_data_set_gives_the_same_zip(a_folder: AFolder, tmp_path: Path) -> None:
    root = a_folder("Al/1.png", "Bob/2.jpg")
    for name in ("one.zip", "two.zip"):
        convert(root, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_unknown_forms_and_vectors_as_pictures_are_refused(
    a_folder: AFolder, tmp_path: Path
) -> None:
    with pytest.raises(ArcwiseError, match=r"cannot write \.rec"):
        convert(a_folder("Al/1.png"), tmp_path / "out.rec")
    vectors = Manifest(pa.table({"vector": [[1.0]], "identity": ["a"]}), tmp_path, "v")
    with pytest.raises(ArcwiseError, match="vectors"):
        convert(vectors, tmp_path / "out.zip")
    convert(vectors, tmp_path / "out.parquet")
    convert(vectors, tmp_path / "out.csv")
    for name in ("out.parquet", "out.csv"):
        assert open_manifest(tmp_path / name).vectors.tolist() == [[1.0]]


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
    assert len(set(lowered)) == len(paths)
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


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(names, min_size=1, max_size=4))
def test_any_identity_survives_every_form(
    tmp_path_factory: pytest.TempPathFactory, a_picture: Callable[..., bytes], identities: list[str]
) -> None:
    identities = [one.encode("utf-8", "replace").decode() for one in identities]
    identities = [one for one in identities if one.strip() and "\0" not in one]
    if not identities:
        return
    root = tmp_path_factory.mktemp("any")
    for number in range(len(identities)):
        (root / f"{number}.png").write_bytes(a_picture(number))
    images = [f"{number}.png" for number in range(len(identities))]
    source = Manifest(pa.table({"image": images, "identity": identities}), root, "any")
    for form in ("out.csv", "out.zip", "out/"):
        done = convert(source, os.path.join(root / "new", form))
        assert content(open_manifest(done.path)) == content(source)
    assert sorted(path.name for path in root.iterdir()) == sorted([*images, "new"])
