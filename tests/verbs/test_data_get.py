"""A data set by its name: from the mirror, from a server, and what is said when neither has it."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from arcwise.cli import main
from arcwise.data import catalogue
from arcwise.data.catalogue import CATALOGUE, RemoteFile
from arcwise.data.catalogue.archive_tables import repack
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.images import decode
from arcwise.verbs.data_get import MANIFEST, ORIGIN, get

PICTURE = b"not looked at"


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def tarred(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in members.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return file.getvalue()


CLASSES = (
    "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),"
    "Iconic Image Path (str),Product Description Path (str)\n"
    "Golden-Delicious,0,Apple,0,/iconic/Golden-Delicious_Iconic.jpg,/x.txt\n"
    "Avocado,6,Avocado,1,/iconic/Avocado_Iconic.jpg,/x.txt\n"
)
TOP = "marcusklasson-GroceryStoreDataset-04b2819/dataset"
FILES = {
    "grocery.zip": zipped(
        {
            f"{TOP}/classes.csv": CLASSES.encode(),
            f"{TOP}/train/Fruit/Apple/Golden-Delicious/Golden-Delicious_001.jpg": PICTURE,
            f"{TOP}/test/Fruit/Avocado/Avocado_001.jpg": PICTURE,
            f"{TOP}/iconic/Avocado_Iconic.jpg": PICTURE,
            "marcusklasson-GroceryStoreDataset-04b2819/sample_images/x.png": PICTURE,
        }
    ),
    "images_background.zip": zipped(
        {
            f"images_background/Angelic/character{c:02}/0{c}_{d:02}.png": PICTURE
            for c in (1, 2)
            for d in (1, 20)
        }
    ),
    "images_evaluation.zip": zipped({"images_evaluation/Ge_ez/character01/1_03.png": PICTURE}),
    "lfw.tgz": tarred(
        {
            "lfw/Al_Ab/Al_Ab_0001.jpg": PICTURE,
            "lfw/Al_Ab/Al_Ab_0002.jpg": PICTURE,
            "lfw/Bo_Cd/Bo_Cd_0001.jpg": PICTURE,
            "lfw/README": b"x",
        }
    ),
    "pairs.txt": b"1\t1\nAl_Ab\t1\t2\nAl_Ab\t1\tBo_Cd\t1\n",
    "fruits.zip": zipped(
        {
            "fruits-360-3-body-1/Training/Apples/Apple 5/r_31_100.jpg": PICTURE,
            "fruits-360-3-body-1/Test/Cherry 1/r0_1_100.jpg": PICTURE,
            "fruits-360-3-body-1/logo.png": PICTURE,
        }
    ),
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on a server that the catalogue's files are fetched from; no mirror."""
    folder = tmp_path / "origin"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("ARCWISE_DATA", raising=False)
    for one in list(CATALOGUE.values()):
        files = tuple(
            RemoteFile(
                file.name,
                f"http://127.0.0.1:{http.server_address[1]}/{file.name}",
                sha256=file.sha256 and hashlib.sha256(FILES[file.name]).hexdigest(),
                md5=file.md5 and hashlib.md5(FILES[file.name]).hexdigest(),
            )
            for file in one.files
        )
        monkeypatch.setitem(catalogue.CATALOGUE, one.name, replace(one, files=files))
    yield folder
    http.shutdown()
    http.server_close()


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / MANIFEST, newline="") as file:
        return list(csv.DictReader(file))


