"""Verification against loops over every threshold, scikit-learn, and closed cases."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from sklearn.metrics import roc_auc_score, roc_curve

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation.intervals import multiplicities, percentile_interval


def slow_tar_and_threshold(scores: list[float], same: list[bool], far: float) -> tuple:
    """Return what the conservative definition says, trying every score and one below all."""
    mated = [s for s, t in zip(scores, same, strict=True) if t]
    impostor = [s for s, t in zip(scores, same, strict=True) if not t]
    options = []
    for threshold in [-np.inf, *(float(np.nextafter(s, 9)) for s in impostor)]:
        if sum(s >= threshold for s in impostor) / len(impostor) <= far:
            options.append((threshold, sum(s >= threshold for s in mated) / len(mated)))
    return min(options)[0], max(tar for _, tar in options)


def slow_auc(scores: list[float], same: list[bool]) -> float:
    wins = [
        (a > b) + (a == b) / 2
        for a, t in zip(scores, same, strict=True)
        for b, u in zip(scores, same, strict=True)
        if t and not u
    ]
    return sum(wins) / len(wins)


def slow_fold_accuracy(
    scores: list[float], same: list[bool], folds: list[int], where: str
) -> list[float]:
    result = []
    for fold in sorted(set(folds)):
        train = [(s, t) for s, t, f in zip(scores, same, folds, strict=True) if f != fold]
        values = sorted({s for s, _ in train})
        middles = [(a + b) / 2 for a, b in itertools.pairwise(values)]
        options = [*values, np.inf] if where == "score" else [-np.inf, *middles, np.inf]
        right = [sum((s >= option) == t for s, t in train) for option in options]
        best = [o for o, r in zip(options, right, strict=True) if r == max(right)]
        threshold = best[(len(best) - 1) // 2]
        test = [(s, t) for s, t, f in zip(scores, same, folds, strict=True) if f == fold]
        result.append(sum((s >= threshold) == t for s, t in test) / len(test))
    return result


@st.composite
def tied_pairs(draw: st.DrawFn) -> tuple[list[float], list[bool]]:
    count = draw(st.integers(4, 30))
    scores = draw(st.lists(st.integers(-4, 4), min_size=count, max_size=count))
    same = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return [s / 4 for s in scores], [True, False, True, False, *same[4:]]


@settings(max_examples=80, deadline=None)
@given(tied_pairs(), st.sampled_from([0.01, 0.1, 0.25, 0.29, 0.5, 0.75, 1.0]))
def test_tar_and_threshold_equal_a_loop(pairs: tuple[list, list], far: float) -> None:
    result = evaluation.verification(*map(np.array, pairs), folds=None)
    threshold, tar = slow_tar_and_threshold(*pairs, far)
    assert result.tar_at(far) == tar
    assert result.threshold_at(far) == threshold
    assert result.far_with(threshold) <= far
    assert result.tar_with(threshold) == tar
    assert result.frr_with(threshold) == pytest.approx(1 - tar)
    assert result.tar_at(far).low <= tar <= result.tar_at(far).high


@settings(max_examples=60, deadline=None)
@given(tied_pairs())
def test_auc_and_eer_against_loop_and_scikit_learn(pairs: tuple[list, list]) -> None:
    scores, same = map(np.array, pairs)
    result = evaluation.verification(scores, same, folds=None)
    assert result.auc == pytest.approx(slow_auc(*pairs))
    assert result.auc == pytest.approx(roc_auc_score(same, scores))
    far, tar, _ = roc_curve(same, scores, drop_intermediate=False)
    grid = np.linspace(0, 1, 20_001)
    gap = np.abs(grid - (1 - np.interp(grid, far, tar)))
    assert abs(result.eer - (1 - np.interp(result.eer, far, tar))) <= gap.min() + 1e-9 or any(
        (far[:-1] == result.eer) & (np.diff(far) == 0)
    )
    our_far, our_tar = result.roc()
    assert (our_far[0], our_tar[0], our_far[-1], our_tar[-1]) == (0, 0, 1, 1)
    assert (np.diff(our_far) >= 0).all()
    assert (np.diff(our_tar) >= 0).all()
    assert np.trapezoid(our_tar, our_far) == pytest.approx(float(result.auc))


def slow_operating_points(scores: list[float], same: list[bool]) -> list[tuple[float, float]]:
    """Return (far, frr) of every threshold that decides differently."""
    mated = [s for s, t in zip(scores, same, strict=True) if t]
    impostor = [s for s, t in zip(scores, same, strict=True) if not t]
    return [
        (
            sum(s >= threshold for s in impostor) / len(impostor),
            sum(s < threshold for s in mated) / len(mated),
        )
        for threshold in [*sorted(set(scores)), np.inf]
    ]


def slow_eer_of_tosses(points: list[tuple[float, float]]) -> float:
    """Return the lowest equal error that tossing between any two thresholds reaches."""
    result = []
    for (far, frr), (other_far, other_frr) in itertools.product(points, repeat=2):
        if far <= frr and other_far >= other_frr:
            gap, other_gap = frr - far, other_far - other_frr
            share = gap / (gap + other_gap) if gap + other_gap else 0.0
            result.append(far + share * (other_far - far))
    return min(result)


@settings(max_examples=60, deadline=None)
@given(tied_pairs())
def test_the_hull_is_what_tossing_between_thresholds_reaches(pairs: tuple[list, list]) -> None:
    result = evaluation.verification(*map(np.array, pairs), folds=None)
    points = slow_operating_points(*pairs)
    assert result.eer_hull == pytest.approx(slow_eer_of_tosses(points), abs=1e-12)
    assert result.eer_hull <= result.eer + 1e-12
    assert result.eer_hull.low <= result.eer_hull <= result.eer_hull.high
    far, tar = result.curve.hull()
    assert (far[0], tar[0]) == (0, 0)
    assert (far[-1], tar[-1]) == pytest.approx((1, 1))
    for one, frr in points:
        assert np.interp(one, far, tar) >= 1 - frr - 1e-12


@settings(max_examples=60, deadline=None)
@given(tied_pairs())
def test_det_is_every_threshold(pairs: tuple[list, list]) -> None:
    far, frr = evaluation.verification(*map(np.array, pairs), folds=None).det()
    corners = set(zip(far.round(12), frr.round(12), strict=True))
    assert (far[0], frr[0], far[-1], frr[-1]) == (0, 1, 1, 0)
    # Between two mated scores only the false-accept rate moves: those points lie on the line.
    for one, other in slow_operating_points(*pairs):
        on = np.isclose(frr, other)
        assert (round(one, 12), round(other, 12)) in corners or far[on].min() < one < far[on].max()


def nearest_by_script(scores: np.ndarray, same: np.ndarray, far: float) -> float:
    """Return what insightface's IJB scripts print, from scikit-learn's points."""
    fpr, tpr, _ = roc_curve(same, scores)
    fpr, tpr = np.flipud(fpr), np.flipud(tpr)
    _, place = min(zip(abs(fpr - far), range(len(fpr)), strict=True))
    return float(tpr[place])


@settings(max_examples=80, deadline=None)
@given(tied_pairs(), st.sampled_from([1e-3, 0.01, 0.1, 0.2, 0.25, 0.29, 0.5, 0.75, 1.0]))
def test_nearest_is_the_script(pairs: tuple[list, list], far: float) -> None:
    scores, same = map(np.array, pairs)
    result = evaluation.verification(scores, same, folds=None).tar_at(far, "nearest")
    assert result == pytest.approx(nearest_by_script(scores, same, far), abs=1e-12)
    assert result.low <= result <= result.high


def test_nearest_convention_without_ties_is_the_script() -> None:
    generator = np.random.default_rng(2)
    same = generator.random(4000) < 0.3
    scores = generator.normal(size=4000) + 1.5 * same
    result = evaluation.verification(scores, same, folds=None)
    for far in np.geomspace(3e-4, 0.9, 40):
        assert result.tar_at(far, "nearest") == nearest_by_script(scores, same, far)
        assert result.tar_at(far, "nearest").resolved == result.tar_at(far).resolved
    # Two impostors on top: a rate of 1/2 is asked, 1/2 is nearest to 0.3 too.
    few = evaluation.verification(np.array([3, 2, 1, 0]), np.array([0, 1, 1, 0]), folds=None)
    assert few.tar_at(0.3, "nearest") == 1.0
    assert few.tar_at(0.3) == 0.0


def val_by_script(
    scores: np.ndarray, same: np.ndarray, folds: np.ndarray, target: float
) -> tuple[list[float], list[float]]:
    """Return the rates of every fold, as facenet's `calculate_val` finds them."""
    distance, grid = 2 - 2 * scores, np.arange(0, 4, 0.001)
    rates, fars = [], []
    for fold in np.unique(folds):
        rest, test = folds != fold, folds == fold
        far = (distance[rest & ~same] < grid[:, None]).mean(axis=1)
        threshold = interp1d(far, grid)(target) if far.max() >= target else 0.0
        rates.append(np.mean(distance[test & same] < threshold))
        fars.append(np.mean(distance[test & ~same] < threshold))
    return rates, fars


