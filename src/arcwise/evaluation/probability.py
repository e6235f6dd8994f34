"""Similarity to probability: logistic regression (Platt, 1999) at a stated prior."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.inputs import dataclass_from
from arcwise.evaluation.reliability import Reliability, checked_prior, reliability
from arcwise.evaluation.scored import scored_pairs

_PAIRS = 2**17  # of each kind, drawn where there are many
_GATHER = 2**14  # pairs whose embeddings are held at once
_STEPS = 50


@dataclass(frozen=True)
class ScoreMap:
    """A rising map from similarity to the probability that two images are of one identity.

    The log-likelihood ratio of the similarity is slope · similarity + offset;
    the prior's log-odds are added to it. So one map serves every prior: `with_prior`.

    Attributes:
        slope: log-odds for one unit of similarity, 0 or more; 0 where it carries no information.
        offset: log-likelihood ratio at similarity 0.
        prior: probability of one identity before the images are compared.
        mated: mated pairs it was fitted to.
        impostors: impostor pairs it was fitted to.
        error: calibration error on identities that it was not fitted to; None where that was not
            measured.
    """

    slope: float
    offset: float
    prior: float
    mated: int
    impostors: int
    error: float | None = None

    def probability(self, similarity: np.ndarray | float) -> np.ndarray:
        """Return the probabilities of one identity, in the shape of the similarities."""
        scores = np.asarray(similarity, dtype=np.float64)
        return np.asarray(_expit(self.slope * scores + self.offset + _logit(self.prior)))

    def with_prior(self, prior: float) -> ScoreMap:
        """Return the map for another prior."""
        return replace(self, prior=checked_prior(prior))

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the plain values for a `model.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> ScoreMap:
        """Return the map that `as_dict` described.

        Raises:
            ArcwiseError: a key is unknown or missing, or a value is not what it should be.
        """
        score_map = dataclass_from(cls, values, "a probability map")
        if score_map.slope < 0:
            raise ArcwiseError(
                f"a probability map's slope is {score_map.slope}, expected 0 or more"
            )
        return score_map.with_prior(score_map.prior)

    def __str__(self) -> str:
        wrong = "" if self.error is None else f", off by {self.error:.2%} on other identities"
        constant = -self.offset - _logit(self.prior)
        return (
            f"P(same) = 1 / (1 + exp({constant:.3f} - {self.slope:.3f} "
            f"similarity)) at a prior of {self.prior:g}{wrong}"
        )


def score_to_probability(similarity: np.ndarray, same: np.ndarray, prior: float = 0.5) -> ScoreMap:
    """Return the map fitted to scored pairs, by logistic regression with two parameters.

    Both kinds of pairs weigh as the prior says, whatever their numbers, with the targets
    of Platt (1999), which keep the slope finite where the kinds do not overlap. An isotonic fit
    would bend to any shape, but it is a staircase that returns exactly 0 and 1 beyond the scores
    of the fit, and one impostor among the highest scores moves its whole upper end, on which
    decisions rest. `reliability` shows what two parameters cannot follow.

    Args:
        similarity: (N,) scores, higher is closer.
        same: (N,) bool, both images show one identity.
        prior: share of pairs of one identity where the map will be used.

    Raises:
        ArcwiseError: pairs of one kind only, a prior outside (0, 1), or bad input.
    """
    pairs = scored_pairs(similarity, same)
    odds = checked_prior(prior)
    mated, impostors = int(pairs.same.sum()), int((~pairs.same).sum())
    scores = pairs.similarity.astype(np.float64)
    middle, deviation = float(scores.mean()), float(scores.std())
    target = np.where(pairs.same, (mated + 1) / (mated + 2), 1 / (impostors + 2))
    weight = np.where(pairs.same, odds / mated, (1 - odds) / impostors)
    rise, level = _logistic((scores - middle) / (deviation or 1.0), target, weight)
    slope = max(rise, 0.0) / (deviation or 1.0)
    if not slope:  # the best rising map is constant
        return ScoreMap(0.0, 0.0, odds, mated, impostors)
    offset = level - slope * middle - float(_logit(odds))
    return ScoreMap(slope, offset, odds, mated, impostors)


def calibrate_probability(
    embeddings: np.ndarray, ids: inputs.Identities, prior: float = 0.5, *, seed: int = 0
) -> tuple[ScoreMap, Reliability]:
    """Return the map fitted to all pairs of the embeddings, and how reliable such a map is.

    Reliability is measured on identities that the map was not fitted to: each half of them is
    judged by the map of the other half. Of more than 524288 pairs, at most 131072 of each kind
    take part.

    Args:
        embeddings: (N, D) embeddings, scaled to unit length.
        ids: (N,) identities, none of them used in training.
        prior: share of pairs of one identity where the map will be used.
        seed: of the halves and of the drawn pairs.

    Raises:
        ArcwiseError: fewer than two identities with two images in either half; or bad input.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    codes = inputs.codes("ids", ids, len(unit))
    generator = inputs.generator(seed)
    several = np.flatnonzero(np.bincount(codes) > 1)
    if len(several) < 4:
        raise ArcwiseError(
            f"{len(several)} identities have two images, expected at least 4: two to fit the map "
            "to, and two others to see whether it holds"
        )
    single = np.flatnonzero(np.bincount(codes) == 1)
    second_half = np.zeros(int(codes.max()) + 1, bool)
    for kind in (several, single):
        second_half[generator.permutation(kind)[: len(kind) // 2]] = True
    stated, first, second = [], [], []
    for judged in (second_half[codes], ~second_half[codes]):
        fitted = _fitted(unit[~judged], codes[~judged], prior, generator)
        rows = np.flatnonzero(judged)
        one, other = (rows[side] for side in _pairs(codes[judged], generator))
        stated.append(fitted.probability(_similarity(unit, one, other)))
        first.append(codes[one])
        second.append(codes[other])
    ids_a, ids_b = np.concatenate(first), np.concatenate(second)
    measured = reliability(
        np.concatenate(stated), ids_a == ids_b, prior, ids_a=ids_a, ids_b=ids_b, seed=seed
    )
    return replace(_fitted(unit, codes, prior, generator), error=measured.error), measured


def _fitted(
    unit: np.ndarray, codes: np.ndarray, prior: float, generator: np.random.Generator
) -> ScoreMap:
    """Return the map fitted to the pairs of these embeddings."""
    first, second = _pairs(codes, generator)
    return score_to_probability(
        _similarity(unit, first, second), codes[first] == codes[second], prior
    )


def _logistic(x: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of weighted logistic regression, by Newton's method.

    The loss is convex and, with targets inside (0, 1), has its minimum at finite numbers.
    """
    theta, loss = np.zeros(2), math.inf
    step = np.zeros(2)
    for _ in range(_STEPS):
        trial = theta - step
        z = trial[0] * x + trial[1]
        # log(1 + exp(z)) - target z, without overflow.
        now = float(weight @ (np.logaddexp(0.0, z) - target * z))
        if now > loss:
            step /= 2  # too far: back towards the last point
            continue
        gain, theta, loss = loss - now, trial, now
        if gain <= 1e-14:
            break
        fitted = _expit(z)
        error, curve = weight * (fitted - target), weight * fitted * (1 - fitted)
        gradient = np.array([error @ x, error.sum()])
        cross = curve @ x
        hessian = np.array([[curve @ x**2, cross], [cross, curve.sum()]])
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
    return float(theta[0]), float(theta[1])


def _expit(logit: np.ndarray | float) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -np.asarray(logit)))


def _logit(probability: float) -> float:
    return math.log(probability) - math.log1p(-probability)


def _pairs(codes: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (first, second) rows of all pairs of a small set, else of as many of each kind."""
    count = len(codes)
    if count * (count - 1) // 2 <= 4 * _PAIRS:
        return np.triu_indices(count, 1)
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    size = sizes[codes[order]]
    begin, line = (np.cumsum(sizes) - sizes)[codes[order]], np.arange(count)
    if (sizes * (sizes - 1) // 2).sum() <= _PAIRS:
        steps = range(1, int(sizes.max()))
        starts = [np.flatnonzero(line + step < begin + size) for step in steps]
        one = np.concatenate(starts)
        other = np.concatenate([rows + step for rows, step in zip(starts, steps, strict=True)])
    else:
        one = generator.choice(line, _PAIRS, p=(size - 1) / (size - 1).sum())
        jump = generator.integers(size[one] - 1)
        other = begin[one] + (one - begin[one] + 1 + jump) % size[one]
    others = count - size
    impostor = generator.choice(line, _PAIRS, p=others / others.sum())
    impostor_partner = (
        begin[impostor] + size[impostor] + generator.integers(others[impostor])
    ) % count
    return order[np.concatenate([one, impostor])], order[np.concatenate([other, impostor_partner])]


def _similarity(unit: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (N,) the cosines of listed pairs."""
    similarity = np.empty(len(first), np.float32)
    for start in range(0, len(first), _GATHER):
        block = slice(start, start + _GATHER)
        similarity[block] = np.einsum("nd,nd->n", unit[first[block]], unit[second[block]])
    return similarity