EXPECTED = {
    "grocery": {
        ("Golden-Delicious", "test", "shop", "Apple", "0", "train"),
        ("Avocado", "train", "shop", "Avocado", "6", "test"),
        ("Avocado", "train", "studio", "Avocado", "6", ""),
    },
    "omniglot": {
        ("Angelic/character01", "train", "Angelic", "1"),
        ("Angelic/character01", "train", "Angelic", "20"),
        ("Angelic/character02", "train", "Angelic", "1"),
        ("Angelic/character02", "train", "Angelic", "20"),
        ("Ge_ez/character01", "test", "Ge_ez", "3"),
    },
    "lfw": {("Al_Ab",), ("Bo_Cd",)},
    "fruits": {("Apple 5", "train", "Apples"), ("Cherry 1", "test", "Cherry")},
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_downloaded_and_read_in_place(origin: Path, tmp_path: Path, name: str) -> None:
    said: list[str] = []
    folder = tmp_path / "sets" / name
    found = get(name, folder, say=said.append)
    manifest = open_manifest(folder)
    assert {tuple(list(row.values())[1:]) for row in table(folder)} == EXPECTED[name]
    assert all(manifest.read(row) == PICTURE for row in range(len(manifest)))
    assert (found.images, found.identities) == (len(manifest), len(manifest.classes))
    assert CATALOGUE[name].licence in said[0]
    assert CATALOGUE[name].cite in (folder / ORIGIN).read_text()
    shutil.rmtree(origin)
    again = get(name, folder)  # nothing to do, and no server to do it with
    assert (again.images, again.source) == (found.images, "there already")


def test_a_whole_one_is_verified_again(origin: Path, tmp_path: Path) -> None:
    get("fruits", tmp_path / "fruits")
    with open(tmp_path / "fruits" / "fruits.zip", "r+b") as file:
        file.write(b"X")
    with pytest.raises(ArcwiseError, match="was recorded when it was first downloaded"):
        get("fruits", tmp_path / "fruits")


def test_lfw_states_its_pairs(origin: Path, tmp_path: Path) -> None:
    get("lfw", tmp_path / "lfw")
    manifest = open_manifest(tmp_path / "lfw")
    assert manifest.pairs is not None
    assert manifest.pairs.column("same").to_pylist() == [True, False]
    assert manifest.pairs.column("b").to_pylist() == [manifest.images[1], manifest.images[2]]
    assert not (tmp_path / "lfw" / "lfw.tgz").exists()
    (tmp_path / "lfw" / MANIFEST).unlink()  # as if it had been stopped before
    assert get("lfw", tmp_path / "lfw").images == 3


def test_without_a_server_it_says_what_to_fetch_and_where_to_put_it(
    origin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (origin / "images_evaluation.zip").unlink()
    to = tmp_path / "here"
    assert main(["data", "get", "omniglot", "--to", str(to)]) == 2
    printed = capsys.readouterr()
    assert "licence   MIT" in printed.out
    assert len(printed.err.splitlines()) == 1
    assert "/images_evaluation.zip: the server says 404" in printed.err
    assert f"fetch it by hand, put it at {to / 'images_evaluation.zip'}" in printed.err
    assert not (to / MANIFEST).exists()
    (to / "images_evaluation.zip").write_bytes(FILES["images_evaluation.zip"])
    assert main(["data", "get", "omniglot", "--to", str(to)]) == 0
    assert "5 images of 3 identities" in capsys.readouterr().out


def test_the_list_of_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "get"]) == 0
    printed = capsys.readouterr().out
    for one in CATALOGUE.values():
        parts = (one.name, one.about, one.size, one.licence, one.origin)
        assert all(part in printed for part in (*parts, *(file.url for file in one.files)))


def test_mistakes_are_named(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArcwiseError, match=r"no data set 'omnigloot'; did you mean 'omniglot'"):
        get("omnigloot", tmp_path / "x")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(ArcwiseError, match=r"holds other things \(holiday\.jpg\)"):
        get("omniglot", tmp_path / "mine")
    with pytest.raises(ArcwiseError, match="is a file"):
        get("omniglot", tmp_path / "mine" / "holiday.jpg")
    get("fruits", tmp_path / "fruits")
    with pytest.raises(ArcwiseError, match=r"holds other things \(manifest\.csv\)"):
        get("omniglot", tmp_path / "fruits")
    monkeypatch.setenv("ARCWISE_DATA", str(tmp_path / "none"))
    with pytest.raises(ArcwiseError, match="which is no folder"):
        get("omniglot", tmp_path / "y")


