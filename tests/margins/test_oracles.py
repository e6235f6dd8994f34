"""The references against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests import oracles

EYE = np.eye(2)


def loss(**options):
    """Two classes at 36.87° and 53.13°, the embedding of length 5 nearer to the second: s = 2."""
    x = np.array([[3.0, 4.0]])
    return oracles.margin_softmax(x, EYE, [0], oracles.normsoftmax, 2.0, **options)


def test_negatives_may_be_weighed():
    # The other class's 0.8 becomes 0.8·0.9, the target's own cosine 0.6 stays.
    got = loss(negatives=oracles.curricularface(0.1))
    assert got == pytest.approx(math.log(1 + math.exp(2 * (0.72 - 0.6))))


def test_the_target_is_not_weighed_as_another():
    got = loss(negatives=oracles.filtered(0.5, 0.0))
    assert got == pytest.approx(math.log(1 + math.exp(2 * (0.0 - 0.6))))


def test_negatives_may_be_left_out():
    assert loss(negatives=oracles.filtered(0.5, -math.inf)) == 0


def test_the_length_may_cost_something():
    got = loss(penalty=oracles.magface_penalty(1, 10, 2)) - loss()
    assert got == pytest.approx(2 * (1 / 5 + 5 / 100))


def test_the_margin_may_know_the_length():
    x = np.array([[3.0, 4.0]])
    psi = oracles.magface(0, 10, 0, 0.5)
    got = oracles.margin_softmax(x, EYE, [0], psi, 2.0, with_length=True)
    target = math.cos(math.acos(0.6) + 0.25)
    assert got == pytest.approx(math.log(1 + math.exp(2 * (0.8 - target))))


@pytest.mark.parametrize(
    ("phi", "value"), [(-math.pi / 2, 2), (0, 1), (math.pi / 2, 0), (math.pi, -1), (4, -1.3464)]
)
def test_the_falling_cosine_by_hand(phi, value):
    assert oracles.falling(phi) == pytest.approx(value, abs=1e-4)


def test_the_annealing_by_hand():
    assert oracles.annealing(100, 1000, 0.12, 1, 5) == pytest.approx(1000 / 13)
    assert oracles.annealing(10_000, 1000, 0.12, 1, 5) == 5
