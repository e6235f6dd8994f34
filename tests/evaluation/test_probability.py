"""Similarity as a probability: against scikit-learn's regression, known mixtures, and by hand."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from arcwise.errors import ArcwiseError
from arcwise.evaluation.probability import (
    ScoreMap,
    calibrate_probability,
    score_to_probability,
)

MODULE = importlib.import_module("arcwise.evaluation.probability")


def normal_pairs(
    generator: np.random.Generator, mated: int, impostors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores of equal variance, whose log-likelihood ratio is exactly 10 s - 4."""
    same = np.arange(mated + impostors) < mated
    return np.where(same, 0.65, 0.15) + np.sqrt(0.05) * generator.normal(size=len(same)), same


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    mated=st.integers(2, 40),
    impostors=st.integers(2, 60),
    prior=st.sampled_from([0.01, 0.3, 0.5, 0.9]),
    ties=st.booleans(),
)
def test_equals_scikit_learn(
    seed: int, mated: int, impostors: int, prior: float, ties: bool
) -> None:
    """A soft target is two samples of one score, one of either kind."""
    scores, same = normal_pairs(np.random.default_rng(seed), mated, impostors)
    scores = scores.round(1) if ties else scores
    result = score_to_probability(scores, same, prior)
    target = np.where(same, (mated + 1) / (mated + 2), 1 / (impostors + 2))
    weight = np.where(same, prior / mated, (1 - prior) / impostors)
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000, solver="newton-cholesky").fit(
        np.concatenate([scores, scores])[:, None],
        np.repeat([True, False], len(scores)),
        np.concatenate([weight * target, weight * (1 - target)]) * len(scores),
    )
    if peer.coef_[0, 0] > 1e-6:
        assert result.slope == pytest.approx(peer.coef_[0, 0], rel=1e-4, abs=1e-6)
        assert result.offset + logit(prior) == pytest.approx(peer.intercept_[0], rel=1e-4, abs=1e-4)
    else:
        assert result.slope <= 1e-6


def test_a_known_likelihood_ratio_is_found() -> None:
    pairs = normal_pairs(np.random.default_rng(0), 40_000, 60_000)
    for prior in (0.01, 0.5):
        result = score_to_probability(*pairs, prior)
        assert (result.slope, result.offset) == pytest.approx((10, -4), rel=0.05)
        assert result.probability(0.5) == pytest.approx(expit(1 + logit(prior)), rel=0.05)
        assert (result.mated, result.impostors) == (40_000, 60_000)


def test_another_prior_shifts_the_log_odds() -> None:
    result = score_to_probability(*normal_pairs(np.random.default_rng(1), 500, 500))
    scores = np.linspace(-1, 1, 9).reshape(3, 3)
    rare = result.with_prior(0.001)
    shift = logit(rare.probability(scores)) - logit(result.probability(scores))
    np.testing.assert_allclose(shift, logit(0.001), rtol=1e-6)
    assert (np.diff(result.probability(scores).ravel()) > 0).all()
    assert "prior of 0.001" in str(rare)


@pytest.mark.parametrize(
    "scores", [np.full(6, 0.3), np.array([0.1, 0.2, 0.1, 0.5, 0.6, 0.5])], ids=["same", "inverted"]
)
def test_scores_that_say_nothing_leave_the_prior(scores: np.ndarray) -> None:
    result = score_to_probability(scores, np.array([1, 1, 1, 0, 0, 0]), 0.2)
    assert result.slope == 0
    assert result.probability(np.array([-1.0, 1.0])) == pytest.approx([0.2, 0.2])


def test_separated_kinds_have_a_finite_slope() -> None:
    scores = np.concatenate([np.full(30, 0.9), np.full(30, 0.1)])
    result = score_to_probability(scores, np.arange(60) < 30)
    assert result.probability(0.9) == pytest.approx(31 / 32, rel=1e-4)  # Platt's targets
    assert result.probability(0.1) == pytest.approx(1 / 32, rel=1e-4)


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    centres = generator.normal(size=(60, 16))
    ids = np.repeat(np.arange(60), 5)
    return centres[ids] + 0.8 * generator.normal(size=(300, 16)), ids


