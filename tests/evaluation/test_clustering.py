"""Clustering measures: pairs and images counted one by one, information by scikit-learn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation.clustering import expected_information
from arcwise.evaluation.intervals import wilson

LABELS = st.integers(1, 24).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from("abcdefg"), min_size=n, max_size=n),
        st.lists(st.integers(-1, 6), min_size=n, max_size=n),
    )
)


def apart(clusters: list[int]) -> list[object]:
    """Every image of noise in a cluster of its own."""
    return [("noise", i) if c == -1 else c for i, c in enumerate(clusters)]


def harmonic(p: float, r: float) -> float:
    return 2 * p * r / (p + r) if p + r else 0.0


@settings(max_examples=80, deadline=None)
@given(LABELS)
def test_pairs_and_images_counted_one_by_one(labels: tuple[list[str], list[int]]) -> None:
    true, given_clusters = labels
    clusters = apart(given_clusters)
    result = evaluation.clustering(true, given_clusters, draws=3)
    pairs = [
        (true[i] == true[j], clusters[i] == clusters[j])
        for i, j in itertools.combinations(range(len(true)), 2)
    ]
    right = sum(same and together for same, together in pairs)
    claimed, belong = sum(together for _, together in pairs), sum(same for same, _ in pairs)
    precision, recall = right / claimed if claimed else 1.0, right / belong if belong else 1.0
    assert result.pairwise_precision == pytest.approx(precision)
    assert result.pairwise_recall == pytest.approx(recall)
    assert result.pairwise_f == pytest.approx(
        harmonic(precision, recall) if claimed or belong else 1.0
    )

    shares = []
    for name, cluster in zip(true, clusters, strict=True):
        own = {i for i, other in enumerate(true) if other == name}
        around = {i for i, other in enumerate(clusters) if other == cluster}
        shares.append((len(own & around) / len(around), len(own & around) / len(own)))
    precision, recall = np.mean(shares, axis=0)
    assert result.bcubed_precision == pytest.approx(precision)
    assert result.bcubed_recall == pytest.approx(recall)
    assert result.bcubed_f == pytest.approx(harmonic(precision, recall))

    assert result.clusters == len(set(clusters))
    assert result.singletons == sum(clusters.count(c) == 1 for c in clusters)
    assert result.noise == given_clusters.count(-1)


@settings(max_examples=80, deadline=None)
@given(LABELS)
def test_information_is_that_of_scikit_learn(labels: tuple[list[str], list[int]]) -> None:
    true, given_clusters = labels
    result = evaluation.clustering(true, given_clusters)
    seen = list(map(str, apart(given_clusters)))
    assert result.ari == pytest.approx(metrics.adjusted_rand_score(true, seen), abs=1e-10)
    assert result.nmi == pytest.approx(metrics.normalized_mutual_info_score(true, seen), abs=1e-10)
    assert result.ami == pytest.approx(metrics.adjusted_mutual_info_score(true, seen), abs=1e-10)


def test_many_sizes_against_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    true = (generator.pareto(0.7, 4000) * 10).astype(np.int64) % 700
    clusters = np.where(generator.random(4000) < 0.6, true, generator.integers(0, 300, 4000))
    clusters[generator.random(4000) < 0.1] = -1
    result = evaluation.clustering(true, clusters)
    seen = np.where(clusters == -1, 1000 + np.arange(4000), clusters)
    assert result.ari == pytest.approx(metrics.adjusted_rand_score(true, seen), abs=1e-10)
    assert result.nmi == pytest.approx(metrics.normalized_mutual_info_score(true, seen), abs=1e-10)
    assert result.ami == pytest.approx(metrics.adjusted_mutual_info_score(true, seen), abs=1e-10)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [([3, 3, 1], [7]), ([30, 20], [49, 1]), ([400, 300, 300], [999, 1]), ([5] * 8, [8] * 5)],
)
def test_chance_is_the_hypergeometric_mean(rows: list[int], columns: list[int]) -> None:
    """Also where parts are so large that they have to meet."""
    total = sum(rows)
    expected = sum(
        stats.hypergeom.pmf(n, total, a, b) * n / total * math.log(total * n / (a * b))
        for a, b in itertools.product(rows, columns)
        for n in range(max(1, a + b - total), min(a, b) + 1)
    )
    result = expected_information(np.array(rows), np.array(columns))
    assert result == pytest.approx(expected, abs=1e-13)


@settings(max_examples=50, deadline=None)
@given(LABELS, st.randoms(use_true_random=False))
def test_names_and_order_do_not_matter(labels: tuple[list[str], list[int]], random: object) -> None:
    true, clusters = labels
    order = list(range(len(true)))
    random.shuffle(order)
    renamed = [-1 if cluster == -1 else 10 - cluster for cluster in clusters]
    one = evaluation.clustering(true, clusters, draws=4)
    other = evaluation.clustering(
        [f"person {true[i]}" for i in order], [renamed[i] for i in order], draws=4
    )
    assert str(one) == str(other)


def test_intervals_draw_identities() -> None:
    """Copies of the images say nothing new: the width is that of the identities, not of pairs."""
    generator = np.random.default_rng(0)
    true = np.repeat(np.arange(40), 5)
    clusters = np.where(generator.random(200) < 0.8, true, generator.integers(0, 40, 200))
    few = evaluation.clustering(true, clusters)
    many = evaluation.clustering(np.tile(true, 50), np.tile(clusters, 50))
    assert few.bcubed_precision == pytest.approx(float(many.bcubed_precision))
    assert few.bcubed_precision.high - few.bcubed_precision.low == pytest.approx(
        many.bcubed_precision.high - many.bcubed_precision.low
    )
    for name in ("precision", "recall", "f"):
        for kind in ("pairwise", "bcubed"):
            rate = getattr(few, f"{kind}_{name}")
            assert rate.low < rate < rate.high


def test_a_drawn_pair_weighs_the_product_of_its_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Identity a drawn twice, b once, c never: 2 right pairs of a, 2 · 1 · 2 pairs of a with b."""
    module = __import__("arcwise.evaluation.clustering", fromlist=["multiplicities"])
    monkeypatch.setattr(module, "multiplicities", lambda *_: iter([np.array([2, 1, 0])]))
    result = evaluation.clustering(list("aabcc"), [0, 0, 0, 0, 1], draws=1)
    assert result.pairwise_precision == pytest.approx(1 / 6)
    drawn = 2 / (2 + 4)  # of three identities, which reach at least as far as Wilson's interval
    assert result.pairwise_precision.high == pytest.approx(max(drawn, wilson(3 / 6, 3)[1]))


