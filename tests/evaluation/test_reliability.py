"""Stated probabilities against what came true: by hand, and with identities drawn."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise.errors import ArcwiseError
from arcwise.evaluation import ScoreMap, reliability
from tests.evaluation.test_probability import normal_pairs


def test_reliability_by_hand() -> None:
    stated = np.array([0.05, 0.05, 0.95, 0.95, 0.95])
    result = reliability(stated, np.array([0, 1, 1, 1, 0]), 0.6, bins=2)
    # Mated pairs weigh .2 each, impostors .2: the prior is the data's.
    (low, wrong), (high, right) = result.bins
    assert (low, high) == pytest.approx((0.05, 0.95))
    assert (wrong, right) == pytest.approx((1 / 2, 2 / 3))
    assert result.error == pytest.approx(0.4 * 0.45 + 0.6 * abs(2 / 3 - 0.95))
    assert right.low < right < right.high
    assert not right.resolved
    at_half = reliability(stated, np.array([0, 1, 1, 1, 0]), 0.5, bins=2)
    assert at_half.bins[0][1] == pytest.approx((1 / 6) / (1 / 6 + 1 / 4))


@pytest.mark.parametrize("prior", [0.02, 0.5])
def test_a_true_map_is_reliable(prior: float) -> None:
    scores, same = normal_pairs(np.random.default_rng(2), 30_000, 30_000)
    true = ScoreMap(10, -4, prior, 1, 1)
    assert reliability(true.probability(scores), same, prior).error < 0.01
    bold = ScoreMap(30, -12, prior, 1, 1)
    judged = reliability(bold.probability(scores), same, prior)
    assert judged.error > 5 * reliability(true.probability(scores), same, prior).error
    assert "off by" in str(judged)


def test_pairs_of_one_identity_are_not_independent() -> None:
    """Sixteen copies of every pair say no more than one; Wilson's interval believes they do."""
    generator = np.random.default_rng(4)
    scores, same = normal_pairs(generator, 300, 300)
    stated = ScoreMap(10, -4, 0.5, 1, 1).probability(scores)
    ids_a = np.arange(600)
    ids_b = np.where(same, ids_a, ids_a + 600)
    copies = [np.repeat(part, 16) for part in (stated, same, ids_a, ids_b)]
    once = reliability(stated, same)
    naive = reliability(copies[0], copies[1])
    drawn = reliability(copies[0], copies[1], ids_a=copies[2], ids_b=copies[3], draws=400)
    assert drawn.error == pytest.approx(naive.error)

    def widths(result: object) -> np.ndarray:
        return np.array([rate.high - rate.low for _, rate in result.bins])  # type: ignore[attr-defined]

    assert widths(naive) == pytest.approx(widths(once) / 4, rel=0.2)
    assert (widths(drawn) > 2 * widths(naive)).all()
    assert widths(drawn).mean() > 0.8 * widths(once).mean()
    assert all(rate.low <= rate <= rate.high for _, rate in drawn.bins)


def test_bad_input_is_named() -> None:
    same = np.array([True, False])
    with pytest.raises(ArcwiseError, match=r"from -0\.5 to 1, expected 0 to 1"):
        reliability(np.array([1.0, -0.5]), same)
    with pytest.raises(ArcwiseError, match="the prior is 0"):
        reliability(np.array([1.0, 0.5]), same, 0)
    with pytest.raises(ArcwiseError, match="expected both or neither"):
        reliability(np.array([1.0, 0.5]), same, ids_a=["a", "b"])
    with pytest.raises(ArcwiseError, match="one for each score"):
        reliability(np.array([1.0]), same)