def test_from_embeddings(people: tuple[np.ndarray, np.ndarray]) -> None:
    result, judged = calibrate_probability(*people, seed=1)
    unit = people[0] / np.linalg.norm(people[0], axis=1, keepdims=True)
    first, second = np.triu_indices(300, 1)
    same = people[1][first] == people[1][second]
    direct = score_to_probability((unit @ unit.T)[first, second], same)
    assert (result.slope, result.offset) == pytest.approx((direct.slope, direct.offset), rel=1e-3)
    assert (result.mated, result.impostors) == (600, 300 * 299 // 2 - 600)
    assert result.error == judged.error
    assert 0 < judged.error < 0.1
    assert sum(rate.resolved for _, rate in judged.bins) > 5
    assert calibrate_probability(*people, seed=1)[0] == result
    assert calibrate_probability(*people, seed=2)[0].error != result.error
    assert "on other identities" in str(result)


def test_drawn_pairs_stand_for_all(people: tuple[np.ndarray, np.ndarray]) -> None:
    whole = calibrate_probability(*people)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_PAIRS", 500)
        drawn = calibrate_probability(*people)[0]
        patch.setattr(MODULE, "_PAIRS", 2000)
        mated_whole = calibrate_probability(*people)[0]
    assert (drawn.mated, drawn.impostors) == (500, 500)
    assert (mated_whole.mated, mated_whole.impostors) == (600, 2000)
    scores = np.linspace(0, 1, 11)
    np.testing.assert_allclose(drawn.probability(scores), whole.probability(scores), atol=0.06)
    np.testing.assert_allclose(
        mated_whole.probability(scores), whole.probability(scores), atol=0.03
    )


@pytest.mark.parametrize("most", [10, 200])
def test_pairs_are_drawn_evenly(most: int) -> None:
    """Every pair of a kind comes equally often; mated ones exactly once where all take part."""
    codes = np.array([2, 0, 1, 0, 2, 2, 2, 1, 0, 3] * 3)
    counts = np.zeros((30, 30), np.int64)
    generator = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_PAIRS", most)
        for _ in range(40_000 // most):
            first, second = MODULE._pairs(codes, generator)
            np.add.at(counts, (np.minimum(first, second), np.maximum(first, second)), 1)
    upper = np.triu_indices(30, 1)
    same = (codes[:, None] == codes)[upper]
    counts = counts[upper]
    for kind in (same, ~same):
        assert counts[kind].min() > 0.6 * counts[kind].mean()
        assert counts[kind].max() < 1.5 * counts[kind].mean()
    if most == 200:  # 123 mated pairs
        assert (counts[same] == 200).all()


def test_a_map_survives_a_file(people: tuple[np.ndarray, np.ndarray]) -> None:
    result = calibrate_probability(*people)[0]
    assert ScoreMap.from_dict(json.loads(json.dumps(result.as_dict()))) == result


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope": -1.0}, "slope is -1.0, expected 0 or more"),
        ({"prior": 1.0}, "the prior is 1.0"),
        ({"mated": 1.5}, "a probability map's mated"),
        ({"error": "small"}, "a probability map's error"),
        ({"colour": 1}, "expected exactly"),
    ],
)
def test_a_map_that_is_none_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        ScoreMap.from_dict(ScoreMap(3.0, -1.0, 0.5, 10, 10).as_dict() | change)


def test_bad_input_is_named() -> None:
    same = np.array([True, False])
    with pytest.raises(ArcwiseError, match="NaN"):
        score_to_probability(np.array([np.nan, 0]), same)
    with pytest.raises(ArcwiseError, match="one for each score"):
        score_to_probability(np.array([0.1]), same)
    with pytest.raises(ArcwiseError, match="expected"):
        score_to_probability(np.array([0.1, 0.2]), np.array([True, True]))
    for prior in (0, 1, -1, np.nan):
        with pytest.raises(ArcwiseError, match="the prior is"):
            score_to_probability(np.array([0.1, 0.2]), same, prior)
    with pytest.raises(ArcwiseError, match="3 identities have two images, expected at least 4"):
        calibrate_probability(np.eye(8), list("aabbccde"))
