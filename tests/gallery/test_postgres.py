"""The gallery on a PostgreSQL server: what the contract suite cannot see from outside."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.errors import GalleryError
from arcwise.gallery import DamagedGallery, GalleryCalibration, NewTemplate, open_gallery
from arcwise.gallery.filters import matches
from tests.gallery.hostile import METADATA, hostile_leaf
from tests.gallery.test_filters import tree

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'arcwise[postgres]'")

from arcwise.gallery.postgres import connections
from arcwise.gallery.postgres.address import read_address
from arcwise.gallery.postgres.conditions import restored, storable

DIM = 32
ROUNDS = int(os.environ.get("ARCWISE_KILL_ROUNDS", "10"))


@pytest.fixture
def address(postgres_server):
    yield postgres_server.address("shop")
    postgres_server.drop_galleries()


@pytest.fixture
def filled(address, unit):
    """The address of a gallery with ten people, and their vectors."""
    vectors = unit(10, DIM)
    with open_gallery(address, create=True, dim=DIM) as gallery:
        gallery.enrol(
            [
                NewTemplate(f"p{row}", vector, {"row": row}, 0.5, b"image %d" % row)
                for row, vector in enumerate(vectors)
            ]
        )
    return address, vectors


def batch_vectors(batch):
    vectors = np.random.default_rng(batch).normal(size=(5, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


# Answers


def test_answers_are_those_of_a_gallery_in_a_file(address, path):
    """To the last bit, ties and vectors that are not quite of length 1 included."""
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
    queries[:20] = vectors[:20] + 0.01 * queries[:20]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    with (
        open_gallery(address, create=True, dim=DIM) as server,
        open_gallery(path, create=True, dim=DIM) as file,
    ):
        for gallery in (server, file):
            gallery.enrol(items)
        for some in (queries[::3], queries):  # by scans, and by reading all vectors
            for k in (1, 5, 51, 199, 1000):
                assert server.search(some, k) == file.search(some, k)
            where = "row in (1, 2) or row == 5"
            assert server.search(some, 9, where=where) == file.search(some, 9, where=where)
            for threshold in (-1, 0.2, 0.999, file.search(some[0])[0][2].similarity):
                assert server.above(some, threshold) == file.above(some, threshold)
        assert server.verify("p0", queries[0]) == file.verify("p0", queries[0])
        assert server.counts() == file.counts()
        assert server.size() == file.size()


def test_no_query_and_any_number_of_answers(filled):
    address, vectors = filled
    with open_gallery(address) as gallery:
        assert gallery.search(np.empty((0, DIM))) == gallery.above(np.empty((0, DIM)), 0) == []
        assert len(gallery.search(vectors[0], sys.maxsize)[0]) == 10
        for one in range(1, 11):
            gallery.remove_templates([one])
        assert gallery.search(vectors[:2], 3) == gallery.above(vectors[:2], -1) == [[], []]
        assert gallery.size().newest == 0


def test_a_crowd_does_not_hide_the_others(address, path, unit):
    """An identity with more templates near the query than the first list names."""
    vectors = unit(20, DIM)
    crowd = vectors[0] + 0.01 * unit(300, DIM, seed=1)
    items = [("crowd", v / np.linalg.norm(v)) for v in crowd]
    items += [(f"p{row}", v) for row, v in enumerate(vectors[1:])]
    with (
        open_gallery(address, create=True, dim=DIM) as server,
        open_gallery(path, create=True, dim=DIM) as file,
    ):
        for gallery in (server, file):
            gallery.enrol(items)
        assert server.search(vectors[0], 3) == file.search(vectors[0], 3)
        assert server.search(unit(40, DIM, seed=2), 3) == file.search(unit(40, DIM, seed=2), 3)


@pytest.fixture(scope="module")
def hostile(postgres_server):
    """A gallery with metadata that PostgreSQL cannot hold as they are."""
    address = postgres_server.address("hostile metadata")
    vector = np.eye(4, dtype=np.float32)[0]
    with open_gallery(address, create=True, dim=4) as gallery:
        gallery.enrol([(f"p{row}", vector, one) for row, one in enumerate(METADATA)])
    with open_gallery(address) as gallery:
        yield gallery


@settings(max_examples=150, deadline=None)
@given(where=st.one_of(hostile_leaf, tree))
def test_conditions_are_those_of_filters(hostile, where):
    expected = [row for row, one in enumerate(METADATA) if matches(where, one)]
    assert [one.template - 1 for one in hostile.templates(where=where)] == expected


def test_metadata_come_back_as_they_were(hostile):
    assert [one.metadata for one in hostile.templates()] == METADATA
    assert hostile.check().templates == len(METADATA)


@given(st.lists(st.text(st.characters(codec=None, categories=None)), min_size=2, max_size=2))
def test_storable_texts_keep_their_order(pair):
    one, other = pair
    stored = [storable(text) for text in pair]
    assert [restored(text) for text in stored] == pair
    assert (stored[0] < stored[1], stored[0] == stored[1]) == (one < other, one == other)
    "".join(stored).encode()
    assert "\0" not in "".join(stored)


def test_every_change_of_the_templates_shows(filled):
    address, vectors = filled
    with open_gallery(address) as gallery:
        seen = [gallery.about()]
        for call in (
            lambda: gallery.enrol([("p0", vectors[0])], replace=True),
            lambda: gallery.annotate(2, {}),
            lambda: gallery.assign([2], "p5"),
            lambda: gallery.quarantine([2], "blurred"),
            lambda: gallery.release([2]),
            lambda: gallery.remove("p3"),
        ):
            call()
            seen.append(gallery.about())
        gallery.purge()
        assert gallery.about() == seen[-1]
    assert len({one.changes for one in seen}) == len(seen)
    assert (seen[-1].dim, seen[-1].templates, seen[-1].fingerprint) == (DIM, 9, None)


# Names


@pytest.mark.parametrize("name", ["x\0y", "'; DROP SCHEMA x; --", '"', "%s %(a)s", "z" * 9000, "ä"])
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


@pytest.mark.parametrize("name", ['a"b', "a'b", "a b", "ä", "public", "%25s", "x" * 55])
def test_hostile_names_of_galleries(postgres_server, unit, name):
    address = postgres_server.address(name)
    with open_gallery(address, create=True, dim=DIM) as gallery:
        gallery.enrol([("ann", unit(1, DIM)[0])])
        gallery.purge()
    with open_gallery(address) as gallery:
        assert gallery.identities() == ["ann"]
    postgres_server.drop_galleries()


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
    ],
)
def test_no_password_in_a_message(address):
    with pytest.raises(GalleryError) as caught:
        open_gallery(address, create=True, dim=4)
    text = f"{caught.value} {caught.value.__cause__}"
    assert SECRET not in text
    assert "\n" not in str(caught.value)


def test_no_password_in_a_repr(postgres_server):
    address = postgres_server.address("secret").replace("owner@", f"owner:{SECRET}@")
    with open_gallery(address, create=True, dim=4) as gallery:
        assert SECRET not in repr(gallery) + repr(vars(gallery)) + repr(read_address(address))
        with pytest.raises(GalleryError) as caught:
            gallery.remove("nobody")
        assert SECRET not in str(caught.value)
    postgres_server.drop_galleries()


# Opening


def test_what_is_not_there(address, unit):
    with pytest.raises(GalleryError, match="there is no such gallery"):
        open_gallery(address)
    with pytest.raises(GalleryError, match="needs model"):
        open_gallery(address, create=True)
    with pytest.raises(GalleryError, match=r"16,000 dimensions"):
        open_gallery(address, create=True, dim=16_001)
    with pytest.raises(GalleryError, match="no connection to the server"):
        open_gallery(address.replace("/postgres?", "/nowhere?"))
    open_gallery(address, create=True, dim=16_000).close()
    with pytest.raises(GalleryError, match="16000 dimensions, and 4"):
        open_gallery(address, dim=4)
    with open_gallery(address, create=True, dim=16_000) as gallery:
        gallery.enrol([("wide", unit(1, 16_000)[0])])
        assert gallery.search(unit(1, 16_000)[0])[0][0].similarity == 1


@pytest.mark.parametrize("dim", [1900, 1901])
def test_long_rows_fit(address, unit, dim):
    """Vectors of up to 1900 dimensions lie within their rows; what else is long gives way."""
    vector, rng = unit(1, dim)[0], random.Random(0)
    text = "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(5000))  # does not compress
    with open_gallery(address, create=True, dim=dim) as gallery:
        gallery.enrol([(text, vector, {"note": text, "more": text})])
        gallery.quarantine([1], text)
        gallery.release([1])
        (hits,) = gallery.search(vector, where="note > 'a'")
        assert (hits[0].identity, hits[0].metadata["more"]) == (text, text)
        assert gallery.check().templates == 1


def test_a_gallery_belongs_to_its_model(address):
    class Model:
        fingerprint, dim, path = "f" * 64, 4, "runs/a"

    class Other:
        fingerprint, dim, path = "0" * 64, 4, "runs/b"

    with open_gallery(address, create=True, model=Model()) as gallery:
        assert (gallery.fingerprint, gallery.dim) == ("f" * 64, 4)
        assert gallery.model_path == os.path.abspath("runs/a")
    with pytest.raises(GalleryError, match="belongs to the model ffffffffffff"):
        open_gallery(address, model=Other())


def test_without_the_client(address, monkeypatch):
    for name in [one for one in sys.modules if one.startswith("arcwise.gallery.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("arcwise.gallery.postgres")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(GalleryError, match=r"pip install 'arcwise\[postgres\]'"):
        open_gallery(address)


def test_closed_and_read_only(filled):
    address, vectors = filled
    gallery = open_gallery(address, mode="r")
    assert gallery.search(vectors[0])[0][0].identity == "p0"
    for call in (lambda: gallery.enrol([("a", vectors[0])]), gallery.purge):
        with pytest.raises(GalleryError, match="mode='r'"):
            call()
    gallery.close()
    with pytest.raises(GalleryError, match="closed; open it again"):
        gallery.search(vectors[0])


def test_deleted_or_replaced_while_open(postgres_server, filled):
    address, vectors = filled
    with open_gallery(address) as gallery:
        postgres_server.drop_galleries()
        with pytest.raises(GalleryError, match="deleted while it was open"):
            gallery.search(vectors[0])
        with open_gallery(address, create=True, dim=DIM):
            for call in (lambda: gallery.search(vectors[0]), lambda: gallery.remove("p0")):
                with pytest.raises(GalleryError, match="replaced while it was open"):
                    call()


def test_a_gallery_of_a_later_version_is_refused(postgres_server, filled):
    with postgres_server.connect() as connection:
        connection.execute("UPDATE arcwise_shop.about SET version = 2")
    with pytest.raises(GalleryError, match="version 2; this Arcwise reads version 1"):
        open_gallery(filled[0])


def test_a_standby_is_refused(postgres_server, filled):
    address, _ = filled
    signal = postgres_server.data / "standby.signal"
    postgres_server.stop()
    signal.touch()
    try:
        postgres_server.start()
        with pytest.raises(GalleryError, match="a standby server"):
            open_gallery(address, mode="r")
        postgres_server.stop()
    finally:
        signal.unlink()
        postgres_server.start()


def test_a_server_that_does_not_sync_is_named(postgres_server, filled):
    address, _ = filled
    postgres_server.stop()
    postgres_server.start("fsync=off")
    try:
        with pytest.warns(UserWarning, match="fsync is off"):
            open_gallery(address).close()
        open_gallery(address, mode="r").close()
    finally:
        postgres_server.stop()
        postgres_server.start()


def test_what_is_acknowledged_is_synced_whatever_the_role_says(postgres_server, filled):
    with postgres_server.connect() as connection:
        connection.execute("ALTER ROLE owner SET synchronous_commit = off")
    try:
        with open_gallery(filled[0]) as gallery, gallery._server.writing() as change:
            change.cursor.execute("SHOW synchronous_commit")
            assert change.cursor.fetchone() == ("on",)
    finally:
        with postgres_server.connect() as connection:
            connection.execute("ALTER ROLE owner RESET synchronous_commit")


# Faults


@pytest.mark.parametrize(("end", "rounds"), [("kill", ROUNDS), ("stop", 3)])
def test_acknowledged_changes_survive_the_end_of_the_server(postgres_server, address, end, rounds):
    """The postmaster and all backends end in mid-write; the gallery goes on with the next one.

    Three threads enrol and remove in batches of five, until their call fails. A hundred rounds:
    `ARCWISE_KILL_ROUNDS=100 python -m pytest tests/gallery/test_postgres.py -k end_of_the_server`.
    """
    templates: dict[str, list[int]] = {}  # acknowledged and not removed
    in_doubt: set[str] = set()
    lock, numbers, rng = threading.Lock(), iter(range(10**9)), random.Random(0)
    acknowledged, removed, failures = 0, 0, []
    gallery = open_gallery(address, create=True, dim=DIM)

    def write():
        nonlocal acknowledged, removed
        own: list[str] = []
        while True:
            with lock:
                batch = next(numbers)
            name = f"b{batch}"
            try:
                receipt = gallery.enrol(
                    [(name, v, {"n": n}) for n, v in enumerate(batch_vectors(batch))]
                )
                with lock:
                    templates[name], acknowledged = list(receipt.templates), acknowledged + 1
                own.append(name)
                if len(own) > 2:
                    name = own.pop(0)
                    assert gallery.remove(name) == 5
                    with lock:
                        del templates[name]
                        removed += 1
            except GalleryError as error:
                with lock:
                    in_doubt.add(name)
                    failures.append(str(error))
                return

    for _ in range(rounds):
        threads = [threading.Thread(target=write) for _ in range(3)]
        for one in threads:
            one.start()
        time.sleep(rng.uniform(0.05, 0.25))
        getattr(postgres_server, end)()
        for one in threads:
            one.join(30)
            assert not one.is_alive()
        assert len(failures) == 3
        assert all("connection" in one for one in failures)
        failures.clear()
        postgres_server.start()
        found: dict[str, list[int]] = {}
        for rows in gallery.stored():
            for template, identity, vector, n in zip(
                rows.templates.tolist(), rows.identities, rows.vectors, rows.metadata, strict=True
            ):
                assert np.array_equal(vector, batch_vectors(int(identity[1:]))[n["n"]])
                found.setdefault(identity, []).append(template)
        assert set(templates) - in_doubt <= set(found) <= set(templates) | in_doubt
        assert all(len(ids) == 5 for ids in found.values())  # no part of a batch
        assert all(found[name] == ids for name, ids in templates.items() if name in found)
        assert gallery.check().templates == len(gallery) == 5 * len(found)
        templates, in_doubt = found, set()
    print(f"{rounds} ends; kept: {acknowledged} enrolments, {removed} removals")
    assert acknowledged > 5 * rounds
    assert removed > 2 * rounds
    gallery.close()


def test_one_call_fails_when_the_server_restarts(postgres_server, filled):
    address, vectors = filled
    with open_gallery(address) as gallery:
        threads = [threading.Thread(target=gallery.search, args=(vectors,)) for _ in range(5)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        postgres_server.stop()
        with pytest.raises(GalleryError, match="cannot be reached, or ended the connection"):
            gallery.search(vectors[0])
        postgres_server.start()
        for _ in range(10):
            assert gallery.search(vectors[0])[0][0].identity == "p0"
        postgres_server.stop()
        postgres_server.start()
        with pytest.raises(GalleryError, match="nothing was changed"):
            gallery.enrol([("new", vectors[0])])
        assert gallery.enrol([("new", vectors[0])]).templates == (11,)


def test_a_change_whose_commit_was_cut_off_is_in_doubt(postgres_server, filled, monkeypatch):
    address, vectors = filled
    whole = connections.PostgresChange.write

    def cut(change):
        whole(change)
        with postgres_server.connect() as other:
            pid = change.cursor.connection.info.backend_pid
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    with open_gallery(address) as gallery:
        threads = [threading.Thread(target=gallery.search, args=(vectors,)) for _ in range(3)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        with monkeypatch.context() as patch:
            patch.setattr(connections.PostgresChange, "write", cut)
            with pytest.raises(GalleryError, match="as a whole or not at all"):
                gallery.enrol([("new", vectors[0])])
        assert gallery.enrol([("new", vectors[0])]).templates == (11,)
        assert gallery.check().templates == 11


WRITER = """
import sys, numpy as np
from arcwise.gallery import open_gallery
address, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open_gallery(address, create=True, dim=32) as gallery:
    for n in range(count):
        vectors = np.random.default_rng([n, len(name)]).normal(size=(3, 32))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        gallery.enrol([(f"{name}{n}", v) for v in vectors])
        if n % 4 == 3:
            gallery.remove(f"{name}{n - 1}")
        gallery.enrol([("both", vectors[0]), ("both", vectors[1])], replace=True)
