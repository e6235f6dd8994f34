"""Verification against loops over every threshold, closed cases, and published numbers."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from arcwise import evaluation
from arcwise.errors import ArcwiseError


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


def slow_fold_accuracy(scores: list[float], same: list[bool], folds: list[int]) -> list[float]:
    found = []
    for fold in sorted(set(folds)):
        train = [(s, t) for s, t, f in zip(scores, same, folds, strict=True) if f != fold]
        values = sorted({s for s, _ in train})
        middles = [(a + b) / 2 for a, b in itertools.pairwise(values)]
        options = [-np.inf, *middles, np.inf]
        right = [sum((s >= option) == t for s, t in train) for option in options]
        best = [o for o, r in zip(options, right, strict=True) if r == max(right)]
        threshold = best[(len(best) - 1) // 2]
        test = [(s, t) for s, t, f in zip(scores, same, folds, strict=True) if f == fold]
        found.append(sum((s >= threshold) == t for s, t in test) / len(test))
    return found


@st.composite
def tied_pairs(draw: st.DrawFn) -> tuple[list[float], list[bool]]:
    count = draw(st.integers(2, 30))
    scores = draw(st.lists(st.integers(-4, 4), min_size=count, max_size=count))
    same = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return [s / 4 for s in scores], [True, False, *same[2:]]


@settings(max_examples=80, deadline=None)
@given(tied_pairs(), st.sampled_from([0.01, 0.1, 0.25, 0.29, 0.5, 0.75, 1.0]))
def test_tar_and_threshold_equal_a_loop(pairs: tuple[list, list], far: float) -> None:
    found = evaluation.verification(*map(np.array, pairs), folds=None)
    threshold, tar = slow_tar_and_threshold(*pairs, far)
    assert found.tar_at(far) == tar
    assert found.threshold_at(far) == threshold
    assert found.far_with(threshold) <= far
    assert found.tar_with(threshold) == tar
    assert found.tar_at(far).low <= tar <= found.tar_at(far).high


@settings(max_examples=60, deadline=None)
@given(tied_pairs())
def test_auc_and_eer_equal_a_loop_and_scikit_learn(pairs: tuple[list, list]) -> None:
    scores, same = map(np.array, pairs)
    found = evaluation.verification(scores, same, folds=None)
    assert found.auc == pytest.approx(slow_auc(*pairs))
    assert found.auc == pytest.approx(roc_auc_score(same, scores))
    far, tar, _ = roc_curve(same, scores, drop_intermediate=False)
    grid = np.linspace(0, 1, 20_001)
    gap = np.abs(grid - (1 - np.interp(grid, far, tar)))
    assert abs(found.eer - (1 - np.interp(found.eer, far, tar))) <= gap.min() + 1e-9 or any(
        (far[:-1] == found.eer) & (np.diff(far) == 0)
    )
    our_far, our_tar = found.roc()
    assert (our_far[0], our_tar[0], our_far[-1], our_tar[-1]) == (0, 0, 1, 1)
    assert (np.diff(our_far) >= 0).all()
    assert (np.diff(our_tar) >= 0).all()
    assert np.trapezoid(our_tar, our_far) == pytest.approx(float(found.auc))


@settings(max_examples=60, deadline=None)
@given(tied_pairs(), st.data())
def test_fold_accuracy_equals_a_loop(pairs: tuple[list, list], data: st.DataObject) -> None:
    count = len(pairs[0])
    rest = data.draw(st.lists(st.integers(1, 3), min_size=count - 2, max_size=count - 2))
    folds = [1, 2, *rest]
    found = evaluation.verification(*map(np.array, pairs), folds=np.array(folds))
    expected = slow_fold_accuracy(*pairs, folds)
    assert found.folds is not None
    assert found.folds.accuracy == pytest.approx(expected)
    assert found.accuracy == pytest.approx(np.mean(expected))
    assert found.accuracy_std == pytest.approx(np.std(expected))


def test_whole_number_of_folds_is_contiguous() -> None:
    generator = np.random.default_rng(0)
    scores, same = generator.normal(size=103), generator.random(103) < 0.5
    labels = np.concatenate([np.full(len(p), i) for i, p in enumerate(np.array_split(scores, 10))])
    a = evaluation.verification(scores, same, 10)
    b = evaluation.verification(scores, same, labels)
    assert a.accuracy == b.accuracy


def test_separable_is_perfect() -> None:
    same = np.arange(200) % 2 == 0
    found = evaluation.verification(np.where(same, 0.9, 0.1) + np.linspace(0, 0.05, 200), same)
    assert found.accuracy == found.auc == found.tar_at(1e-3) == 1.0
    assert found.eer == found.accuracy_std == 0.0
    assert found.accuracy.low < 1.0


def test_random_is_a_coin() -> None:
    generator = np.random.default_rng(0)
    found = evaluation.verification(generator.normal(size=4000), generator.random(4000) < 0.5)
    for value in (found.accuracy, found.auc, found.eer):
        assert value == pytest.approx(0.5, abs=0.05)
        assert value.low < 0.51
        assert value.high > 0.49


def test_tar_rises_with_far_and_few_impostors_resolve_little() -> None:
    generator = np.random.default_rng(1)
    same = generator.random(3000) < 0.5
    found = evaluation.verification(generator.normal(size=3000) + 2 * same, same)
    tars = found.tars_at((1e-3, 1e-2, 1e-1, 0.5, 1.0))
    assert list(tars) == sorted(tars)
    assert tars[-1] == 1.0
    assert [tar.resolved for tar in tars] == [False, True, True, True, True]
    assert "TAR@0.001" not in str(found)
    assert found.folds is not None
    assert "10 folds" in repr(found)


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


GOOD = (np.array([0.1, 0.9, 0.3]), np.array([False, True, False]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluation.verification(GOOD[0], GOOD[1][:2]), "one for each score"),
        (lambda: evaluation.verification(np.array([0.1, np.nan, 1]), GOOD[1], 2), "NaN"),
        (lambda: evaluation.verification(GOOD[0], np.ones(3, bool)), "3 mated and 0 impostor"),
        (lambda: evaluation.verification(GOOD[0], np.array([0, 2, 1])), "truth values"),
        (lambda: evaluation.verification(*GOOD), "folds is 10 for 3 pairs"),
        (lambda: evaluation.verification(*GOOD, [1, 1, 1]), "one label"),
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


def test_published_lfw_numbers(lfw: dict[str, np.ndarray], data_dir: Path) -> None:
    """4 800 LFW pairs of folds 1-8 with the published MobileFaceNet; our conventions agree."""
    expected = json.loads((data_dir / "features" / "lfw_results.json").read_text())["lfw_folds_1_8"]
    with (data_dir / "lfw112" / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    at = {path: i for i, path in enumerate(lfw["path"])}
    a = [at[row["path_a"]] for row in rows]
    b = [at[row["path_b"]] for row in rows]
    similarity = (lfw["unit"][a] * lfw["unit"][b]).sum(1)
    same = np.array([row["same"] == "1" for row in rows])
    folds = [int(row["fold"]) for row in rows]
    found = evaluation.verification(
        similarity, same, folds, ids_a=lfw["person"][a], ids_b=lfw["person"][b]
    )
    assert found.accuracy == pytest.approx(expected["mean_accuracy"], abs=1e-9)
    assert found.eer == pytest.approx(expected["eer"], abs=1e-9)
    assert found.auc == pytest.approx(expected["auc"], abs=2e-7)
    assert found.tar_at(1e-2) == pytest.approx(expected["tar_at_far_0.01"], abs=1e-9)
    assert found.tar_at(1e-3) == pytest.approx(expected["tar_at_far_0.001"], abs=1e-9)
    assert found.tar_at(1e-2).resolved
    assert not found.tar_at(1e-3).resolved  # 2 400 impostors, 2.4 of them at one in a thousand


def test_published_score_lists(data_dir: Path) -> None:
    """Separable and overlapping lists and ROC points of bob.measure (BSD)."""
    cases = json.loads((data_dir / "reference" / "scores" / "bob_measure.json").read_text())

    def measured(name: str) -> evaluation.Verification:
        positives, negatives = (
            [failed if np.isnan(score) else score for score in cases[name][kind]]
            for kind, failed in (("positives", -9.0), ("negatives", 9.0))  # both are errors
        )
        same = np.repeat([True, False], [len(positives), len(negatives)])
        return evaluation.verification(np.array(positives + negatives), same, None)

    assert measured("linsep").eer == 0.0
    assert measured("linsep").auc == 1.0
    # Their equal-error rate is that of the convex hull, which lies at or below the curve's.
    assert measured("rocch").eer >= cases["rocch"]["expected"]["eer_rocch"] - 1e-12
    assert measured("rocch").eer == pytest.approx(0.11636, abs=0.01)
