"""The gallery on Milvus: what the contract suite cannot see from outside.

Milvus Lite stands for the server: behind `milvus-lite://` it is a folder of this process, and
behind `milvus://` a server that does not lock for its clients.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from arcwise.errors import GalleryError
from arcwise.gallery import DamagedGallery, GalleryCalibration, NewTemplate, open_gallery
from arcwise.gallery.filters import Not, matches
from tests.gallery.hostile import METADATA, hostile_leaf
from tests.gallery.test_filters import tree

pytest.importorskip("pymilvus", reason="pymilvus is not installed: pip install 'arcwise[milvus]'")
pytest.importorskip(
    "milvus_lite", reason="milvus-lite is not installed: pip install 'arcwise[dev]'"
)

from arcwise.gallery.milvus import changes, connection, searching, state, turn
from arcwise.gallery.milvus import store as milvus_store
from arcwise.gallery.milvus.address import read_address
from arcwise.gallery.milvus.local import _open
from tests.gallery.milvus_writer import DIM, batch_vectors

ROUNDS = int(os.environ.get("ARCWISE_KILL_ROUNDS", "10"))
MARKED = pytest.mark.filterwarnings("ignore:.*dropTolerance")


@pytest.fixture
def address(milvus_folder):
    return f"milvus-lite://{milvus_folder}?gallery=shop"


@pytest.fixture
def on_a_server(milvus_folder):
    """The address of the same galleries without the lock of the folder."""
    port = _open[os.path.realpath(milvus_folder)].uri.rpartition(":")[2]
    return f"milvus://127.0.0.1:{port}/?gallery=shop"


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


@pytest.fixture(scope="module")
def folder_of_module(tmp_path_factory):
    from arcwise.gallery.milvus.local import LocalServer

    folder = tmp_path_factory.mktemp("milvus") / "all.db"
    server = LocalServer.of(str(folder), "a test")
    yield folder
    server.release()


# Answers


@pytest.mark.parametrize("longest", [connection.MOST, 100])
def test_answers_are_those_of_a_gallery_in_a_file(address, path, monkeypatch, longest):
    """To the last bit, ties and vectors that are not quite of length 1 included.

    Where Milvus gives at most a hundred rows, the vectors are read and compared by the client.
    """
    for module in (connection, searching):
        monkeypatch.setattr(module, "MOST", longest)
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
    queries = rng.normal(size=(4, DIM))
    queries[:2] = vectors[:2] + 0.01 * queries[:2]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    with (
        open_gallery(address, create=True, dim=DIM) as server,
        open_gallery(path, create=True, dim=DIM) as file,
    ):
        for gallery in (server, file):
            gallery.enrol(items)
        for k in (1, 51, 1000):
            assert server.search(queries, k) == file.search(queries, k)
        where = "row in (1, 2) or row == 5"
        assert server.search(queries, 9, where=where) == file.search(queries, 9, where=where)
        for threshold in (-1, 0.2, 0.999, file.search(queries[0])[0][2].similarity):
            assert server.above(queries, threshold) == file.above(queries, threshold)
        assert server.verify("p0", queries[0]) == file.verify("p0", queries[0])
        assert server.counts() == file.counts()
        assert server.size() == file.size()
        assert server.templates(where="row == 3") == file.templates(where="row == 3")


def test_no_query_and_any_number_of_answers(filled):
    address, vectors = filled
    with open_gallery(address) as gallery:
        assert gallery.search(np.empty((0, DIM))) == gallery.above(np.empty((0, DIM)), 0) == []
        assert len(gallery.search(vectors[0], sys.maxsize)[0]) == 10
        gallery.remove_templates(range(1, 11))
        assert gallery.search(vectors[:2], 3) == gallery.above(vectors[:2], -1) == [[], []]
        assert gallery.size().newest == 0
        gallery.remove_templates([])


@pytest.fixture(scope="module")
def hostile(folder_of_module):
    """A gallery with metadata that Milvus compares in its own way."""
    vector = np.eye(4, dtype=np.float32)[0]
    address = f"milvus-lite://{folder_of_module}?gallery=hostile"
    with open_gallery(address, create=True, dim=4) as gallery:
        gallery.enrol([(f"p{row}", vector, one) for row, one in enumerate(METADATA)])
        yield gallery


@settings(max_examples=60, deadline=None)
@given(where=hostile_leaf | hostile_leaf.map(Not) | tree | tree.map(Not))
def test_conditions_are_those_of_filters(hostile, where):
    expected = [row for row, one in enumerate(METADATA) if matches(where, one)]
    assert [one.template - 1 for one in hostile.templates(where=where)] == expected


def test_metadata_come_back_as_they_were(hostile):
    assert [one.metadata for one in hostile.templates()] == METADATA
    assert hostile.check().templates == len(METADATA)


def test_long_texts(address, unit):
    """Texts are in order by their first thousand bytes, and equal as a whole."""
    long = "a" * 1000
    vectors = unit(3, DIM)
    texts = [long + "a", long + "b", "b"]
    with open_gallery(address, create=True, dim=DIM) as gallery:
        gallery.enrol(
            [(f"p{n}", v, {"t": t}) for n, (t, v) in enumerate(zip(texts, vectors, strict=True))]
        )
        for where, found in (
            (f"t == '{texts[0]}'", [1]), (f"t != '{texts[0]}'", [2, 3]), ("t < 'b'", [1, 2]),
            (f"t > '{long[:999]}'", [1, 2, 3]),
        ):  # fmt: skip
            assert [one.template for one in gallery.templates(where=where)] == found
        with pytest.raises(GalleryError, match="in order by fewer than 1,000"):
            gallery.search(vectors[0], where=f"t < '{long}'")
        with pytest.raises(GalleryError, match="at most 65,535"):
            gallery.enrol([("ann", vectors[0], {"t": "a" * 65_536})])
        with pytest.raises(GalleryError, match="at most 65,535"):
            gallery.enrol([("bob", vectors[1]), ("ö" * 40_000, vectors[0])])
        assert gallery.check().templates == 3


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


@pytest.mark.parametrize("name", ["x\0y", '" or row >= 0 or identity == "', "\\", "z" * 9000, "ä"])
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


def test_hostile_names_of_galleries(milvus_folder, unit):
    names = ["a b", "a%20b", "a_b", "a_20b", "ä", "about", "..%2Fx", "x__templates_1"]
    for number, name in enumerate(names):
        address = f"milvus-lite://{milvus_folder}?gallery={name.replace('%', '%25')}"
        with open_gallery(address, create=True, dim=DIM) as gallery:
            gallery.enrol([(f"ann{number}", unit(1, DIM)[0])])
            assert gallery.identities() == [f"ann{number}"]
    with pytest.raises(GalleryError, match="expected fewer bytes"):
        open_gallery(f"milvus-lite://{milvus_folder}?gallery={'ä' * 60}", create=True, dim=DIM)


SECRET = "hunter2"


@pytest.mark.parametrize(
    "address",
    [
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
    monkeypatch.setattr(connection, "CONNECT", 0.3)
    with pytest.raises(GalleryError) as caught:
        open_gallery(address, create=True, dim=4)
    assert "\n" not in str(caught.value)
    assert SECRET not in f"{caught.value} {caught.value.__cause__} {capfd.readouterr()}"


def test_an_address_as_pymilvus_takes_it(monkeypatch):
    given = read_address(
        "milvus://ann:a%40b@[::1]/faces?gallery=a b&secure=true&ca_pem_path=ca.pem"
    )
    assert given.parameters == {
        "uri": "https://[::1]:19530", "token": "ann:a@b", "db_name": "faces", "secure": True,
        "ca_pem_path": "ca.pem",
    }  # fmt: skip
    assert "a@b" not in repr(given)
    monkeypatch.setenv("MILVUS_TOKEN", SECRET)
    assert read_address("milvus://db.example.com/?gallery=a").parameters["token"] == SECRET


# Opening


def test_what_is_not_there(tmp_path, address, unit):
    nowhere = tmp_path / "nowhere.db"
    for missing in (f"milvus-lite://{nowhere}?gallery=a", address):
        with pytest.raises(GalleryError, match="there is no such gallery"):
            open_gallery(missing)
        with pytest.raises(GalleryError, match="needs model"):
            open_gallery(missing, create=True)
        with pytest.raises(GalleryError, match=r"2 to 32,768 dimensions"):
            open_gallery(missing, create=True, dim=1)
    assert not nowhere.exists()
    nowhere.write_bytes(b"of Milvus Lite 2")
    with pytest.raises(GalleryError, match=r"nowhere\.db\?gallery=a: a file"):
        open_gallery(f"milvus-lite://{nowhere}?gallery=a", create=True, dim=4)
    open_gallery(address, create=True, dim=1000).close()
    with pytest.raises(GalleryError, match="1000 dimensions, and 4"):
        open_gallery(address, dim=4)


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


def test_without_the_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(GalleryError, match=r"pip install 'arcwise\[milvus\]'"):
        open_gallery("milvus://127.0.0.1/?gallery=a")


def test_closed_and_read_only(filled):
    address, vectors = filled
    gallery = open_gallery(address, mode="r")
    assert gallery.search(vectors[0])[0][0].identity == "p0"
    for call in (lambda: gallery.enrol([("a", vectors[0])]), gallery.purge):
        with pytest.raises(GalleryError, match="mode='r'"):
            call()
    gallery._server._process += 1
    with pytest.raises(GalleryError, match="opened before a fork"):
        gallery.search(vectors[0])
    gallery._server._process -= 1
    gallery.close()
    gallery.close()
    with pytest.raises(GalleryError, match="closed; open it again"):
        gallery.search(vectors[0])


def drop_all(gallery):
    for name in gallery._server.collections():
        gallery._server.client.drop_collection(name)


def test_deleted_or_replaced_while_open(filled):
    address, vectors = filled
    with open_gallery(address) as gallery:
        drop_all(gallery)
        for call in (lambda: gallery.search(vectors[0]), lambda: gallery.remove("p0")):
            with pytest.raises(GalleryError, match="deleted while it was open"):
                call()
        with open_gallery(address, create=True, dim=DIM):
            for call in (lambda: gallery.search(vectors[0]), lambda: gallery.remove("p0")):
                with pytest.raises(GalleryError, match="replaced while it was open"):
                    call()


def test_a_gallery_of_a_later_version_is_refused(filled):
    with open_gallery(filled[0]) as gallery:
        later = replace(gallery._server.now(), version=2, number=9)
        changes.write_state(gallery._server, later)
    with pytest.raises(GalleryError, match="version 2; this Arcwise reads version 1"):
        open_gallery(filled[0])


def test_a_creation_that_was_cut_off_is_begun_again(address, monkeypatch):
    from arcwise.gallery.milvus import opening

    with monkeypatch.context() as patch:
        patch.setattr(opening, "write_state", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            open_gallery(address, create=True, dim=4)
    with pytest.raises(GalleryError, match="there is no such gallery"):
        open_gallery(address)
    with open_gallery(address, create=True, dim=DIM) as gallery:
        assert gallery.check().templates == 0


OTHER_PROCESS = """
import sys
from arcwise.gallery import open_gallery
try:
    open_gallery(sys.argv[1])
