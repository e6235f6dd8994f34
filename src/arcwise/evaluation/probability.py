"""What a similarity says as a probability: two numbers, a stated prior, and how far off it is."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.special import expit, logit

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import Rate, wilson
from arcwise.evaluation.plain import from_plain
from arcwise.evaluation.scored import scored_pairs
from arcwise.evaluation.thresholds import RESOLVED_BY

_PAIRS = 2**19  # of each kind, drawn where there are more
_GATHER = 2**14  # pairs whose embeddings are held at once
_STEPS = 50


@dataclass(frozen=True)
class ScoreMap:
    """A rising map from similarity to the probability that two pictures are of one identity.

    The log-likelihood ratio, how much the similarity itself says, is slope · similarity + offset;
    the prior's log-odds are added to it. So one map serves every prior: `with_prior`.

    Attributes:
        slope: log-odds for one unit of similarity, 0 or more; 0 when similarity says nothing.
        offset: log-likelihood ratio at similarity 0.
        prior: probability of one identity before the pictures are compared.
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
        return np.asarray(expit(self.slope * scores + self.offset + logit(self.prior)))

    def with_prior(self, prior: float) -> ScoreMap:
        """Return the map for pairs of which another share is of one identity."""
        return replace(self, prior=_prior(prior))

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the plain values for a `model.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> ScoreMap:
        """Return the map that `as_dict` described.

        Raises:
            ArcwiseError: a key is unknown or missing, or a value is not what it should be.
        """
        found = from_plain(cls, values, "a probability map")
        if found.slope < 0:
            raise ArcwiseError(f"a probability map's slope is {found.slope}, expected 0 or more")
        return found.with_prior(found.prior)

    def __str__(self) -> str:
        wrong = "" if self.error is None else f", off by {self.error:.2%} on other identities"
        return (
            f"P(same) at a prior of {self.prior:g} = 1 / (1 + exp(-({self.slope:.3f} similarity "
            f"{self.offset + logit(self.prior):+.3f}))){wrong}"
        )


@dataclass(frozen=True, eq=False)
class Reliability:
    """Whether stated probabilities come true; prints itself.

    Attributes:
        bins: for each filled tenth the mean probability stated and the share that was right, with
            Wilson's interval, which takes the pairs as independent.
        error: expected calibration error (Guo et al., ICML 2017, equation 3): the mean of their
            difference, each bin weighing what its pairs do at the prior.
    """

    bins: tuple[tuple[float, Rate], ...]
    error: float

    def __str__(self) -> str:
        lines = [f"reliability: off by {self.error:.4f}", "  stated  right"]
        return "\n".join(lines + [f"  {s:.4f}  {rate}" for s, rate in self.bins if rate.resolved])


def score_to_probability(similarity: np.ndarray, same: np.ndarray, prior: float = 0.5) -> ScoreMap:
    """Return the map fitted to scored pairs, by logistic regression with two parameters.

    Both kinds of pairs weigh as the prior says, however many there are of each, with the targets
    of Platt (1999), which keep the slope finite where the kinds do not overlap. An isotonic fit
    would bend to any shape, but it is a staircase that says exactly 0 and 1 beyond the scores that
    it has seen, and one impostor among the highest scores moves its whole upper end; the strong
    claims are the ones decisions rest on. `reliability` shows what two parameters cannot follow.

    Args:
        similarity: (N,) scores, higher is closer.
        same: (N,) bool, both pictures show one identity.
        prior: share of pairs of one identity where the map will be used.

    Raises:
        ArcwiseError: pairs of one kind only, a prior that is none, or bad input.
    """
    pairs = scored_pairs(similarity, same)
    odds = _prior(prior)
    mated, impostors = int(pairs.same.sum()), int((~pairs.same).sum())
    scores = pairs.similarity.astype(np.float64)
    middle, spread = float(scores.mean()), float(scores.std())
    target = np.where(pairs.same, (mated + 1) / (mated + 2), 1 / (impostors + 2))
    weight = np.where(pairs.same, odds / mated, (1 - odds) / impostors)
    rise, level = _logistic((scores - middle) / (spread or 1.0), target, weight)
    slope = max(rise, 0.0) / (spread or 1.0)
    if not slope:  # the best rising map says the same of every pair: nothing
        return ScoreMap(0.0, 0.0, odds, mated, impostors)
    offset = level - slope * middle - float(logit(odds))
    return ScoreMap(slope, offset, odds, mated, impostors)


def reliability(
    probability: np.ndarray, same: np.ndarray, prior: float = 0.5, bins: int = 10
) -> Reliability:
    """Return whether pairs are of one identity as often as was stated for them.

    Args:
        probability: (N,) stated for each pair.
        same: (N,) bool, whether it was right.
        prior: that the probabilities were stated for; the pairs are weighted to have it.
        bins: of equal width.

    Raises:
        ArcwiseError: pairs of one kind only, a probability outside [0, 1], or bad input.
    """
    pairs = scored_pairs(probability, same)
    stated = pairs.similarity.astype(np.float64)
    if stated.min() < 0 or stated.max() > 1:
        raise ArcwiseError(
            f"probabilities go from {stated.min():g} to {stated.max():g}, expected 0 to 1: "
            "give ScoreMap.probability(similarity), not the similarity"
        )
    odds = _prior(prior)
    mated = int(pairs.same.sum())
    weight = np.where(pairs.same, odds / mated, (1 - odds) / (len(stated) - mated))
    place = np.minimum((stated * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    mass, square, right, sum_stated = (
        np.bincount(place, weights=values, minlength=bins)
        for values in (weight, weight**2, weight * pairs.same, weight * stated)
    )
    found, error = [], 0.0
    for k in np.flatnonzero(count):
        share, mean = float(right[k] / mass[k]), float(sum_stated[k] / mass[k])
        trials = max(1, round(mass[k] ** 2 / square[k]))  # as many of equal weight say as much
        rate = Rate(share, *wilson(share * trials, trials), bool(count[k] >= RESOLVED_BY))
        found.append((mean, rate))
        error += float(mass[k]) * abs(share - mean)
    return Reliability(tuple(found), error)


def calibrate_probability(
    embeddings: np.ndarray, ids: inputs.Identities, prior: float = 0.5, *, seed: int = 0
) -> tuple[ScoreMap, Reliability]:
    """Return the map fitted to all pairs of the embeddings, and how reliable such a map is.

    Reliability is measured on identities that the map was not fitted to: each half of them is
    judged by the map of the other half. Beyond 524288 pairs of a kind, that many are drawn.

    Args:
        embeddings: (N, D) embeddings; scaled to unit length here.
        ids: (N,) identities, none of them used in training.
        prior: share of pairs of one identity where the map will be used.
        seed: of the halves and of the drawn pairs.

    Raises:
        ArcwiseError: fewer than two identities with two pictures in either half; or bad input.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    codes = inputs.codes("ids", ids, len(unit))
    generator = np.random.default_rng(seed)
    several = np.flatnonzero(np.bincount(codes) > 1)
    if len(several) < 4:
        raise ArcwiseError(
            f"{len(several)} identities have two pictures, expected at least 4: two to fit the map "
            "to, and two others to see whether it holds"
        )
    second = np.zeros(int(codes.max()) + 1, bool)
    second[generator.permutation(several)[: len(several) // 2]] = True
    single = np.setdiff1d(np.arange(len(second)), several)
    second[generator.permutation(single)[: len(single) // 2]] = True
    halves = [
        _pairs(unit[rows], codes[rows], generator) for rows in (second[codes], ~second[codes])
    ]
    stated = [
        score_to_probability(*fitted, prior).probability(scores)
        for fitted, (scores, _) in zip(reversed(halves), halves, strict=True)
    ]
    truth = np.concatenate([same for _, same in halves])
    judged = reliability(np.concatenate(stated), truth, prior)
    whole = score_to_probability(*_pairs(unit, codes, generator), prior)
    return replace(whole, error=judged.error), judged


def _prior(value: float) -> float:
    prior = float(value)
    if not 0.0 < prior < 1.0:
        raise ArcwiseError(
            f"the prior is {value}, expected more than 0 and less than 1: the share of pairs that "
            "are of one identity where probabilities are wanted"
        )
    return prior


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
        fitted = expit(z)
        error, curve = weight * (fitted - target), weight * fitted * (1 - fitted)
        gradient = np.array([error @ x, error.sum()])
        cross = curve @ x
        hessian = np.array([[curve @ x**2, cross], [cross, curve.sum()]])
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
    return float(theta[0]), float(theta[1])


def _pairs(
    unit: np.ndarray, codes: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return (similarity, same) of all pairs of a small set, else of as many drawn of each kind."""
    count = len(unit)
    if count * (count - 1) // 2 <= _PAIRS:
        first, second = np.triu_indices(count, 1)
    else:
        order = np.argsort(codes, kind="stable")
        sizes = np.bincount(codes)
        size = sizes[codes[order]]
        begin = (np.cumsum(sizes) - sizes)[codes[order]]
        line = np.arange(count)
        parts = []
        for mates in (True, False):
            choices = size - 1 if mates else count - size
            one = generator.choice(count, _PAIRS, p=choices / choices.sum())
            jump = generator.integers(choices[one])
            if mates:
                other = begin[one] + (line[one] - begin[one] + 1 + jump) % size[one]
            else:
                other = (begin[one] + size[one] + jump) % count
            parts.append((order[one], order[other]))
        first, second = (np.concatenate(side) for side in zip(*parts, strict=True))
    similarity = np.empty(len(first), np.float32)
    for start in range(0, len(first), _GATHER):
        block = slice(start, start + _GATHER)
        similarity[block] = np.einsum("nd,nd->n", unit[first[block]], unit[second[block]])
    return similarity, codes[first] == codes[second]
