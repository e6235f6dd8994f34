import json

import numpy as np
import pytest

from arcwise.clustering import graph
from arcwise.clustering.graph import Neighbours, nearest_neighbours
from arcwise.errors import ArcwiseError


def points(count: int, dim: int = 8, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, dim))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def test_equal_to_all_similarities() -> None:
    vectors = points(300)
    similarity = vectors.astype(np.float64) @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1)[:, :20]
    found = nearest_neighbours(7 * vectors, 20)
    assert (found.index == order).all()
    assert found.similarity.dtype == np.float32
    np.testing.assert_allclose(
        found.similarity, np.take_along_axis(similarity, order, 1), atol=1e-6
    )
    assert found.recall == 1


def test_never_its_own_neighbour() -> None:
    vectors = np.repeat(points(3), 50, axis=0)  # more duplicates than neighbours
    found = nearest_neighbours(vectors, 10)
    assert (found.index != np.arange(150)[:, None]).all()
    assert (found.index // 50 == np.arange(150)[:, None] // 50).all()
    assert all(len(set(row)) == 10 for row in found.index.tolist())


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 1), (5, 4)])
def test_fewer_embeddings_than_neighbours(count: int, expected: int) -> None:
    assert nearest_neighbours(points(count), 80).index.shape == (count, expected)


def test_zero_vector_is_near_nothing() -> None:
    vectors = points(20)
    vectors[3] = 0
    found = nearest_neighbours(vectors, 5)
    assert (found.similarity[3] == 0).all()


def test_bad_input() -> None:
    vectors = points(10)
    vectors[4, 1] = np.nan
    with pytest.raises(ArcwiseError, match="NaN"):
        nearest_neighbours(vectors, 3)
    with pytest.raises(ArcwiseError, match="k is 0"):
        nearest_neighbours(points(10), 0)
    with pytest.raises(ArcwiseError, match=r"\(3, 2\)"):
        Neighbours(np.zeros((3, 2), np.int32), np.zeros((3, 1), np.float32))


def test_inverted_file_finds_what_it_says() -> None:
    centres = points(100, 16)
    vectors = np.repeat(centres, 30, axis=0) + points(3000, 16, seed=1) / 4
    exact = nearest_neighbours(vectors, 10)
    found = nearest_neighbours(vectors, 10, exact=False)
    assert found.similarity.dtype == np.float16
    shared = np.mean(
        [len(set(a) & set(b)) / 10 for a, b in zip(exact.index, found.index, strict=True)]
    )
    assert found.recall >= 0.98
    assert shared == pytest.approx(found.recall, abs=0.02)
    again = nearest_neighbours(vectors, 10, exact=False)
    assert (again.index == found.index).all()


def test_inverted_file_finds_the_neighbours_that_count() -> None:
    """Those beyond chance are found, though hardly any list is looked at."""
    centres = points(1000, 64)
    vectors = np.repeat(centres, 3, axis=0) + points(3000, 64, seed=1) / 2
    exact = nearest_neighbours(vectors, 30)
    found = nearest_neighbours(vectors, 30, exact=False, at_least=0.6)
    expected = exact.pairs(0.6)[0]
    missed = set(map(tuple, expected.tolist())) - set(map(tuple, found.pairs(0.599)[0].tolist()))
    assert len(expected) > 2000
    assert found.recall >= 0.998
    assert len(missed) <= 0.01 * len(expected)
    every = np.mean(
        [len(set(a) & set(b)) / 30 for a, b in zip(exact.index, found.index, strict=True)]
    )
    assert every < 0.98


def test_pairs_once_each() -> None:
    found = nearest_neighbours(points(60), 7)
    pairs, similarity = found.pairs(0.3)
    expected = {
        (min(row, other), max(row, other)): value
        for row in range(60)
        for other, value in zip(found.index[row].tolist(), found.similarity[row], strict=True)
        if value >= 0.3
    }
    assert [tuple(pair) for pair in pairs.tolist()] == sorted(expected)
    np.testing.assert_allclose(similarity, [expected[pair] for pair in sorted(expected)], atol=1e-6)


def test_goes_on_from_where_it_stopped(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_BLOCK", 64)
    vectors = points(300)
    whole = nearest_neighbours(vectors, 9)

    def stop(done: int, _: int) -> None:
        if done >= 128:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nearest_neighbours(vectors, 9, folder=tmp_path, progress=stop)
    assert json.loads((tmp_path / "state.json").read_text())["done"] == 128
    seen: list[int] = []
    kept = nearest_neighbours(vectors, 9, folder=tmp_path, progress=lambda n, _: seen.append(n))
    assert seen[0] == 192
    assert isinstance(kept.index, np.memmap)
    assert (kept.index == whole.index).all()
    nearest_neighbours(vectors, 9, folder=tmp_path, progress=lambda *_: pytest.fail("read again"))
    other = nearest_neighbours(-vectors[::-1], 9, folder=tmp_path)
    assert (other.index == nearest_neighbours(-vectors[::-1], 9).index).all()
