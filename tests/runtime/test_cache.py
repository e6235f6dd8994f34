"""What was embedded once is found again, whatever happens to the file in between."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from arcwise import runtime
from arcwise.data.manifest import Manifest
from arcwise.runtime import EmbeddingCache
from arcwise.runtime.cache import FORMAT, cache_folder, content_key

D = 5


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)


def keys(count: int) -> list[bytes]:
    return [content_key(bytes([number]), None) for number in range(count)]


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache("f00d", D, tmp_path)


@pytest.fixture
def file(cache: EmbeddingCache, tmp_path: Path) -> Path:
    """A cache of 200 embeddings, closed."""
    cache.put(keys(200), vectors(200))
    cache.close()
    return tmp_path / FORMAT / "f00d.sqlite"


def again(file: Path, dim: int = D) -> EmbeddingCache:
    return EmbeddingCache("f00d", dim, file.parents[1])


def test_every_bit_comes_back(file: Path) -> None:
    with again(file) as cache:
        found = [cache.get(key) for key in keys(200)]
        assert cache.get(b"another") is None
    np.testing.assert_array_equal(np.stack(found), vectors(200))  # type: ignore[arg-type]
    assert cache.notes == []


def test_models_do_not_meet(file: Path) -> None:
    with EmbeddingCache("beef", D, file.parents[1]) as other:
        assert other.get(keys(1)[0]) is None


def test_the_key_is_the_content_and_what_aligns_it() -> None:
    points = [float(number) for number in range(10)]
    moved = [*points[:9], 9.5]
    found = {
        content_key(content, landmarks)
        for content in (b"", b"one", b"two")
        for landmarks in (None, points, moved)
    }
    assert len(found) == 9
    assert content_key(b"one", points) == content_key(b"one", np.array(points).reshape(5, 2))


def test_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARCWISE_CACHE", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
    monkeypatch.delenv("ARCWISE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "arcwise"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the standard says to ignore
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "arcwise"


def test_nobody_else_may_look(file: Path) -> None:
    assert file.parent.stat().st_mode & 0o077 == 0


class TestDamage:
    """It costs the embeddings and a line that says so, nothing more."""

    def begun_anew(self, file: Path, content: bytes) -> None:
        with again(file) as cache:
            assert [cache.get(key) for key in keys(200)] == [None] * 200
            (note,) = cache.notes
            assert note.startswith(f"{file} was damaged (")
            assert note.endswith("): now f00d.sqlite.damaged, and begun anew")
            cache.put(keys(3), vectors(3))
        assert file.with_name("f00d.sqlite.damaged").read_bytes() == content
        with again(file) as cache:
            np.testing.assert_array_equal(cache.get(keys(3)[2]), vectors(3)[2])
            assert cache.notes == []

    def test_another_file(self, file: Path) -> None:
        file.write_bytes(b"no database " * 1000)
        self.begun_anew(file, b"no database " * 1000)

    def test_cut_short(self, file: Path) -> None:
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with again(file) as cache:
            for key in keys(200):
                cache.get(key)
            cache.put(keys(200), vectors(200))
            assert len(cache.notes) == 1
            assert all(cache.get(key) is not None for key in keys(200))

    def test_a_damaged_page(self, file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[4096:] = bytes(len(content) - 4096)
        file.write_bytes(content)
        self.begun_anew(file, bytes(content))

    def test_a_changed_number(self, file: Path) -> None:
        """SQLite does not see it; the embedding is computed again."""
        packed = vectors(200)[7].tobytes()
        content = file.read_bytes()
        assert content.count(packed) == 1
        file.write_bytes(content.replace(packed, packed[:-1] + bytes([packed[-1] ^ 1])))
        with again(file) as cache:
            assert cache.get(keys(200)[7]) is None
            np.testing.assert_array_equal(cache.get(keys(200)[8]), vectors(200)[8])
            cache.put(keys(200)[7:8], vectors(200)[7:8])
            np.testing.assert_array_equal(cache.get(keys(200)[7]), vectors(200)[7])

    def test_another_dimension(self, file: Path) -> None:
        with again(file, dim=D + 1) as cache:
            assert cache.get(keys(1)[0]) is None


class TestUnusable:
    """Then nothing is kept, and the work goes on."""

    def check(self, cache: EmbeddingCache, said: str) -> None:
        assert cache.get(keys(1)[0]) is None
        cache.put(keys(2), vectors(2))
        assert cache.get(keys(1)[0]) is None
        (note,) = cache.notes
        assert note.startswith("embeddings are not kept for the next time: ")
        assert said in note

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / FORMAT).write_text("")
        self.check(EmbeddingCache("f00d", D, tmp_path), "File exists")

    def test_a_table_of_somebody_else(self, file: Path) -> None:
        file.unlink()
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE embedding (x)")
        connection.commit()
        connection.close()
        self.check(again(file), "no such column")

    def test_closed(self, file: Path) -> None:
        cache = again(file)
        cache.close()
        assert cache.get(keys(1)[0]) is None
        cache.close()


def fill(folder: Path, start: int) -> None:
    with EmbeddingCache("f00d", D, folder) as cache:
        for number in range(start, start + 60, 2):
            cache.put(keys(200)[number : number + 2], vectors(200)[number : number + 2])
        assert cache.notes == []


def test_processes_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    running = [context.Process(target=fill, args=(tmp_path, start)) for start in (0, 40, 80)]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
    assert [process.exitcode for process in running] == [0, 0, 0]
    with EmbeddingCache("f00d", D, tmp_path) as cache:
        found = [cache.get(key) for key in keys(140)]
    np.testing.assert_array_equal(np.stack(found), vectors(200)[:140])  # type: ignore[arg-type]


class TestEmbedding:
    """`embed_manifest` computes what is not known, and keeps it batch by batch."""

    @pytest.fixture
    def model(self, served: Path) -> runtime.Model:
        return runtime.load(served)

    @pytest.fixture
    def cache(self, model: runtime.Model, tmp_path: Path) -> EmbeddingCache:
        return EmbeddingCache(model.fingerprint, model.dim, tmp_path)

    def test_the_second_time_nothing_is_computed(
        self,
        model: runtime.Model,
        new: Manifest,
        cache: EmbeddingCache,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        first = runtime.embed_manifest(model, new, cache=cache)
        np.testing.assert_array_equal(first.vectors, runtime.embed_manifest(model, new).vectors)
        assert first.reused == 0

        def fails(*_: object) -> None:
            raise AssertionError("computed again")

        monkeypatch.setattr("arcwise.runtime.job.decode_source", fails)
        told: list[tuple[int, int]] = []
        second = runtime.embed_manifest(
            model, new, cache=cache, batch_size=10, progress=lambda *now: told.append(now)
        )
        np.testing.assert_array_equal(second.vectors, first.vectors)
        np.testing.assert_array_equal(second.rows, first.rows)
        assert second.reused == len(new)
        assert len(told) >= 7
        assert told[-1] == (72, 72)

    def test_only_new_images_are_computed(
        self, model: runtime.Model, new: Manifest, cache: EmbeddingCache
    ) -> None:
        every = runtime.embed_manifest(model, new).vectors
        some = list(range(3, 60, 4))
        runtime.embed_manifest(model, new.select(some), cache=cache)
        mixed = runtime.embed_manifest(model, new, cache=cache, batch_size=7)
        assert mixed.reused == len(some)
        np.testing.assert_allclose(mixed.vectors, every, atol=1e-6)

    @pytest.mark.parametrize("stop", [KeyboardInterrupt, ZeroDivisionError])
    def test_what_was_computed_before_it_stopped_is_kept(
        self,
        model: runtime.Model,
        new: Manifest,
        cache: EmbeddingCache,
        stop: type[BaseException],
    ) -> None:
        def stopped(done: int, total: int) -> None:
            if done >= 30:
                raise stop

        with pytest.raises(stop):
            runtime.embed_manifest(model, new, cache=cache, batch_size=10, progress=stopped)
        assert runtime.embed_manifest(model, new, cache=cache).reused == 30

    def test_unreadable_images_are_looked_at_again(
        self, model: runtime.Model, new: Manifest, cache: EmbeddingCache
    ) -> None:
        shelf = SimpleNamespace(
            name="shelf", images=["a", "b"], column=lambda name: None, read=lambda row: content[row]
        )
        content = [new.read(0), b"junk"]
        for reused in (0, 1):
            found = runtime.embed_manifest(model, shelf, cache=cache)  # type: ignore[arg-type]
            assert [failure.name for failure in found.failures] == ["b"]
            assert found.reused == reused
            assert found.rows.tolist() == [0]
        content[1] = new.read(1)
        assert runtime.embed_manifest(model, shelf, cache=cache).reused == 1  # type: ignore[arg-type]