@pytest.mark.parametrize("target", [1e-3, 0.01, 0.1, 0.5, 1.0])
def test_val_is_the_script(target: float) -> None:
    generator = np.random.default_rng(3)
    same = np.arange(400) % 2 == 0
    scores = np.clip(0.3 * generator.normal(size=400) + 0.5 * same, -1, 1).round(2)
    folds = np.repeat(np.arange(5), 80)
    result = evaluation.verification(scores, same, folds).val_at(target)
    rates, fars = val_by_script(scores, same, folds, target)
    assert result.rate == pytest.approx(rates)
    assert result.far == pytest.approx(fars)
    assert (result.mean, result.std) == pytest.approx((np.mean(rates), np.std(rates)))
    assert result.mean_far == pytest.approx(np.mean(fars))
    assert result.resolved == (target * 160 >= 10)
    assert ("not resolved" in str(result)) != result.resolved


def test_val_where_scipy_refuses_the_script() -> None:
    far = np.array([0.0, 0.0, 0.5, 0.5, 1.0])
    with pytest.raises(ValueError, match="duplicates"):
        interp1d(far, np.arange(5), kind="slinear")
    assert interp1d(far, np.arange(5))(0.25) == 1.5


@settings(max_examples=60, deadline=None)
@given(tied_pairs(), st.sampled_from(["between", "score"]), st.data())
def test_fold_accuracy_equals_a_loop(
    pairs: tuple[list, list], where: Literal["between", "score"], data: st.DataObject
) -> None:
    count = len(pairs[0])
    rest = data.draw(st.lists(st.integers(1, 3), min_size=count - 4, max_size=count - 4))
    folds = [1, 1, 2, 2, *rest]  # without any of them, pairs of both kinds are left
    result = evaluation.verification(*map(np.array, pairs), np.array(folds), fold_threshold=where)
    expected = slow_fold_accuracy(*pairs, folds, where)
    assert result.folds is not None
    assert result.folds.accuracy == pytest.approx(expected)
    assert result.accuracy == pytest.approx(np.mean(expected))
    assert result.accuracy_std == pytest.approx(np.std(expected))