def test_perfect_single_and_scattered() -> None:
    true = list("aabbbc")
    perfect = evaluation.clustering(true, [5, 5, 2, 2, 2, -1])
    assert (perfect.pairwise_f, perfect.bcubed_f) == (1.0, 1.0)
    assert (perfect.nmi, perfect.ami, perfect.ari) == (pytest.approx(1.0), 1.0, 1.0)
    assert "6 images of 3 identities in 3 clusters, 1 of one image (1 noise)" in str(perfect)
    assert "arithmetic" in str(perfect)
    one = evaluation.clustering(true, [0] * 6)
    assert one.pairwise_recall == 1.0
    assert (one.nmi, one.ami, one.ari) == (0.0, 0.0, 0.0)
    none = evaluation.clustering(true, [-1] * 6)
    assert (none.pairwise_precision, none.pairwise_f, none.singletons) == (1.0, 0.0, 6)
    assert none.ami == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("true", "clusters", "message"),
    [
        (list("ab"), [0], "one identity for each"),
        ([], [], "at least one image"),
        (list("ab"), [0.5, 1.0], "whole numbers"),
        (list("ab"), [[0, 1]], "cluster_ids has shape"),
    ],
)
def test_bad_input_is_named(true: object, clusters: object, message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        evaluation.clustering(true, clusters)
