"""The nearest of all rows by codes, against all products in float64."""

import numpy as np
import pytest

from arcwise.clustering import every_pair
from arcwise.clustering.every_pair import EveryPair
from arcwise.gallery import codes
from tests.clustering.test_graph import points


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (codes, every_pair):
        monkeypatch.setattr(module, "WIDTH", 128)
    monkeypatch.setattr(every_pair, "_HELD", 256)


def expected(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    return -np.sort(-(queries.astype(np.float64) @ vectors.T.astype(np.float64)), axis=1)[:, :k]


@pytest.mark.parametrize("dim", [2, 7, 64, 513])
@pytest.mark.parametrize("k", [1, 20])
def test_equal_to_all_products(dim: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """For rows in many blocks of which the last is not full, and queries that are none of them."""
    vectors = np.concatenate([points(400, dim), points(301, dim, seed=1) / 9 + points(301, dim)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = np.concatenate([vectors[::7], points(300, dim, seed=2)])
    if dim > 2 and codes.product(1) is not None:  # in a plane nearly all are near
        monkeypatch.setattr(EveryPair, "_by_vectors", lambda *_: pytest.fail("not by codes"))
    cosine, row = EveryPair(vectors).nearest(queries, k)
    np.testing.assert_allclose(cosine, expected(vectors, queries, k), atol=1e-6)
    of_rows = np.take_along_axis(queries @ vectors.T, row, axis=1)
    np.testing.assert_allclose(cosine, of_rows, atol=1e-6)
    assert all(len(set(one)) == k for one in row.tolist())


def test_equals_in_the_order_of_their_rows() -> None:
    vectors = np.repeat(points(150, 16), 3, axis=0)
    row = EveryPair(vectors).nearest(vectors, 3)[1]
    assert (row == 3 * (np.arange(450) // 3)[:, None] + np.arange(3)).all()


def test_more_equals_than_are_held() -> None:
    vectors = np.repeat(points(3, 16), 400, axis=0)
    vectors[7] = 0
    cosine, row = EveryPair(vectors).nearest(vectors, 10)
    np.testing.assert_allclose(cosine, expected(vectors, vectors, 10), atol=1e-6)
    own = np.arange(1200) // 400
    assert (row // 400 == own[:, None])[np.arange(1200) != 7].all()


def test_without_what_multiplies_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = points(500, 16)
    by_codes = EveryPair(vectors).nearest(vectors, 9)
    monkeypatch.setattr(every_pair, "product", lambda threads: None)
    cosine, row = EveryPair(vectors).nearest(vectors, 9)
    assert (row == by_codes[1]).all()
    np.testing.assert_allclose(cosine, by_codes[0], atol=1e-6)
