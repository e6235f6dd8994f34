"""What was acknowledged survives a process that is killed at any moment, and half a batch never is.

A child enrols and removes in batches of five, and prints a line after each call has returned; it
is killed with SIGKILL; the parent reads the file and compares every template and vector. This
does not show what a power cut does: for that, each acknowledgement waits for an fsync.
A hundred rounds: `ARCWISE_KILL_ROUNDS=100 python -m pytest -s tests/gallery/test_durability.py`.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from arcwise.gallery import open_gallery

DIM = 32
ROUNDS = int(os.environ.get("ARCWISE_KILL_ROUNDS", "6"))

CHILD = """
import sys, numpy as np
from arcwise.gallery import open_gallery, sql
sql._COMPACT_FROM = 20  # so that some are killed while they rewrite the file
path, start, dim = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
gallery = open_gallery(path)
print("ready", flush=True)
for batch in range(start, 10**9):
    print("try", batch, flush=True)
    vectors = np.random.default_rng(batch).normal(size=(5, dim))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    receipt = gallery.enrol([(f"b{batch}", v, {"n": n}) for n, v in enumerate(vectors)])
    print("enrolled", batch, *receipt.templates, flush=True)
    if batch % 5 and f"b{batch - 2}" in gallery.identities():
        print("drop", batch - 2, flush=True)
        assert gallery.remove(f"b{batch - 2}") == 5
        print("removed", batch - 2, flush=True)
"""


def batch_vectors(batch):
    vectors = np.random.default_rng(batch).normal(size=(5, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def stored(path):
    """(identity, n) → id and vector, read without any of our code."""
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT id, identity, json_extract(metadata, '$.n'), vector FROM templates "
        "WHERE typeof(identity) = 'text'"
    ).fetchall()
    connection.close()
    return {(identity, n): (number, np.frombuffer(v, "<f4")) for number, identity, n, v in rows}


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is needed to kill a process in mid-write")
def test_acknowledged_changes_survive_kill_9(path):
    open_gallery(path, create=True, dim=DIM).close()
    rng = random.Random(0)
    templates: dict[str, list[int]] = {}  # acknowledged and not removed
    acknowledged = removed = next_batch = 0
    for _ in range(ROUNDS):
        command = [sys.executable, "-c", CHILD, str(path), str(next_batch), str(DIM)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout.readline() == "ready\n"
            lines = []
            while sum(words[0] == "enrolled" for words in lines) < 6:  # however slow it is
                lines.append(child.stdout.readline().split())
            time.sleep(rng.uniform(0.0, 0.25))
            child.send_signal(signal.SIGKILL)
            lines += [line.split() for line in child.stdout if line.endswith("\n")]
        pending: set[str] = set()  # the one change in flight: there or not, but whole
        for words in lines:
            identity = f"b{words[1]}"
            if words[0] in ("try", "drop"):
                pending = {identity}
                next_batch = max(next_batch, int(words[1]) + 1)
            elif words[0] == "enrolled":
                templates[identity] = [int(word) for word in words[2:]]
                pending, acknowledged = set(), acknowledged + 1
            elif words[0] == "removed":
                del templates[identity]
                pending, removed = set(), removed + 1

        found = stored(path)
        identities = {identity for identity, _ in found}
        assert set(templates) - pending <= identities <= set(templates) | pending
        for identity in identities:
            vectors = batch_vectors(int(identity[1:]))
            rows = [found[identity, n] for n in range(5)]  # all five: no part of a batch
            assert all(np.array_equal(row[1], v) for row, v in zip(rows, vectors, strict=True))
            if identity in templates:
                assert [number for number, _ in rows] == templates[identity]
        with open_gallery(path) as gallery:
            assert gallery.check().templates == len(gallery) == len(found)
            assert set(gallery.identities()) == identities
            for identity in list(identities)[:50]:
                query = batch_vectors(int(identity[1:]))[0]
                assert gallery.search(query, k=1)[0][0].identity == identity
        templates = {identity: [found[identity, n][0] for n in range(5)] for identity in identities}
    print(f"{ROUNDS} kills; kept: {acknowledged} enrolments, {removed} removals")
    assert acknowledged > 5 * ROUNDS
    assert removed > ROUNDS