"""


def test_two_processes_create_and_write(address, unit):
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, address, name, "40"])
        for name in ("a", "bb")
    ]
    watcher = None
    while any(child.poll() is None for child in children):
        if watcher is None:
            try:
                watcher = open_gallery(address, mode="r")
            except GalleryError:
                time.sleep(0.05)
                continue
        count = len(watcher)
        assert (count - (2 if count else 0)) % 3 == 0 or count % 3 == 0  # whole batches only
    assert [child.wait() for child in children] == [0, 0]
    expected = sorted(f"{name}{n}" for name in ("a", "bb") for n in range(40) if n % 4 != 2)
    assert watcher.identities() == sorted([*expected, "both"])
    assert watcher.counts()["both"] == 2
    assert len(watcher) == watcher.check().templates == 182
    assert watcher.size().newest == 2 * 40 * 5
    watcher.close()


def test_threads_that_replace_one_identity_leave_one(filled):
    address, vectors = filled
    ids: list[int] = []
    with open_gallery(address) as gallery:

        def write(row):
            for _ in range(10):
                ids.extend(gallery.enrol([("p0", vectors[row])], replace=True).templates)

        threads = [threading.Thread(target=write, args=(row,)) for row in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert sorted(ids) == list(range(11, 51))
        assert gallery.counts()["p0"] == 1
        assert gallery.templates("p0")[0].template == 50
        assert gallery.check().templates == 10


def test_a_writer_that_does_not_end_is_not_waited_for(filled, monkeypatch):
    address, vectors = filled
    monkeypatch.setattr(connections, "_PATIENCE", "100ms")
    with open_gallery(address) as one, open_gallery(address) as other:
        with one._server.writing(), pytest.raises(GalleryError, match="busy for 100ms"):
            other.enrol([("new", vectors[0])])
        assert other.search(vectors[0])[0][0].identity == "p0"
        assert other.enrol([("new", vectors[0])]).templates == (11,)


def test_a_process_that_was_forked_is_refused(filled):
    address, vectors = filled
    with open_gallery(address) as gallery:
        gallery._server._process += 1
        with pytest.raises(GalleryError, match="opened before a fork"):
            gallery.search(vectors[0])
        gallery._server._process -= 1
        assert gallery.search(vectors[0])[0][0].identity == "p0"


# Damage


@pytest.mark.parametrize(
    "change",
    [
        "vector = (SELECT vector FROM arcwise_shop.templates WHERE id = 4)",
        "identity = 'p4'",
        "key = 'p4'",
        "metadata = '{\"row\": 4}'",
        "metadata = '{'",
        "conditions = '{\"row\": 4}'",
        "length = length * 1.0000000001",
        "quality = 0.25",
        "quality = NULL",
        "crc = crc + 1",
        "id = 99",
        "quarantine = 'no reason'",
    ],
)
def test_a_changed_row_is_damage(postgres_server, filled, change):
    address, vectors = filled
    with postgres_server.connect() as connection:
        connection.execute(f"UPDATE arcwise_shop.templates SET {change} WHERE id = 3")
    with open_gallery(address) as gallery:
        with pytest.raises(DamagedGallery) as caught:
            gallery.check()
        assert caught.value.templates == (99 if "99" in change else 3,)
        if "quarantine" not in change:  # then it takes part in nothing
            with pytest.raises(DamagedGallery):
                gallery.search(vectors[2 if "vector" not in change else 3], where="row < 9")
        assert gallery.search(vectors[8], k=1)[0][0].identity == "p8"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM arcwise_shop.templates WHERE id = 3", "9 templates found, 10"),
        ("DELETE FROM arcwise_shop.thumbnails WHERE template = 3", "9 thumbnails found, 10"),
        ("UPDATE arcwise_shop.thumbnails SET image = 'x' WHERE template = 3", "thumbnail"),
        ("UPDATE arcwise_shop.about SET templates = 9", "says of itself"),
        ("DELETE FROM arcwise_shop.about", "says of itself"),
    ],
)
def test_what_is_missing_is_damage(postgres_server, filled, statement, found):
    with open_gallery(filled[0]) as gallery:
        with postgres_server.connect() as connection:
            connection.execute(statement)
        with pytest.raises(DamagedGallery, match=found):
            gallery.check()


def test_a_calibration_is_kept_and_checked(postgres_server, filled):
    address, _ = filled
    kept = GalleryCalibration(10, 10, (), "strangers\0 of Ördög", 10)
    with open_gallery(address) as gallery:
        assert gallery.calibration is None
        gallery.keep_calibration(kept)
        assert gallery.calibration == kept
        with postgres_server.connect() as connection:
            connection.execute("UPDATE arcwise_shop.about SET calibration = '{}'")
        with pytest.raises(DamagedGallery, match="its calibration"):
            _ = gallery.calibration


# Erasure


def traces(folder: Path, *pieces: bytes) -> int:
    """How many of the pieces are in any file of a folder."""
    content = b"".join(one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file())
    return sum(piece in content for piece in pieces)


def pieces(vector, *texts: bytes) -> list[bytes]:
    blob = vector.astype("<f4").tobytes()
    network = vector.astype(">f4").tobytes()
    return [blob[:16], blob[48:64], blob[-16:], network[:16], network[-16:], *texts]


def test_what_was_removed_is_in_no_file_after_a_purge(postgres_server, address, unit):
    vectors = unit(40, DIM)
    images = [np.random.default_rng(row).bytes(5000) for row in range(40)]
    with open_gallery(address, create=True, dim=DIM) as gallery:
        for row in range(40):
            gallery.enrol(
                [
                    NewTemplate(
                        f"identity-{row}.",
                        vectors[row],
                        {"note": f"secret-{row}."},
                        None,
                        images[row],
                    )
                ]
            )
        gone = pieces(vectors[3], b"identity-3.", b"secret-3.", images[3][-60:-40])
        kept = pieces(vectors[4], b"identity-4.", b"secret-4.")
        moved = pieces(vectors[5], b"identity-5.", b"secret-5.", b"a bad photo")
        gallery.quarantine([6], "a bad photo")
        gallery.release([6])
        gallery.assign([6], "identity-4")
        gallery.annotate(6, {})
        with postgres_server.connect() as connection:
            connection.execute("VACUUM ANALYZE")  # which keeps samples of columns
            connection.execute("CHECKPOINT")
        gallery.remove("identity-3.")
        assert traces(postgres_server.data, *gone[:3], *gone[5:7]) == 5
        gallery.purge()
        with postgres_server.connect() as connection:
            connection.execute("CHECKPOINT")
        assert traces(postgres_server.data, *gone) == 0
        assert traces(postgres_server.data, *kept[:3], *kept[5:]) == 5
        assert traces(postgres_server.data, *moved[5:]) == 0
        assert gallery.check().templates == 39


def test_a_purge_that_an_older_transaction_hinders_says_so(postgres_server, filled):
    address, _ = filled
    with open_gallery(address) as gallery, postgres_server.connect() as old:
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1 FROM pg_class")
        gallery.remove("p3")
        with pytest.raises(GalleryError, match="older transaction still sees"):
            gallery.purge()
        old.execute("COMMIT")
        gallery.purge()


# Rights


@pytest.fixture
def guest(postgres_server):
    with postgres_server.connect() as connection:
        connection.execute("CREATE ROLE guest LOGIN")
    yield "guest"
    postgres_server.drop_galleries()
    with postgres_server.connect() as connection:
        connection.execute("DROP OWNED BY guest CASCADE")
        connection.execute("DROP ROLE guest")


def test_an_ordinary_user_creates_and_purges_the_tables_alone(postgres_server, guest, unit):
    address = postgres_server.address("guests", user=guest)
    with pytest.raises(GalleryError, match="may not do that"):
        open_gallery(address, create=True, dim=DIM)
    with postgres_server.connect() as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute("GRANT CREATE ON DATABASE postgres TO guest")
    with open_gallery(address, create=True, dim=DIM) as gallery:
        gallery.enrol([(f"p{row}", v) for row, v in enumerate(unit(5, DIM))])
        gallery.remove("p3")
        with pytest.warns(UserWarning, match="write-ahead log keeps what was removed"):
            gallery.purge()
        with postgres_server.connect() as connection:
            connection.execute("GRANT pg_checkpoint, pg_monitor TO guest")
            connection.execute("GRANT EXECUTE ON FUNCTION pg_switch_wal TO guest")
        gallery.purge()
        with postgres_server.connect() as connection:
            connection.execute("REVOKE EXECUTE ON FUNCTION pg_switch_wal FROM guest")


def test_a_guest_reads_what_it_is_granted(postgres_server, guest, filled):
    _, vectors = filled
    own = postgres_server.address("shop", user=guest)
    with pytest.raises(GalleryError, match="may not do that"):
        open_gallery(own)
    with postgres_server.connect() as connection:
        connection.execute("GRANT USAGE ON SCHEMA arcwise_shop TO guest")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA arcwise_shop TO guest")
    with open_gallery(own, mode="r") as gallery:
        assert gallery.search(vectors[0])[0][0].identity == "p0"
        assert gallery.check().templates == 10
    with open_gallery(own) as gallery, pytest.raises(GalleryError, match="may not do that"):
        gallery.enrol([("new", vectors[0])])
    with postgres_server.connect() as connection:
        connection.execute(
            "GRANT UPDATE, INSERT, DELETE ON ALL TABLES IN SCHEMA arcwise_shop TO guest"
        )
    with open_gallery(own) as gallery:
        gallery.enrol([("new", vectors[0])])
        with pytest.raises(GalleryError, match="not purged"):
            gallery.purge()


def test_the_extension_may_be_in_any_schema(postgres_server, unit):
    with postgres_server.connect() as connection:
        connection.execute("CREATE DATABASE other")
    try:
        with postgres_server.connect(database="other") as connection:
            connection.execute('CREATE SCHEMA "of extensions"')
            connection.execute('CREATE EXTENSION vector SCHEMA "of extensions"')
        address = postgres_server.address("a", database="other")
        with open_gallery(address, create=True, dim=DIM) as gallery:
            gallery.enrol([("ann", unit(1, DIM)[0])])
            assert gallery.search(unit(1, DIM)[0])[0][0].identity == "ann"
    finally:
        with postgres_server.connect() as connection:
            connection.execute("DROP DATABASE other WITH (FORCE)")


def test_a_database_in_another_encoding_is_refused(postgres_server):
    with postgres_server.connect() as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    try:
        with pytest.raises(GalleryError, match="encoding is LATIN1"):
            open_gallery(postgres_server.address("a", database="latin"), create=True, dim=4)
    finally:
        with postgres_server.connect() as connection:
            connection.execute("DROP DATABASE latin WITH (FORCE)")


def test_a_dump_is_a_backup(postgres_server, filled):
    address, vectors = filled
    programs, where = postgres_server.programs, ["-h", postgres_server.data, "-U", "owner"]
    dump = subprocess.run(
        [programs / "pg_dump", *where, "-d", "postgres", "-n", "arcwise_shop"],
        check=True,
        capture_output=True,
    ).stdout
    with postgres_server.connect() as connection:
        connection.execute("CREATE DATABASE copy")
    try:
        with postgres_server.connect(database="copy") as connection:
            connection.execute("CREATE EXTENSION vector")
        subprocess.run(
            [programs / "psql", *where, "-d", "copy", "-q", "-v", "ON_ERROR_STOP=1"],
            check=True,
            input=dump,
            stdout=subprocess.DEVNULL,
        )
        copy = postgres_server.address("shop", database="copy")
        with open_gallery(copy) as restored_one, open_gallery(address) as gallery:
            assert restored_one.check() == gallery.check()
            assert restored_one.search(vectors, 5) == gallery.search(vectors, 5)
            assert restored_one.enrol([("new", vectors[0])]).templates == (11,)
    finally:
        with postgres_server.connect() as connection:
            connection.execute("DROP DATABASE copy WITH (FORCE)")