except Exception as error:
    sys.exit(f"{type(error).__name__} {error}")
"""


def test_a_second_process_is_told_why_not(filled):
    other = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, filled[0]],
        check=False,
        capture_output=True,
        text=True,
    )
    assert other.stderr.startswith("GalleryError milvus-lite://")
    assert "one process at a time" in other.stderr
    assert other.stderr.count("\n") == 1


# Writers


class Cut(Exception):
    """Stands for the end of a process."""


def cut_off(*_):
    raise Cut


@pytest.mark.parametrize("where", ["write_state", "delete"])
def test_a_change_that_was_cut_off_is_not_seen(filled, on_a_server, monkeypatch, where):
    address, vectors = filled
    monkeypatch.setattr(turn, "LEASE", 0.2)
    with open_gallery(on_a_server) as gallery, open_gallery(address) as other:
        gallery.remove("p9")  # leaves a row to be deleted
        with monkeypatch.context() as patch:
            patch.setattr(changes, where, cut_off)
            for call in (
                lambda: gallery.enrol([NewTemplate("new", vectors[0], None, None, b"x" * 99_000)]),
                lambda: gallery.assign([1], "p5"),
                lambda: gallery.enrol([("p1", vectors[0])], replace=True),
            ):
                with pytest.raises(Cut):
                    call()
                assert other.counts() == {f"p{row}": 1 for row in range(9)}
                assert other.check().templates == 9
        assert gallery.enrol([("new", vectors[0])]).templates == (11,)
        assert other.enrol([("next", vectors[0])]).templates == (12,)
        assert other.check().templates == 11
        raw = gallery._server.client.query(
            gallery._server.templates(1), filter="row >= 0", output_fields=["born"], limit=100
        )
        assert len(raw) == 11  # what was cut off is deleted


def test_a_writer_that_was_held_up_does_no_harm(filled, on_a_server, monkeypatch):
    """It goes on when another one has taken over, and is told that it was too late."""
    _, vectors = filled
    monkeypatch.setattr(turn, "LEASE", 0.1)
    whole = changes.write_state
    with open_gallery(on_a_server) as slow, open_gallery(on_a_server) as quick:

        def held_up(server, state):
            monkeypatch.setattr(changes, "write_state", whole)
            quick.enrol([("quick", vectors[1])])
            whole(server, state)

        monkeypatch.setattr(turn.Turn, "keep", lambda self: None)
        monkeypatch.setattr(changes, "write_state", held_up)
        with pytest.raises(GalleryError, match="as a whole or not at all"):
            slow.enrol([("slow", vectors[0]), ("slow", vectors[2])])
        for one in (slow, quick):
            assert one.counts() == {f"p{row}": 1 for row in range(10)} | {"quick": 1}
            assert one.check().templates == 11
        assert slow.enrol([("slow", vectors[0])]).templates == (12,)


def test_a_change_acknowledged_during_the_take_over_is_kept(filled, on_a_server, monkeypatch):
    """The state arrives after the next writer has looked, and before it skips the number."""
    _, vectors = filled
    monkeypatch.setattr(turn, "LEASE", 0.1)
    whole, states = changes.write_state, []
    with open_gallery(on_a_server) as slow, open_gallery(on_a_server) as quick:
        monkeypatch.setattr(changes, "write_state", lambda server, state: states.append(state))
        monkeypatch.setattr(turn.Turn, "give", cut_off)
        with pytest.raises(Cut):
            slow.enrol([("slow", vectors[0])])
        monkeypatch.undo()
        monkeypatch.setattr(turn, "LEASE", 0.1)

        def after_the_other(number):
            whole(quick._server, states[0])
            return state.skip_row(number)

        monkeypatch.setattr(changes, "skip_row", after_the_other)
        assert quick.enrol([("quick", vectors[1])]).templates == (12,)
        assert {"slow", "quick"} <= set(quick.identities())
        assert quick.check().templates == 12


def test_a_writer_that_does_not_end_is_not_waited_for(filled, on_a_server, monkeypatch):
    _, vectors = filled
    monkeypatch.setattr(turn, "_PATIENCE", 0.1)
    with open_gallery(on_a_server) as one, open_gallery(on_a_server) as other:
        with (
            changes.changing(one._server, one._turn),
            pytest.raises(GalleryError, match="kept it busy"),
        ):
            other.enrol([("new", vectors[0])])
        assert other.search(vectors[0])[0][0].identity == "p0"
        assert other.enrol([("new", vectors[0])]).templates == (11,)


def test_writers_take_turns(filled, on_a_server):
    _, vectors = filled
    ids: list[int] = []
    galleries = [open_gallery(on_a_server) for _ in range(3)]

    def write(gallery, row):
        for _ in range(3):
            ids.extend(gallery.enrol([("p0", vectors[row])] * 2, replace=True).templates)

    threads = [
        threading.Thread(target=write, args=(one, row))
        for row, one in enumerate([*galleries, galleries[0]])
    ]
    for one in threads:
        one.start()
    watcher = open_gallery(on_a_server, mode="r")
    while any(one.is_alive() for one in threads):
        assert len(watcher.search(vectors[0], 50)[0]) == 10  # p0 is always there
        assert len(watcher.templates("p0")) in (1, 2)
    for one in threads:
        one.join()
    assert sorted(ids) == list(range(11, 35))
    assert watcher.counts()["p0"] == 2
    assert watcher.check().templates == 11
    for one in (*galleries, watcher):
        one.close()


def test_much_that_was_removed_is_deleted_at_once(filled, on_a_server, monkeypatch):
    monkeypatch.setattr(changes, "_MANY", 2)
    with open_gallery(on_a_server) as gallery:
        gallery.remove_templates([1, 2, 3])
        state = gallery._server.now()
        assert (state.gone, state.gone_pieces, state.templates) == ((), (), 7)
        assert gallery.check().templates == 7


def test_a_reader_of_an_older_state_reads_again(filled, on_a_server, monkeypatch):
    """What it needs was replaced, and deleted, between two of its questions."""
    _, vectors = filled
    with open_gallery(on_a_server) as gallery, open_gallery(on_a_server) as writer:
        whole, calls = connection.View.closest, []

        def closest(view, *given):
            calls.append(view.state.number)
            if len(calls) == 1:
                writer.enrol([("p0", vectors[0])], replace=True)
                writer.enrol([("other", vectors[1])])  # deletes what was replaced
            return whole(view, *given)

        monkeypatch.setattr(connection.View, "closest", closest)
        assert gallery.search(vectors[0])[0][0].template == 11
        assert len(calls) == 2
        chunks = gallery.stored()
        monkeypatch.setattr(milvus_store.reading, "CHUNK", 4)
        next(chunks)
        writer.remove("p8")
        writer.remove("p7")
        with pytest.raises(GalleryError, match="changed while it was read"):
            list(chunks)
        assert gallery.check().templates == 9


# Ends of processes


@pytest.fixture
def writers():
    """A process that starts writers: `(address, first batch) -> (its output, its pid)`."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.gallery.milvus_writer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


