"""Measured results to draw: small, made from a seed, real results of the evaluation room."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise import evaluation

HOSTILE = '<script>alert("1")</script> & $x_$'


@pytest.fixture(scope="session")
def verification() -> evaluation.Verification:
    generator = np.random.default_rng(0)
    same = np.arange(400) % 4 == 0
    return evaluation.verification(generator.normal(size=400) + 2 * same, same, None)


@pytest.fixture(scope="session")
def identification() -> evaluation.Identification:
    generator = np.random.default_rng(0)
    names = np.arange(60)
    scores = generator.normal(size=(60, 30)) + 3 * (names[:, None] == np.arange(30))
    return evaluation.identification(scores, names, np.arange(30), draws=20)


@pytest.fixture(scope="session")
def angles() -> evaluation.Angles:
    generator = np.random.default_rng(0)
    return evaluation.angles(np.tanh(generator.normal(size=300)), generator.random(300) < 0.5)


@pytest.fixture(scope="session")
def rate() -> evaluation.Rate:
    return evaluation.Rate(0.9844, 0.9712, 0.9911)