def test_whole_number_of_folds_is_contiguous() -> None:
    generator = np.random.default_rng(0)
    scores, same = generator.normal(size=103), generator.random(103) < 0.5
    labels = np.concatenate([np.full(len(p), i) for i, p in enumerate(np.array_split(scores, 10))])
    a = evaluation.verification(scores, same, 10)
    b = evaluation.verification(scores, same, labels)
    assert a.accuracy == b.accuracy


def test_separable_is_perfect() -> None:
    same = np.arange(200) % 2 == 0
    result = evaluation.verification(np.where(same, 0.9, 0.1) + np.linspace(0, 0.05, 200), same, 10)
    assert result.accuracy == result.auc == result.tar_at(1e-3) == 1.0
    assert result.eer == result.accuracy_std == 0.0
    assert result.accuracy.low < 1.0


@pytest.mark.parametrize("count", [2, 3, 400])
def test_no_folds_by_default(count: int) -> None:
    """However few pairs there are, in whatever order, and whoever is in several of them."""
    scores, same = np.arange(count) / count, np.arange(count) % 2 == 1
    sorted_ones = evaluation.verification(scores[np.argsort(same)], np.sort(same))
    result = evaluation.verification(scores.tolist(), same.tolist())
    assert result.folds is None
    assert result.auc == evaluation.verification(scores, same, 2 if count == 400 else None).auc
    assert len(sorted_ones.mated) == len(result.mated) == count // 2
    assert [name for name, _ in result.rows()][:2] == ["AUC", "EER"]
    ids = np.where(same, "a", "b")
    evaluation.verification(scores, same, ids_a=np.full(count, "a"), ids_b=ids)


def test_random_is_a_coin() -> None:
    generator = np.random.default_rng(0)
    result = evaluation.verification(generator.normal(size=4000), generator.random(4000) < 0.5, 10)
    for value in (result.accuracy, result.auc, result.eer):
        assert value == pytest.approx(0.5, abs=0.05)
        assert value.low < 0.51
        assert value.high > 0.49


