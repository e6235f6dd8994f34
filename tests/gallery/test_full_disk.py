"""A disk that is full: one line, nothing acknowledged is lost, and it goes on once there is room.

On a real file system that is too small, where the tests may mount one.
"""

from __future__ import annotations

import gc
import os
import pwd
import shutil
import warnings

import pytest

from arcwise.errors import GalleryError
from arcwise.gallery import NewTemplate, open_gallery
from tests.gallery.server_stores import DIM, batch_vectors, kept

# Milvus Lite leaves the files open whose writing failed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(params=["embedded", "postgres", "milvus"])
def small(request, tmp_path, mounted):
    """The address of a gallery in a file system of 16 MB, and where that is."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        place = mounted(server.folder / "small", "16m")
        if os.getuid() == 0:
            os.chown(place, pwd.getpwnam("nobody").pw_uid, -1)
        with server.connect() as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
            connection.execute("ALTER DATABASE postgres SET default_tablespace TO small")
        yield server.address("full"), place
        server.drop_galleries()
        with server.connect() as connection:
            connection.execute("ALTER DATABASE postgres RESET default_tablespace")
        with server.connect() as connection:
            connection.execute("DROP TABLESPACE small")
        return
    place = mounted(tmp_path / "small", "16m")
    if request.param == "milvus":
        pytest.importorskip("pymilvus")
        pytest.importorskip("milvus_lite")
        yield f"milvus-lite://{place / 'all.db'}?gallery=full", place
    else:
        yield str(place / "full.gallery"), place


def items(batch):
    return [
        NewTemplate(f"p{batch}", one, {"note": os.urandom(2000).hex()}, None, os.urandom(20_000))
        for one in batch_vectors(batch)
    ]


def fill(place, leave):
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    (place / "fill").write_bytes(bytes(free - leave))


def refused(call):
    """Return whether there was no room for a change, in one line."""
    said = ""
    try:
        with warnings.catch_warnings():  # that bytes of what was removed stay for a while
            warnings.simplefilter("ignore")
            call()
    except GalleryError as error:
        said = str(error)
    assert not said or ("full" in said and "\n" not in said)
    return bool(said)


def test_what_was_acknowledged_is_there_and_it_goes_on(small, capfd):
    address, place = small
    acknowledged: dict[str, int] = {}
    with open_gallery(address, create=True, dim=DIM) as gallery:

        def enrol(batch):
            acknowledged[f"p{batch}"] = gallery.enrol(items(batch)).templates[0]

        fill(place, leave=2_000_000)
        batch = 0
        while not refused(lambda: enrol(batch)):  # noqa: B023 - called at once
            batch += 1
        assert batch > 2
        kept(gallery, acknowledged, set())
        assert gallery.search(batch_vectors(1)[0])[0][0].identity == "p1"
        assert refused(lambda: enrol(batch))
        if not refused(lambda: gallery.remove("p0")):
            del acknowledged["p0"]
        refused(gallery.purge)
        kept(gallery, acknowledged, set())
        (place / "fill").unlink()
        enrol(batch + 1)
        gallery.remove("p1")
        del acknowledged["p1"]
        kept(gallery, acknowledged, set())
    with open_gallery(address) as gallery:
        kept(gallery, acknowledged, set())
        enrol(batch + 2)
    with open_gallery(address) as gallery:
        kept(gallery, acknowledged, set())
        gallery.purge()
        kept(gallery, acknowledged, set())
    assert "Traceback" not in capfd.readouterr().err
    gc.collect()  # so that nothing is said of those files later


def test_a_removal_is_made_where_the_log_cannot_be_cut(tmp_path, mounted):
    place = mounted(tmp_path / "small", "8m")
    with open_gallery(place / "g", create=True, dim=DIM) as gallery:
        for batch in range(8):
            gallery.enrol(items(batch))  # into the log, which is not in the file yet
        fill(place, leave=300_000)
        with pytest.warns(UserWarning, match=r"bytes stay in g-wal .* because the disk .* full"):
            assert gallery.remove("p0") == 5
        assert gallery.identities() == [f"p{batch}" for batch in range(1, 8)]
        with pytest.raises(GalleryError, match="full"):
            gallery.purge()
        (place / "fill").unlink()
        gallery.purge()
        assert gallery.check().templates == 35


def test_a_full_disk_is_read(tmp_path, mounted):
    """Also with a log that was not written back; and no other process writes meanwhile."""
    place = mounted(tmp_path / "small", "8m")
    with open_gallery(place / "g", create=True, dim=DIM) as gallery:
        gallery.enrol(items(0))
        for suffix in ("", "-wal"):
            shutil.copy(f"{place / 'g'}{suffix}", f"{place / 'killed'}{suffix}")
    assert (place / "killed-wal").stat().st_size
    fill(place, leave=0)
    for name in ("g", "killed"):
        with open_gallery(place / name, mode="r") as gallery:
            assert gallery.search(batch_vectors(0)[0])[0][0].identity == "p0"
            assert gallery.check().templates == 5
            assert sum(map(len, gallery.stored())) == 5
        with pytest.raises(GalleryError, match="full"):
            open_gallery(place / name)
    (place / "fill").unlink()
    for name in ("g", "killed"):
        with open_gallery(place / name) as gallery:
            gallery.enrol(items(1))
