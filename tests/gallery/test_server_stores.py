"""What the stores on servers promise besides the contract: `store` goes through them."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings

from arcwise.errors import GalleryError
from arcwise.gallery import DamagedGallery, GalleryCalibration, NewTemplate, open_gallery
from arcwise.gallery.filters import Not, matches
from tests.gallery.hostile import METADATA, hostile_leaf
from tests.gallery.server_stores import DIM, MilvusStore, PostgresStore, traces
from tests.gallery.test_filters import tree
from tests.gallery.test_sharing import create_and_write


@pytest.fixture(scope="module", params=["postgres", "milvus"])
def store(request, tmp_path_factory):
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        yield PostgresStore(server)
        server.drop_galleries()
        return
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")
    from arcwise.gallery.milvus.local import LocalServer

    folder = tmp_path_factory.mktemp("milvus") / "all.db"
    server = LocalServer.of(str(folder), "a test")
    yield MilvusStore(folder)
    server.release()


@pytest.fixture
def address(store):
    """Where no gallery is yet."""
    return store.address()


# Answers


def same_answers(address, path, counts):
    """Compare a gallery with one in a file, by so many queries at once.

    To the last bit, ties and vectors that are not quite of length 1 included.
    """
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, DIM))
    near = 1e-7 * rng.normal(size=(300, DIM))  # closer than float32 tells
    vectors[100:200] = vectors[:100] + near[:100]  # of another identity
    vectors[200:] = vectors[:200] + near[100:]  # of the same one
    vectors *= (1 + 9e-4 * rng.uniform(-1, 1, (400, 1))) / np.linalg.norm(
        vectors, axis=1, keepdims=True
    )
    vectors[300:310] = vectors[0]
    items = [
        (f"p{row % 200}", v, {"row": row % 7})
        for row, v in enumerate(vectors.astype(np.float32))
    ]  # fmt: skip
    queries = rng.normal(size=(40, DIM))
    queries[::2] = vectors[:20] + 0.01 * queries[::2]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    with (
        open_gallery(address, create=True, dim=DIM) as server,
        open_gallery(path, create=True, dim=DIM) as file,
    ):
        for gallery in (server, file):
            gallery.enrol(items)
        for some in (queries[:count] for count in counts):
            for k in (1, 5, 51, 199, 1000):
                assert server.search(some, k) == file.search(some, k)
            where = "row in (1, 2) or row == 5"
            assert server.search(some, 9, where=where) == file.search(some, 9, where=where)
            for threshold in (-1, 0.2, 0.999, file.search(some[0])[0][2].similarity):
                assert server.above(some, threshold) == file.above(some, threshold)
        assert server.verify("p0", queries[0]) == file.verify("p0", queries[0])
        assert server.counts() == file.counts()
        assert server.size() == file.size()
        assert server.templates(where="row == 3") == file.templates(where="row == 3")


def test_answers_are_those_of_a_gallery_in_a_file(store, address, path):
    same_answers(address, path, store.counts)


def test_no_query_and_any_number_of_answers(filled):
    address, vectors = filled
    with open_gallery(address) as gallery:
        assert gallery.search(np.empty((0, DIM))) == gallery.above(np.empty((0, DIM)), 0) == []
        assert len(gallery.search(vectors[0], sys.maxsize)[0]) == 10
        gallery.remove_templates([1])
        gallery.remove_templates(range(2, 11))
        assert gallery.search(vectors[:2], 3) == gallery.above(vectors[:2], -1) == [[], []]
        assert gallery.size().newest == 0
        gallery.remove_templates([])


@pytest.fixture(scope="module")
def hostile(store):
    """A gallery with metadata that a server cannot hold as they are, or compares in its own way."""
    vector = np.eye(4, dtype=np.float32)[0]
    address = store.address("hostile metadata")
    with open_gallery(address, create=True, dim=4) as gallery:
        gallery.enrol([(f"p{row}", vector, one) for row, one in enumerate(METADATA)])
    with open_gallery(address) as gallery:
        yield gallery


def test_conditions_are_those_of_filters(store, hostile):
    @settings(max_examples=store.most, deadline=None)
    @given(where=hostile_leaf | hostile_leaf.map(Not) | tree | tree.map(Not))
    def run(where):
        expected = [row for row, one in enumerate(METADATA) if matches(where, one)]
        assert [one.template - 1 for one in hostile.templates(where=where)] == expected

    run()


def test_metadata_come_back_as_they_were(hostile):
    assert [one.metadata for one in hostile.templates()] == METADATA
    assert hostile.check().templates == len(METADATA)


# Names


@pytest.mark.parametrize(
    "name",
    ["x\0y", "'; DROP SCHEMA x; --", '" or row >= 0 or identity == "', '"', "\\", "%s %(a)s",
     "z" * 9000, "ä"],
)  # fmt: skip
def test_hostile_identities(address, unit, name):
    vectors = unit(3, DIM)
    with open_gallery(address, create=True, dim=DIM) as gallery:
        gallery.enrol([(name, vectors[0], {name: name}), (f"{name}2", vectors[1])])
        gallery.quarantine([2], name)
        assert gallery.identities() == gallery.forms(name) == [name]
        assert gallery.quarantined()[0][1] == name
        assert gallery.search(vectors[0])[0][0].metadata == {name: name}
        assert gallery.verify(name, vectors[0]).templates == 1
        with pytest.raises(GalleryError, match="not enrolled"):
            gallery.remove(name + "3")
        assert gallery.remove(name) == 1
        assert gallery.check().templates == 1


@pytest.mark.filterwarnings("ignore:.*dropTolerance")
def test_hostile_names_of_galleries(store, unit):
    names = ['a"b', "a'b", "a b", "a%20b", "a_b", "a_20b", "ä", "public", "about", "%s", "../x",
             "x__templates_1", "x" * 55]  # fmt: skip
    for number, name in enumerate(names):
        with open_gallery(store.address(name), create=True, dim=DIM) as gallery:
            gallery.enrol([(f"ann{number}", unit(1, DIM)[0])])
            gallery.purge()
    for number, name in enumerate(names):
        with open_gallery(store.address(name)) as gallery:
            assert gallery.identities() == [f"ann{number}"]
    with pytest.raises(GalleryError, match="bytes"):
        open_gallery(store.address("ä" * 60), create=True, dim=DIM)


SECRET = "hunter2"


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://ann:{SECRET}@127.0.0.1:1/db?gallery=a",
        f"postgresql://ann@127.0.0.1:1/db?gallery=a&password={SECRET}",
        f"postgresql://ann:x@{SECRET}@127.0.0.1:1/db?gallery=a",
        f"postgresql://ann:x:{SECRET}@127.0.0.1:1/db?gallery=a",
        f"postgresql://ann:{SECRET}/x@127.0.0.1:1/db?gallery=a",
        f"postgresql://ann:{SECRET}#x@127.0.0.1:1/db?gallery=a",
        f"postgresql://ann:{SECRET}%zz@127.0.0.1:1/db?gallery=a",
        f"postgresql://ann:{SECRET}@127.0.0.1:1/db",
        f"postgresql://ann:{SECRET}@127.0.0.1:1/db?gallery=",
        f"postgresql://ann:{SECRET}@127.0.0.1:1/db?gallery=a&gallery=b",
        f"postgresql://ann:{SECRET}@127.0.0.1:1/db?gallery={'x' * 60}",
        f"postgresql://ann:{SECRET}@127.0.0.1:1/db?gallery=%00",
        f"postgresql://ann:{SECRET}@127.0.0.1:1/db?gallery=a&nonsense=1",
        f"postgresql://ann:{SECRET}@127.0.0.1:port/db?gallery=a",
        f"mysql://ann:{SECRET}@127.0.0.1/db?gallery=a",
        f"milvus://root:{SECRET}@127.0.0.1:1/?gallery=a",
        f"milvus://{SECRET}@127.0.0.1:1/?gallery=a",
        f"milvus://127.0.0.1:1/?gallery=a&token=root:{SECRET}",
        f"milvus://127.0.0.1:1/db?gallery=a&token={SECRET}&nonsense=1",
        f"milvus://root:x@{SECRET}@127.0.0.1:1/?gallery=a",
        f"milvus://root:{SECRET}/x@127.0.0.1:1/?gallery=a",
        f"milvus://root:{SECRET}#x@127.0.0.1:1/?gallery=a",
        f"milvus://root:{SECRET}%zz@127.0.0.1:port/?gallery=a",
        f"milvus://root:{SECRET}@127.0.0.1:1/",
        f"milvus://root:{SECRET}@127.0.0.1:1/?gallery=a&gallery=b",
        f"milvus://root:{SECRET}@127.0.0.1:1/?gallery=a&secure=perhaps",
        f"milvus-lite://{SECRET}/x.db?gallery=a",
    ],
)
def test_no_password_in_a_message(address, capfd, monkeypatch):
    scheme = address.partition(":")[0]
    pytest.importorskip("psycopg" if scheme in ("postgresql", "mysql") else "pymilvus")
    if scheme == "milvus":
        monkeypatch.setattr("arcwise.gallery.milvus.connection.CONNECT", 0.3)
    with pytest.raises(GalleryError) as caught:
        open_gallery(address, create=True, dim=4)
    assert "\n" not in str(caught.value)
    assert SECRET not in f"{caught.value} {caught.value.__cause__} {capfd.readouterr()}"


# Opening


def test_what_is_not_there(store, address):
    with pytest.raises(GalleryError, match="there is no such gallery"):
        open_gallery(address)
    with pytest.raises(GalleryError, match="needs model"):
        open_gallery(address, create=True)
    with pytest.raises(GalleryError, match=store.too_wide):
        open_gallery(address, create=True, dim=32_769)
    open_gallery(address, create=True, dim=store.widest).close()
    with pytest.raises(GalleryError, match=f"{store.widest} dimensions, and 4"):
        open_gallery(address, dim=4)


def test_without_the_client(store, address, monkeypatch):
    monkeypatch.setitem(sys.modules, store.client, None)
    with pytest.raises(GalleryError, match=rf"pip install 'arcwise\[{store.extra}\]'"):
        open_gallery(address)


def test_a_gallery_of_a_later_version_is_refused(store, filled):
    with open_gallery(filled[0]) as gallery:
        store.of_version(gallery, 2)
    with pytest.raises(GalleryError, match="version 2; this Arcwise reads version 1"):
        open_gallery(filled[0])


def test_a_gallery_does_not_cross_a_fork(filled):
    address, vectors = filled
    with open_gallery(address) as gallery:
        gallery._server._process += 1
        with pytest.raises(GalleryError, match="opened before a fork"):
            gallery.search(vectors[0])
        gallery._server._process -= 1
        assert gallery.search(vectors[0])[0][0].identity == "p0"


def test_deleted_or_replaced_while_open(store, filled):
    address, vectors = filled
    with open_gallery(address) as gallery:
        store.drop(gallery)
        calls = (lambda: gallery.search(vectors[0]), lambda: gallery.remove("p0"))
        for call in calls:
            with pytest.raises(GalleryError, match="deleted while it was open"):
                call()
        with open_gallery(address, create=True, dim=DIM):
            for call in calls:
                with pytest.raises(GalleryError, match="replaced while it was open"):
                    call()


def test_a_calibration_is_kept_and_checked(store, filled):
    kept = GalleryCalibration(10, 10, (), "strangers\0 of Ördög", 10)
    with open_gallery(filled[0]) as gallery:
        assert gallery.calibration is None
        gallery.keep_calibration(kept)
        assert gallery.calibration == kept
        store.another_calibration(gallery)
        with pytest.raises(DamagedGallery):
            _ = gallery.calibration


# Several writers


def test_a_writer_that_does_not_end_is_not_waited_for(store, filled, monkeypatch):
    address, vectors = store.shared(filled[0]), filled[1]
    store.impatient(monkeypatch)
    with open_gallery(address) as one, open_gallery(address) as other:
        with store.held(one), pytest.raises(GalleryError, match="kept it busy"):
            other.enrol([("new", vectors[0])])
        assert other.search(vectors[0])[0][0].identity == "p0"
        assert other.enrol([("new", vectors[0])]).templates == (11,)


def test_threads_that_replace_one_identity_leave_one(store, filled):
    """Three open galleries, one of them shared by two threads, and a fourth that watches."""
    address, vectors = store.shared(filled[0]), filled[1]
    ids: list[int] = []
    galleries = [open_gallery(address) for _ in range(3)]

    def write(gallery, row):
        for _ in range(3):
            ids.extend(gallery.enrol([("p0", vectors[row])] * 2, replace=True).templates)

    threads = [
        threading.Thread(target=write, args=(one, row))
        for row, one in enumerate([*galleries, galleries[0]])
    ]
    for one in threads:
        one.start()
    watcher = open_gallery(address, mode="r")
    while any(one.is_alive() for one in threads):
        assert len(watcher.search(vectors[0], 50)[0]) == 10  # p0 is always there
        assert len(watcher.templates("p0")) in (1, 2)
    for one in threads:
        one.join()
    assert sorted(ids) == list(range(11, 35))
    assert [one.template for one in watcher.templates("p0")] == [33, 34]
    assert watcher.check().templates == 11
    for one in (*galleries, watcher):
        one.close()


def test_two_processes_create_and_write_and_a_third_watches(store, address):
    create_and_write(store.shared(address), store.several)


# Erasure


def test_what_was_removed_is_in_no_file_after_a_purge(store, address, unit):
    vectors = unit(40, DIM, seed=1)  # in no other gallery there
    images = [np.random.default_rng(row).bytes(60_000) for row in range(40)]

    def texts(row):
        return [b"identity-%d." % row, b"secret-%d." % row]

    with open_gallery(address, create=True, dim=DIM) as gallery:
        for start in range(0, 40, 10):
            gallery.enrol(
                [
                    NewTemplate(
                        f"identity-{row}.", vectors[row], {"n": f"secret-{row}."}, None, images[row]
                    )
                    for row in range(start, start + 10)
                ]
            )
        gone = [*store.written(vectors[3], images[3]), *texts(3)]
        moved = [*texts(5), b"a bad photo"]
        gallery.quarantine([6], "a bad photo")
        gallery.release([6])
        gallery.assign([6], "identity-4")
        gallery.annotate(6, {})
        store.sample()
        store.settle()
        gallery.remove("identity-3.")
        assert traces(store.files, [*gone[: store.surely], *texts(3)]) == store.surely + 2
        gallery.purge()
        store.settle()
        assert traces(store.files, gone) == traces(store.files, moved) == 0
        assert gallery.check().templates == 39
        assert gallery.thumbnail(6) == images[5]
    assert traces(store.files, gone) == traces(store.files, moved) == 0
    kept = [*store.written(vectors[4], images[4])[: store.surely - 1], *texts(4)]
    assert traces(store.files, kept) == store.surely + 1