@pytest.mark.parametrize("kind", ["folder", "server"])
def test_acknowledged_changes_survive_kill_9(tmp_path, on_a_server, writers, kind, monkeypatch):
    """The process that has the folder, or one of those that use the server, ends in mid-write."""
    monkeypatch.setattr(turn, "LEASE", 0.2)
    rounds = ROUNDS if kind == "folder" else max(2, ROUNDS // 3)
    address = f"milvus-lite://{tmp_path / 'own.db'}?gallery=a" if kind == "folder" else on_a_server
    rng, batch, enrolled, in_doubt = random.Random(0), 0, {}, set()
    acknowledged = removed = 0
    for one_round in range(rounds):
        writers.stdin.write(f"{address} {batch}\n")
        writers.stdin.flush()
        pid, killer = 0, None
        for line in iter(writers.stdout.readline, ""):
            word, *numbers = line.split()
            if word == "child":
                pid = int(numbers[0])
            elif word == "enrolled":
                enrolled[int(numbers[0])] = int(numbers[1])
                batch, acknowledged = int(numbers[0]) + 1, acknowledged + 1
            elif word == "removing":
                in_doubt.add(int(numbers[0]))
            elif word == "removed":
                in_doubt.discard(int(numbers[0]))
                enrolled.pop(int(numbers[0]))
                removed += 1
            if word == "ended":
                break
            if killer is None and word == ("removed" if one_round % 2 else "enrolled"):
                wait = 0.1 * rng.random()
                killer = threading.Timer(wait, os.kill, (pid, signal.SIGKILL))
                killer.start()
        in_doubt.add(batch)  # the one that may have been under way
        with open_gallery(address) as gallery:
            found = {}
            for chunk in gallery.stored():
                for template, identity, vector in zip(
                    chunk.templates.tolist(), chunk.identities, chunk.vectors, strict=True
                ):
                    found.setdefault(int(identity[1:]), []).append((template, vector))
            for number, those in found.items():
                assert len(those) == 5
                first = enrolled.get(number, those[0][0])
                assert [template for template, _ in those] == list(range(first, first + 5))
                assert (np.stack([v for _, v in those]) == batch_vectors(number)).all()
            assert enrolled.keys() - in_doubt <= found.keys() <= enrolled.keys() | in_doubt
            gallery.enrol([("next", batch_vectors(0)[0])], replace=True)
            gallery.remove("next")
            assert gallery.check().templates == 5 * len(found)
        enrolled = {number: those[0][0] for number, those in found.items()}
        in_doubt, batch = set(), max([batch, *(number + 1 for number in found)])
    print(f"{rounds} kills; kept: {acknowledged} enrolments, {removed} removals")
    assert acknowledged >= rounds
    assert removed


def test_the_server_is_gone_and_comes_back(tmp_path, unit, monkeypatch):
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    monkeypatch.setattr(connection, "PATIENCE", 1.0)
    folder, vectors = str(tmp_path / "own.db"), unit(3, DIM)
    server, database, port = start_server_in_thread(folder, max_workers=1)
    address = f"milvus://127.0.0.1:{port}/?gallery=shop"
    with open_gallery(address, create=True, dim=DIM) as gallery:
        gallery.enrol([(f"p{row}", v) for row, v in enumerate(vectors)])
        server.stop(grace=0).wait()
        database.close()
        for call in (
            lambda: gallery.search(vectors[0]),
            lambda: gallery.remove("p0"),
            gallery.about,
        ):
            with pytest.raises(GalleryError, match="cannot be reached"):
                call()
        with pytest.raises(GalleryError, match="no connection to the server"):
            open_gallery(address)
        server, database, again = start_server_in_thread(folder, port=port, max_workers=1)
        assert again == port
        for name in database.list_collections():
            if "turn" not in name:
                database.get_collection(name).load()  # as a server does by itself
        for _ in range(50):  # the connection takes a while to be tried again
            try:
                gallery.about()
                break
            except GalleryError:
                time.sleep(0.1)
        assert gallery.search(vectors[0])[0][0].identity == "p0"
        assert gallery.remove("p0") == 1
    server.stop(grace=0).wait()
    database.close()


# Damage


def changed_row(gallery, template, **values):
    """Change a row behind the gallery's back."""
    client, name = gallery._server.client, gallery._server.templates(1)
    (row,) = client.query(name, filter=f"template == {template}", output_fields=["*"])
    client.upsert(name, [row | values])


@pytest.mark.parametrize(
    "values",
    [
        {"vector": np.eye(DIM, dtype=np.float32)[0]},
        {"identity": "p4"},
        {"owner": 4},
        {"metadata": '{"row": 4}'},
        {"metadata": "{"},
        {"terms": []},
        {"sorted": {}},
        {"quality": 0.25},
        {"quality": -1.0},
        {"crc": 7},
        {"pieces": 0},
        {"quarantine": "no reason"},
        {"active": False},
    ],
)
def test_a_changed_row_is_damage(filled, values):
    address, vectors = filled
    with open_gallery(address) as gallery:
        changed_row(gallery, 3, **values)
        with pytest.raises(DamagedGallery) as caught:
            gallery.check()
        assert caught.value.templates == (3,)
        if not values.keys() & {"active", "terms", "sorted"}:  # which only hide it
            with pytest.raises(DamagedGallery):
                gallery.search(vectors[2])
        assert gallery.search(vectors[8], k=1)[0][0].identity == "p8"


def test_what_is_missing_is_damage(filled):
    address, _ = filled
    with open_gallery(address) as gallery:
        client, server = gallery._server.client, gallery._server
        client.delete(server.pieces(1), filter="template == 3")
        with pytest.raises(DamagedGallery, match="the thumbnail of template 3"):
            gallery.check()
        client.delete(server.templates(1), filter="template == 3")
        with pytest.raises(DamagedGallery, match="9 templates found, 10"):
            gallery.check()
        with pytest.raises(DamagedGallery, match="9 templates found, 10"):
            gallery.purge()
    with pytest.raises(DamagedGallery, match="9 templates found, 10"):
        open_gallery(address)


@pytest.mark.parametrize("how", ["missing", "truncated", "flipped"])
def test_damaged_files_give_no_wrong_answer(tmp_path, unit, how):
    """Each file of a folder of Milvus Lite in turn, but for those without rows."""
    vectors, folder = unit(30, DIM), tmp_path / "a.db"
    address = f"milvus-lite://{folder}?gallery=a"
    with open_gallery(address, create=True, dim=DIM) as gallery:
        gallery.enrol([NewTemplate(f"p{row}", v, {"row": row}) for row, v in enumerate(vectors)])
    whole = {one: one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    refused = 0
    for file, content in whole.items():
        if "__turn" in str(file) or "__pieces" in str(file):
            continue
        if how == "missing":
            file.unlink()
        elif how == "truncated":
            file.write_bytes(content[: len(content) // 2])
        else:
            middle = len(content) // 2
            some = bytes(one ^ 0x55 for one in content[middle : middle + 40])
            file.write_bytes(content[:middle] + some + content[middle + 40 :])
        try:
            with open_gallery(address) as gallery:
                gallery.check()
                for hits, row in zip(gallery.search(vectors, 1), range(30), strict=True):
                    assert hits[0].identity == f"p{row}"
        except GalleryError as error:
            refused += "\n" not in str(error)
        for one in folder.rglob("*"):
            if one.is_file() and one not in whole:
                one.unlink()
        for one, was in whole.items():
            one.parent.mkdir(parents=True, exist_ok=True)
            one.write_bytes(was)
    assert refused
    with open_gallery(address) as gallery:
        assert gallery.check().templates == 30


def test_a_calibration_is_kept_and_checked(filled):
    address, _ = filled
    kept = GalleryCalibration(10, 10, (), "strangers\0 of Ördög", 10)
    with open_gallery(address) as gallery:
        assert gallery.calibration is None
        gallery.keep_calibration(kept)
        assert gallery.calibration == kept
        client, name = gallery._server.client, gallery._server.about
        rows = client.query(name, filter="id >= 0", output_fields=["*"])
        row = max(rows, key=lambda one: one["id"])
        client.upsert(name, [row | {"text": row["text"].replace("strangers", "friends")}])
        with pytest.raises(DamagedGallery, match="says of itself"):
            _ = gallery.calibration


def test_a_state_of_many_pieces(filled, monkeypatch):
    address, vectors = filled
    monkeypatch.setattr(state, "_PIECE", 50)
    with open_gallery(address) as gallery:
        gallery.enrol([("p1", vectors[1])], replace=True)
        gallery.remove("p2")
        assert gallery.check().templates == 9


# Erasure


def traces(folder: Path, *pieces: bytes) -> int:
    """How many of the pieces are in any file of a folder."""
    content = b"".join(one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file())
    return sum(piece in content for piece in pieces)


def test_what_was_removed_is_in_no_file_after_a_purge(tmp_path, unit):
    import base64

    vectors, folder = unit(40, DIM), tmp_path / "a.db"
    address = f"milvus-lite://{folder}?gallery=a"
    images = [np.random.default_rng(row).bytes(60_000) for row in range(40)]

    def pieces(row):
        blob = vectors[row].tobytes()
        shown = base64.b64encode(images[row])
        return [
            blob[:16], blob[48:64], b"identity-%d." % row, b"secret-%d." % row, shown[300:330],
        ]  # fmt: skip

    with open_gallery(address, create=True, dim=DIM) as gallery:
        gallery.enrol(
            [
                NewTemplate(f"identity-{row}.", vectors[row], {"n": f"secret-{row}."}, None, image)
                for row, image in enumerate(images)
            ]
        )
        gallery.assign([6], "identity-4")
        gallery.annotate(6, {})
        gallery.quarantine([7], "a bad photo")
        gallery.release([7])
        gallery.remove("identity-3.")
        assert traces(folder, *pieces(3)) == 5
        gallery.purge()
        assert traces(folder, *pieces(3), *pieces(5)[2:4], b"a bad photo") == 0
        assert gallery.check().templates == 39
        assert gallery.thumbnail(5) == images[4]
    assert traces(folder, *pieces(3), *pieces(5)[2:4], b"a bad photo") == 0
    assert traces(folder, *pieces(5)[:2]) == 2  # whose identity and metadata were changed


@MARKED
def test_a_purge_while_others_read(filled, on_a_server):
    _, vectors = filled
    with open_gallery(on_a_server) as gallery, open_gallery(on_a_server, mode="r") as reader:
        gallery.remove("p3")
        stop = threading.Event()

        def read():
            while not stop.is_set():
                assert len(reader.search(vectors[0], 50)[0]) == 9

        thread = threading.Thread(target=read)
        thread.start()
        with pytest.warns(UserWarning, match="dropTolerance"):
            gallery.purge()
        time.sleep(0.1)
        stop.set()
        thread.join()
        assert reader.check().templates == 9
        assert len(gallery._server.collections()) == 4