@pytest.mark.parametrize(
    ("name", "file", "data", "message"),
    [
        ("fruits", "fruits.zip", b"<html>please log in</html>", "not the fruits known here"),
        ("fruits", "fruits.zip", zipped({"a/b.txt": b""}), "it has no "),
        ("grocery", "grocery.zip", zipped({"a/b.png": b""}), "no dataset/classes.csv"),
        ("grocery", "grocery.zip", zipped({"dataset/classes.csv": b"a,b\n1,2\n"}), "Class Name"),
    ],
)
def test_another_content_is_named(
    origin: Path, tmp_path: Path, name: str, file: str, data: bytes, message: str
) -> None:
    (origin / file).write_bytes(data)
    with pytest.raises(ArcwiseError, match=message):
        get(name, tmp_path / "set")
    assert not (tmp_path / "set" / MANIFEST).exists()


def link() -> tarfile.TarInfo:
    info = tarfile.TarInfo("lfw/link.jpg")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


def test_what_leads_out_of_a_tar_is_refused_and_links_are_not_taken(tmp_path: Path) -> None:
    packed, place = tmp_path / "a.tgz", tmp_path / "a.zip"
    packed.write_bytes(tarred({"lfw/link.jpg": link(), "lfw/a/1.jpg": PICTURE}))
    repack(packed, place)
    with zipfile.ZipFile(place) as archive:
        assert archive.namelist() == ["lfw/a/1.jpg"]
    for name in ("../out.jpg", "/abs.jpg", "a/../../out.jpg", "a\\..\\out.jpg"):
        packed.write_bytes(tarred({name: PICTURE}))
        with pytest.raises(ArcwiseError, match="leads out of the archive"):
            repack(packed, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_a_tar_that_is_cut_off_never_becomes_a_zip(origin: Path, tmp_path: Path) -> None:
    whole = tarred({f"lfw/a/{n}.jpg": np.random.default_rng(n).bytes(900) for n in range(9)})
    for cut in range(0, len(whole) - 700, 131):  # the rest of it is padding
        (tmp_path / "a.tgz").write_bytes(whole[:cut])
        with pytest.raises((tarfile.TarError, EOFError)):
            repack(tmp_path / "a.tgz", tmp_path / "a.zip")
        assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(
    ("name", "images", "identities", "columns"),
    [
        ("grocery", 4491, 65, {"split", "domain", "superclass", "official_split"}),
        ("omniglot", 32_460, 1623, {"split", "superclass", "drawer"}),
        ("lfw", 10_562, 4859, {"fold"}),
        ("fruits", 1960, 49, {"superclass", "axis", "view"}),
    ],
)
def test_a_mirror_is_used_first(
    data_dir: Path, tmp_path: Path, name: str, images: int, identities: int, columns: set[str]
) -> None:
    found = get(name, tmp_path / name)
    assert (found.images, found.identities) == (images, identities)
    manifest = open_manifest(tmp_path / name)
    assert columns < set(manifest.table.column_names)
    for row in (0, images // 2, images - 1):
        assert decode(manifest.read(row), manifest.image(row)).ndim == 3
    if name == "grocery":
        studio = manifest.where("domain", "studio")
        assert len(studio) == len(set(studio.identities)) == 65
    if name in ("grocery", "omniglot"):
        train, test = (manifest.where("split", split).classes for split in ("train", "test"))
        assert train
        assert test
        assert not set(train) & set(test)
    assert (manifest.pairs is not None) == (name == "lfw")


def test_a_mirror_with_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirror" / "fruits360").mkdir(parents=True)
    monkeypatch.setenv("ARCWISE_DATA", str(tmp_path / "mirror"))
    with pytest.raises(ArcwiseError, match=r"fruits360/images\.csv: No such file"):
        get("fruits", tmp_path / "a")
    (tmp_path / "mirror" / "fruits360" / "images.csv").write_text("path,what\na,b\n")
    with pytest.raises(ArcwiseError, match=r"not the fruits of a mirror \('item'\)"):
        get("fruits", tmp_path / "a")
