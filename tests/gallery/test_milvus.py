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

import numpy as np
import pytest

from arcwise.errors import GalleryError
from arcwise.gallery import DamagedGallery, NewTemplate, open_gallery

pytest.importorskip("pymilvus", reason="pymilvus is not installed: pip install 'arcwise[milvus]'")
pytest.importorskip(
    "milvus_lite", reason="milvus-lite is not installed: pip install 'arcwise[dev]'"
)

from arcwise.gallery.milvus import changes, connection, searching, state, turn
from arcwise.gallery.milvus import store as milvus_store
from arcwise.gallery.milvus.address import read_address
from arcwise.gallery.milvus.local import _open
from tests.gallery.server_stores import DIM, batch_vectors, kept
from tests.gallery.test_server_stores import same_answers

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


# Answers


def test_answers_where_a_server_gives_few_rows(address, path, monkeypatch):
    """The vectors are read and compared by the client."""
    for module in (connection, searching):
        monkeypatch.setattr(module, "MOST", 100)
    same_answers(address, path, (4,))


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


# Names


def test_an_address_as_pymilvus_takes_it(monkeypatch):
    given = read_address(
        "milvus://ann:a%40b@[::1]/faces?gallery=a b&secure=true&ca_pem_path=ca.pem"
    )
    assert given.parameters == {
        "uri": "https://[::1]:19530", "token": "ann:a@b", "db_name": "faces", "secure": True,
        "ca_pem_path": "ca.pem",
    }  # fmt: skip
    assert "a@b" not in repr(given)
    monkeypatch.setenv("MILVUS_TOKEN", "hunter2")
    assert read_address("milvus://db.example.com/?gallery=a").parameters["token"] == "hunter2"


# Opening


def test_folders_and_vectors_that_cannot_be(tmp_path, address):
    nowhere = tmp_path / "nowhere.db"
    missing = f"milvus-lite://{nowhere}?gallery=a"
    with pytest.raises(GalleryError, match="there is no such gallery"):
        open_gallery(missing)
    for narrow in (missing, address):
        with pytest.raises(GalleryError, match=r"2 to 32,768 dimensions"):
            open_gallery(narrow, create=True, dim=1)
    assert not nowhere.exists()
    nowhere.write_bytes(b"of Milvus Lite 2")
    with pytest.raises(GalleryError, match=r"nowhere\.db\?gallery=a: a file"):
        open_gallery(missing, create=True, dim=4)


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
                enrolled[f"p{numbers[0]}"] = int(numbers[1])
                batch, acknowledged = int(numbers[0]) + 1, acknowledged + 1
            elif word == "removing":
                in_doubt.add(f"p{numbers[0]}")
            elif word == "removed":
                in_doubt.discard(f"p{numbers[0]}")
                enrolled.pop(f"p{numbers[0]}")
                removed += 1
            if word == "ended":
                break
            if killer is None and word == ("removed" if one_round % 2 else "enrolled"):
                wait = 0.1 * rng.random()
                killer = threading.Timer(wait, os.kill, (pid, signal.SIGKILL))
                killer.start()
        in_doubt.add(f"p{batch}")  # the one that may have been under way
        with open_gallery(address) as gallery:
            enrolled = kept(gallery, enrolled, in_doubt)
            gallery.enrol([("next", batch_vectors(0)[0])], replace=True)
            gallery.remove("next")
            assert gallery.check().templates == 5 * len(enrolled)
        in_doubt, batch = set(), max([batch, *(int(one[1:]) + 1 for one in enrolled)])
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


def test_a_state_of_many_pieces(filled, monkeypatch):
    address, vectors = filled
    monkeypatch.setattr(state, "_PIECE", 50)
    with open_gallery(address) as gallery:
        gallery.enrol([("p1", vectors[1])], replace=True)
        gallery.remove("p2")
        assert gallery.check().templates == 9


# Erasure


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