def test_tar_rises_with_far() -> None:
    generator = np.random.default_rng(1)
    same = generator.random(3000) < 0.5
    result = evaluation.verification(generator.normal(size=3000) + 2 * same, same, 10)
    tars = result.tars_at((1e-3, 1e-2, 1e-1, 0.5, 1.0))
    assert list(tars) == sorted(tars)
    assert tars[-1] == 1.0
    assert [tar.resolved for tar in tars] == [False, True, True, True, True]
    assert "TAR@0.001" not in str(result)
    assert "10 folds" in repr(result)
    assert [name for name, _ in result.rows()] == ["accuracy", "AUC", "EER", "TAR@0.01"]
    assert dict(result.rows())["TAR@0.01"] == result.tar_at(0.01)


def test_permuting_the_pairs_changes_nothing_but_the_folds() -> None:
    generator = np.random.default_rng(1)
    same = generator.random(500) < 0.5
    scores = np.round(generator.normal(size=500) + same, 1)
    order = generator.permutation(500)
    a = evaluation.verification(scores, same, None)
    b = evaluation.verification(scores[order], same[order], None)
    assert (a.auc, a.eer, a.tar_at(0.1)) == (b.auc, b.eer, b.tar_at(0.1))


def test_pairs_of_few_people_give_wider_intervals() -> None:
    generator = np.random.default_rng(0)
    ids = np.repeat(np.arange(12), 10)
    vectors = generator.normal(size=(12, 8))[ids] + 0.9 * generator.normal(size=(120, 8))
    similarity, same = evaluation.all_pairs(vectors, ids)
    a, b = np.triu_indices(120, 1)
    naive = evaluation.verification(similarity, same, None)
    aware = evaluation.verification(similarity, same, None, ids_a=ids[a], ids_b=ids[b])
    for name in ("auc", "eer"):
        one, other = getattr(naive, name), getattr(aware, name)
        assert one == other
        assert other.low <= other <= other.high
        assert other.high - other.low > 1.5 * (one.high - one.low)
    assert naive.tar_at(0.01) == aware.tar_at(0.01)
    assert aware.tar_at(0.01).low < naive.tar_at(0.01).low
    again = evaluation.verification(similarity, same, None, ids_a=ids[a], ids_b=ids[b])
    assert again.tar_at(0.01).low == aware.tar_at(0.01).low


def test_accuracy_of_few_people_is_less_sure() -> None:
    generator = np.random.default_rng(4)
    folds = np.repeat(np.arange(4), 200)
    ids_a = folds * 3 + generator.integers(3, size=800)  # three people in each fold
    ids_b = folds * 3 + generator.integers(3, size=800)
    luck = generator.normal(size=12)
    scores = (ids_a == ids_b) * (1 + luck[ids_a]) + 0.3 * generator.normal(size=800)
    naive = evaluation.verification(scores, ids_a == ids_b, folds)
    aware = evaluation.verification(scores, ids_a == ids_b, folds, ids_a=ids_a, ids_b=ids_b)
    assert naive.accuracy == aware.accuracy
    assert aware.accuracy.low <= aware.accuracy <= aware.accuracy.high
    width = naive.accuracy.high - naive.accuracy.low
    assert aware.accuracy.high - aware.accuracy.low > 1.5 * width


def test_a_long_list_is_thinned_for_intervals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    ids = generator.integers(40, size=(2, 20_000))
    same = ids[0] == ids[1]
    scores = (generator.normal(size=20_000) + 2 * same).round(2)
    call = {"ids_a": ids[0], "ids_b": ids[1], "draws": 100}
    whole = evaluation.verification(scores, same, None, **call)
    monkeypatch.setattr("arcwise.evaluation.impostor_sample._KEEP", 1000)
    thinned = evaluation.verification(scores, same, None, **call)
    assert whole.sample is not None
    assert thinned.sample is not None
    assert (whole.sample.weight == 1).all()
    assert len(thinned.sample.weight) < 4000
    assert thinned.sample.weight.sum() == pytest.approx(whole.impostors)
    for (_, one), (_, other) in zip(whole.rows(), thinned.rows(), strict=True):
        assert one == other
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.01)


def test_scores_that_all_tie_are_thinned_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arcwise.evaluation.impostor_sample._KEEP", 100)
    ids = np.random.default_rng(6).integers(30, size=(2, 5000))
    result = evaluation.verification(
        np.ones(5000), ids[0] == ids[1], None, ids_a=ids[0], ids_b=ids[1], draws=10
    )
    assert result.auc == 0.5
    assert result.sample is not None
    assert len(result.sample.weight) < 400
    assert result.sample.weight.sum() == pytest.approx(result.impostors)


