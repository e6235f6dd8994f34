"""One gallery, several processes and threads."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from arcwise.errors import GalleryError
from arcwise.gallery import connection, open_gallery, sql

DIM = 16

WRITER = """
import sys, numpy as np
from arcwise.gallery import open_gallery
address, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open_gallery(address, create=True, dim=16) as gallery:
    for n in range(count):
        vectors = np.random.default_rng([n, len(name)]).normal(size=(3, 16))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        gallery.enrol([(f"{name}{n}", v) for v in vectors])
        if n % 4 == 3:
            gallery.remove(f"{name}{n - 1}")
        gallery.enrol([("both", vectors[0]), ("both", vectors[1])], replace=True)
"""


def create_and_write(address, count):
    """Let two processes make a gallery and change it so often, while a third one watches."""
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, address, name, str(count)])
        for name in ("a", "bb")
    ]
    watcher = None
    while any(child.poll() is None for child in children):
        if watcher is None:
            try:
                watcher = open_gallery(address, mode="r")
            except GalleryError:
                time.sleep(0.02)
                continue
        number = len(watcher)
        assert number % 3 in (0, 2)  # whole batches only
        watcher.search(np.eye(2, DIM), k=3)
    assert [child.wait() for child in children] == [0, 0]
    left = [f"{name}{n}" for name in ("a", "bb") for n in range(count) if n % 4 != 2]
    assert watcher.identities() == sorted([*left, "both"])
    assert watcher.counts()["both"] == 2
    assert len(watcher) == watcher.check().templates == 3 * len(left) + 2
    assert watcher.size().newest == 2 * count * 5
    watcher.close()


def test_two_processes_create_and_write_and_a_third_watches(path):
    create_and_write(str(path), 40)
    assert os.listdir(path.parent) == [path.name]


def test_another_connections_changes_are_seen_by_the_next_call(path, unit):
    vectors = unit(6)
    with open_gallery(path, create=True, dim=DIM) as one, open_gallery(path) as two:
        one.enrol([("ann", vectors[0])])
        assert two.search(vectors[0])[0][0].identity == "ann"
        two.enrol([("bob", vectors[1]), ("ann", vectors[2])], replace=True)
        assert one.verify("ann", vectors[0]).similarity < 0.9
        assert one.remove("bob") == 1
        assert two.identities() == ["ann"]
        assert one.enrol([("cid", vectors[3])]).templates == (4,)
        assert two.enrol([("dee", vectors[4])]).templates == (5,)
        assert one.search(vectors, k=9) == two.search(vectors, k=9)


def test_only_the_changes_are_read(path, unit, monkeypatch):
    vectors = unit(300)
    read = []
    rows = sql.read_rows
    monkeypatch.setattr(
        sql,
        "read_rows",
        lambda connection, dim, after=0: (read.append(len(r.templates)) or r
                                          for r in rows(connection, dim, after)),
    )  # fmt: skip
    with open_gallery(path, create=True, dim=DIM) as one, open_gallery(path) as two:
        one.enrol([(f"p{row}", vector) for row, vector in enumerate(vectors[:250])])
        assert len(two) == 250
        read.clear()
        one.enrol([("new", vectors[260]), ("new", vectors[261])])
        one.remove("p3")
        assert two.verify("new", vectors[261]).templates == 2
        assert len(two) == 251
        assert read == [2, 2]  # each reads the two new rows once
        two.search(vectors)
        assert read == [2, 2]


def test_a_process_too_far_behind_reads_everything_again(path, unit, monkeypatch):
    monkeypatch.setattr(sql, "_KEPT_REMOVALS", 2)
    vectors = unit(20)
    with open_gallery(path, create=True, dim=DIM) as one, open_gallery(path) as two:
        one.enrol([(f"p{row:02}", vector) for row, vector in enumerate(vectors)])
        assert len(two) == 20
        for row in range(6):
            one.remove(f"p{row:02}")
        assert two.identities() == [f"p{row:02}" for row in range(6, 20)]
        assert two.search(vectors, k=20) == one.search(vectors, k=20)


def test_threads_share_one_gallery(path, unit):
    vectors = unit(120)
    problems = []

    def work(number, gallery):
        try:
            for n in range(12):
                row = number * 12 + n
                gallery.enrol([(f"p{row}", vectors[row]), (f"p{row}", vectors[row])])
                assert gallery.search(vectors[row], k=1)[0][0].identity == f"p{row}"
                assert gallery.verify(f"p{row}", vectors[row]).templates == 2
                if n % 3 == 0:
                    assert gallery.remove(f"p{row}") == 2
        except BaseException as error:
            problems.append(error)

    with open_gallery(path, create=True, dim=DIM) as gallery:
        threads = [threading.Thread(target=work, args=(n, gallery)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems
        assert len(gallery) == gallery.check().templates == 8 * 8 * 2


def test_a_busy_file_is_an_error_and_nothing_is_written(path, unit, monkeypatch):
    monkeypatch.setattr(connection, "_PATIENCE", 0.05)
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol([("ann", unit(1)[0])])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(GalleryError, match="another process kept it busy"):
            gallery.enrol([("bob", unit(1)[0])])
        assert gallery.search(unit(1))[0][0].identity == "ann"  # a reader does not wait
        other.execute("ROLLBACK")
        gallery.enrol([("bob", unit(1)[0])])
        # A reader of an old state keeps the log: removal works, and says that bytes stay.
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM templates").fetchone()
        with pytest.warns(UserWarning, match="another process is reading"):
            gallery.remove("bob")
        assert gallery.identities() == ["ann"]
        other.close()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            gallery.remove("ann")


@pytest.mark.skipif(os.name == "nt", reason="there is no fork")
def test_a_gallery_does_not_cross_a_fork(path, unit):
    def child(queue):
        try:
            gallery.search(unit(1))
        except GalleryError as error:
            queue.put(str(error))
        gallery.close()

    context = multiprocessing.get_context("fork")
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol([("ann", unit(1)[0])])
        queue = context.SimpleQueue()
        process = context.Process(target=child, args=(queue,))
        process.start()
        assert "opened before a fork" in queue.get()
        process.join()
        assert gallery.enrol([("bob", unit(1)[0])]).templates == (2,)


def test_a_failed_commit_leaves_memory_and_file_agreeing(path, unit, monkeypatch):
    vectors = unit(3)
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol([("ann", vectors[0])])
        with monkeypatch.context() as patch:
            patch.setattr(sql, "write_about", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                gallery.enrol([("bob", vectors[1])])
            with pytest.raises(KeyboardInterrupt):
                gallery.remove("ann")
        assert gallery.identities() == ["ann"]
        assert gallery.check().templates == 1
        gallery.enrol([("cid", vectors[2])])
        assert np.isclose(gallery.verify("cid", vectors[2]).similarity, 1)
