"""The gallery on a PostgreSQL server: what the contract suite cannot see from outside."""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arcwise.errors import GalleryError
from arcwise.gallery import DamagedGallery, open_gallery

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'arcwise[postgres]'")

from arcwise.gallery.postgres import connections
from arcwise.gallery.postgres.address import read_address
from arcwise.gallery.postgres.conditions import restored, storable
from tests.gallery.server_stores import DIM, batch_vectors, kept

ROUNDS = int(os.environ.get("ARCWISE_KILL_ROUNDS", "10"))


@pytest.fixture
def address(postgres_server):
    yield postgres_server.address("shop")
    postgres_server.drop_galleries()


# Answers


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


@given(st.lists(st.text(st.characters(codec=None, categories=None)), min_size=2, max_size=2))
def test_storable_texts_keep_their_order(pair):
    one, other = pair
    stored = [storable(text) for text in pair]
    assert [restored(text) for text in stored] == pair
    assert (stored[0] < stored[1], stored[0] == stored[1]) == (one < other, one == other)
    "".join(stored).encode()
    assert "\0" not in "".join(stored)


# Names


def test_no_password_in_a_repr(postgres_server):
    address = postgres_server.address("secret").replace("owner@", "owner:hunter2@")
    with open_gallery(address, create=True, dim=4) as gallery:
        assert "hunter2" not in repr(gallery) + repr(vars(gallery)) + repr(read_address(address))
        with pytest.raises(GalleryError) as caught:
            gallery.remove("nobody")
        assert "hunter2" not in str(caught.value)
    postgres_server.drop_galleries()


# Opening


def test_a_database_that_is_not_there(address):
    with pytest.raises(GalleryError, match="no connection to the server"):
        open_gallery(address.replace("/postgres?", "/nowhere?"))


def test_the_widest_vectors(address, unit):
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
    templates: dict[str, int] = {}  # acknowledged and not removed
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
            name = f"p{batch}"
            try:
                receipt = gallery.enrol([(name, one) for one in batch_vectors(batch)])
                with lock:
                    templates[name], acknowledged = receipt.templates[0], acknowledged + 1
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
        enough, patience = removed + 3, time.monotonic() + 60
        while removed < enough and time.monotonic() < patience:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2))
        getattr(postgres_server, end)()
        for one in threads:
            one.join(30)
            assert not one.is_alive()
        assert len(failures) == 3
        assert all("connection" in one for one in failures)
        failures.clear()
        postgres_server.start()
        templates, in_doubt = kept(gallery, templates, in_doubt), set()
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


# Erasure


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