GOOD = (np.array([0.1, 0.9, 0.3]), np.array([False, True, False]))
FOUR = (np.array([0.9, 0.1, 0.8, 0.2]), np.array([True, False, True, False]))
EVE = (["ann", "ann", "bob", "bob"], ["ann", "eve", "bob", "eve"])
ALONE = ["ann", "eve", "bob", "dan"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluation.verification(GOOD[0], GOOD[1][:2]), "one for each score"),
        (lambda: evaluation.verification(np.array([0.1, np.nan, 1]), GOOD[1], 2), "NaN"),
        (lambda: evaluation.verification(GOOD[0], np.ones(3, bool)), "3 mated and 0 impostor"),
        (lambda: evaluation.verification(GOOD[0], np.array([0, 2, 1])), "truth values"),
        (lambda: evaluation.verification(*GOOD, 10), "folds is 10 for 3 pairs"),
        (lambda: evaluation.verification(*GOOD).accuracy, "accuracy was not measured"),
        (lambda: evaluation.verification(*GOOD, [1, 1, 1]), "one label"),
        (lambda: evaluation.verification(*GOOD, [1, 2]), "folds has shape"),
        (
            lambda: evaluation.verification(*FOUR, [1, 1, 2, 1]),
            "without fold 1 there are 1 mated and 0 impostor pairs",
        ),
        (
            lambda: evaluation.verification(*FOUR, [1, 1, 2, 2], ids_a=EVE[0], ids_b=EVE[1]),
            r"identity eve is in folds 1 and 2 \(1 such identities\)",
        ),
        (
            lambda: evaluation.verification(*FOUR, 2, ids_a=EVE[0], ids_b=EVE[1]),
            "identity eve is in folds 0 and 1",
        ),
        (lambda: evaluation.verification(*FOUR, 2, ids_a=EVE[0], ids_b=ALONE), None),
        (lambda: evaluation.verification(*GOOD, None).val_at(0.1), "accuracy was not measured"),
        (lambda: evaluation.verification(*FOUR, [1, 1, 2, 3]).val_at(0.1), "fold 2 holds 1 mated"),
        (
            lambda: evaluation.verification(FOUR[0] * 9, FOUR[1], 2).val_at(0.1),
            "expected cosines between -1 and 1",
        ),
        (lambda: evaluation.verification(*FOUR, 2, fold_threshold="low"), "expected 'between'"),
        (lambda: evaluation.verification(*GOOD, None).tar_at(0.1, "best"), "expected 'conserv"),
        (lambda: evaluation.verification(*GOOD, None).accuracy, "accuracy was not measured"),
        (lambda: evaluation.verification(*GOOD, None).tar_at(0), "above 0"),
        (lambda: evaluation.verification(*GOOD, None, ids_a=list("abc")), "both or neither"),
        (
            lambda: evaluation.verification(*GOOD, None, ids_a=list("abc"), ids_b=list("bba")),
            None,
        ),
        (
            lambda: evaluation.verification(*GOOD, None, ids_a=list("abc"), ids_b=list("aba")),
            "expected them to agree",
        ),
        (lambda: evaluation.verification(GOOD[0][None], GOOD[1]), "dimension"),
        (lambda: evaluation.verification(np.array(["a", "b", "c"]), GOOD[1]), "expected numbers"),
    ],
)
def test_bad_input_is_named(call: object, message: str | None) -> None:
    if message is None:
        call()
    else:
        with pytest.raises(ArcwiseError, match=message):
            call()


def test_rates_at_a_threshold_from_elsewhere_draw_identities() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(12, size=(2, 400))
    scores = np.round(rng.normal(a == b, 1.0), 1)
    result = evaluation.verification(scores, a == b, folds=None, ids_a=a, ids_b=b, draws=60, seed=3)
    tars, fars = [], []
    for times in multiplicities(12, 60, 3):
        weight = times[a] * times[b]
        mated = np.where(a == b, times[a], 0)
        tars.append(mated[scores >= 0.3].sum() / mated.sum())
        impostor = np.where(a != b, weight, 0)
        fars.append(impostor[scores >= 0.3].sum() / impostor.sum())
    tar, frr, far = result.tar_with(0.3), result.frr_with(0.3), result.far_with(0.3)
    assert (tar.low, tar.high) == pytest.approx(percentile_interval(tars))
    assert (far.low, far.high) == pytest.approx(percentile_interval(fars))
    assert (frr.low, frr.high) == pytest.approx((1 - tar.high, 1 - tar.low))
    assert far == np.mean(scores[a != b] >= 0.3)
