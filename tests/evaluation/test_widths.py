"""No interval has width 0, and few identities say little: every rate of every protocol."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from arcwise import evaluation
from arcwise.evaluation import Rate


def perfect(generator: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Twelve identities, far apart, of two images each."""
    ids = [f"{number}" for number in range(12) for _ in range(2)]
    return np.repeat(np.eye(12), 2, axis=0) + 1e-3 * generator.random((24, 12)), ids


def one_owner(generator: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """One identity owns all mates; some of its images are near others."""
    vectors = generator.normal(size=(30, 5))
    vectors[:20] += 2
    return vectors, [" a"] * 20 + [f"{number}" for number in range(10)]  # enrolled first


def few(generator: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Three identities of many images each."""
    ids = [name for name in "abc" for _ in range(30)]
    return np.repeat(np.eye(3), 30, axis=0) + 0.4 * generator.normal(size=(90, 3)), ids


def collapsed(_: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """All images are one point."""
    return np.ones((24, 4)), [f"{number}" for number in range(12) for _ in range(2)]


def rates(vectors: np.ndarray, ids: list[str]) -> Iterator[tuple[str, Rate]]:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    names = np.array(ids)
    pairs = evaluation.verification_from_embeddings(vectors, ids)
    yield from {f"verification {name}": rate for name, rate in pairs.rows()}.items()
    yield "TAR with", pairs.tar_with(0.5)
    yield "FAR with", pairs.far_with(0.5)
    yield "FAR with nothing", pairs.far_with(1.1)
    a, b = np.triu_indices(len(ids), 1)
    scores, same = (unit @ unit.T)[a, b], names[a] == names[b]
    alone = evaluation.verification(scores, same)
    yield from {f"listed {name}": rate for name, rate in alone.rows()}.items()
    result = evaluation.retrieval(vectors, ids)
    yield "recall", result.recall_at(1)
    yield "MAP@R", result.map_at_r
    first = np.unique(names, return_index=True)[1]
    first = first[: max(1, len(first) // 2)]
    rest = np.setdiff1d(np.arange(len(ids)), first)
    search = evaluation.identification(unit[rest] @ unit[first].T, names[rest], names[first])
    yield "rank 1", search.rank(1)
    yield "DIR", search.dir_at(0.1)
    yield "FPIR with", search.fpir_with(0.5)
    groups = evaluation.clustering(ids, np.arange(len(ids)) % 4)
    yield "clusters", groups.pairwise_f
    for one in evaluation.calibrate_search(vectors, ids, (0.1,), 1, templates=1):
        yield "FPIR", Rate(one.fpir, one.fpir_low, one.fpir_high)
        if one.dir is not None and one.dir_low is not None and one.dir_high is not None:
            yield "result", Rate(one.dir, one.dir_low, one.dir_high)
        yield "search threshold", Rate(one.threshold, one.low, one.high)
    for pair in evaluation.calibrate(vectors, ids, (0.1,)):
        yield "threshold", Rate(pair.threshold, pair.low, pair.high)
        if pair.tar is not None and pair.tar_low is not None and pair.tar_high is not None:
            yield "TAR", Rate(pair.tar, pair.tar_low, pair.tar_high)


@pytest.mark.parametrize("data", [perfect, one_owner, few, collapsed])
def test_every_interval_has_a_width(data: object) -> None:
    vectors, ids = data(np.random.default_rng(0))  # type: ignore[operator]
    narrow = {name: str(rate) for name, rate in rates(vectors, ids) if not rate.low < rate.high}
    assert narrow == {}


@pytest.mark.parametrize("name", ["TAR with", "rank 1", "result", "TAR"])
def test_one_identity_says_next_to_nothing(name: str) -> None:
    result = dict(rates(*one_owner(np.random.default_rng(0))))[name]
    assert result.high - result.low > 0.5
