"""The clock of a machine may go back: nothing in a gallery depends on it."""

from __future__ import annotations

import ast
import itertools
import re
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import arcwise.gallery
from arcwise.gallery import open_gallery

ROOM = Path(arcwise.gallery.__file__).parent
CLOCKS = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime", "ctime", "st_mtime"}
STATEMENTS = re.compile(r"(?i)\b(now|clock_timestamp|statement_timestamp)\(|\bcurrent_(time|date)")


def test_no_store_reads_the_clock():
    """Only what runs on from a start is read (`time.monotonic`): for patience, and for leases."""
    nodes = [node for path in ROOM.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    assert len(nodes) > 10_000
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            assert ast.unparse(node) in ("self.now", "server.now", "self._server.now")  # a state
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {getattr(node, "module", None), *(one.name for one in node.names)}
            assert "datetime" not in names
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not STATEMENTS.search(node.value)


@pytest.mark.parametrize("new_address", ["embedded", "postgres"], indirect=True)
def test_order_and_ids_while_the_clock_goes_back(new_address, unit, monkeypatch):
    """Two open galleries, an hour earlier at each look at the clock."""
    hours, vectors, address = itertools.count(), unit(6), new_address()
    monkeypatch.setattr(time, "time", lambda: 2e9 - 3600 * next(hours))
    monkeypatch.setattr(time, "time_ns", lambda: int(2e18) - 3600 * 10**9 * next(hours))
    with open_gallery(address, create=True, dim=16) as one, open_gallery(address) as other:
        ids = [
            number
            for row in range(6)
            for gallery in (one, other)
            for number in gallery.enrol([(f"p{row}", vectors[row])], replace=True).templates
        ]
        assert ids == list(range(1, 13))
        for gallery in (one, other):
            assert [entry.template for entry in gallery.templates()] == list(range(2, 13, 2))
            assert gallery.search(vectors[5])[0][0].template == 12
    with open_gallery(address) as gallery:
        assert gallery.check().templates == 6


def test_the_turn_of_a_writer_knows_no_clock(milvus_folder, unit, monkeypatch):
    """A writer that ended in mid-change is followed after a lease, by `time.monotonic` alone."""
    from arcwise.gallery.milvus import changes, opening, turn
    from tests.gallery.server_stores import MilvusStore

    no_clock = SimpleNamespace(monotonic=time.monotonic, sleep=time.sleep)
    for module in (turn, opening):
        monkeypatch.setattr(module, "time", no_clock)
    monkeypatch.setattr(turn, "LEASE", 0.2)
    store, vectors = MilvusStore(milvus_folder), unit(3)
    address = store.shared(store.address("clock"))
    with open_gallery(address, create=True, dim=16) as one, open_gallery(address) as other:
        one.enrol([("ann", vectors[0])])
        with monkeypatch.context() as patch:
            patch.setattr(changes, "write_state", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                one.enrol([("bob", vectors[1])])
        assert other.enrol([("cid", vectors[2])]).templates == (2,)
        assert one.identities() == ["ann", "cid"]
        assert np.isclose(one.verify("cid", vectors[2]).similarity, 1)
