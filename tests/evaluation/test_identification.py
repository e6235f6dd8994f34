"""Identification against a loop with ties, and a gallery worked by hand."""

from __future__ import annotations

import importlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise import evaluation
from arcwise.errors import ArcwiseError

MODULE = importlib.import_module("arcwise.evaluation.identification")  # the name is the function's


def slow_identification(
    scores: np.ndarray, probe_ids: list[str], gallery_ids: list[str], fpir: float
) -> tuple[list[int], float]:
    """Return the ranks of known probes and the detection rate, trying every threshold."""
    ranks, mates, unknown = [], [], []
    for row, probe in zip(scores.tolist(), probe_ids, strict=True):
        best = {g: max(s for s, h in zip(row, gallery_ids, strict=True) if h == g)
                for g in gallery_ids}  # fmt: skip
        if probe in best:
            others = [s for g, s in best.items() if g != probe]
            ranks.append(1 + sum(s >= best[probe] for s in others))
            mates.append(best[probe])
        else:
            unknown.append(max(best.values()))
    rates = [
        sum(r == 1 and s >= threshold for r, s in zip(ranks, mates, strict=True)) / len(ranks)
        for threshold in [-np.inf, *np.nextafter(np.float32(unknown), np.float32(9))]
        if sum(s >= threshold for s in unknown) / len(unknown) <= fpir
    ]
    return ranks, max(rates)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_equals_a_loop_with_ties(data: st.DataObject) -> None:
    probes, entries = data.draw(st.integers(2, 12)), data.draw(st.integers(1, 8))
    count = probes * entries
    values = data.draw(st.lists(st.integers(-3, 3), min_size=count, max_size=count))
    scores = np.array(values, dtype=np.float32).reshape(probes, entries)
    names = data.draw(st.lists(st.sampled_from("abcxy"), min_size=probes, max_size=probes))
    held = data.draw(st.lists(st.sampled_from("abc"), min_size=entries, max_size=entries))
    held[0], names[:2] = "a", ["a", "x"]
    fpir = data.draw(st.sampled_from([0.01, 0.1, 0.29, 0.5, 1.0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_BLOCK", 10)
        result = evaluation.identification(scores, names, held, draws=5)
    ranks, rate = slow_identification(scores, names, held, fpir)
    assert result.rank_of_mate.tolist() == ranks
    assert result.dir_at(fpir) == pytest.approx(rate)
    assert result.dir_with(result.threshold_at(fpir)) == pytest.approx(rate)
    assert result.fpir_with(result.threshold_at(fpir)) <= fpir
    for k in (1, 2, 3):
        assert result.rank(k) == pytest.approx(np.mean(np.array(ranks) <= k))
    assert result.cmc(3) == pytest.approx([float(result.rank(k)) for k in (1, 2, 3)])
    assert result.dir_at(fpir) <= result.rank(1)


HAND = np.array(
    [
        [0.9, 0.2, 0.1, 0.3, 0.0, 0.1],  # a: right at .9
        [0.1, 0.7, 0.1, 0.2, 0.3, 0.6],  # a: its second entry .7, right
        [0.5, 0.1, 0.4, 0.1, 0.1, 0.2],  # b: .4 after a's .5, rank 2
        [0.1, 0.1, 0.1, 0.1, 0.6, 0.6],  # d: .6, but c ties with it: rank 2
        [0.8, 0.3, 0.2, 0.1, 0.1, 0.1],  # x: unknown, best .8
        [0.1, 0.1, 0.3, 0.2, 0.1, 0.1],  # y: unknown, best .3
    ]
)


def test_six_entries_by_hand() -> None:
    result = evaluation.identification(HAND, list("aabdxy"), list("aabbcd"))
    assert result.rank_of_mate.tolist() == [1, 1, 2, 2]
    assert (result.rank(1), result.rank(2)) == (0.5, 1.0)
    assert result.unknown.tolist() == [0.8, 0.3]
    assert result.threshold_at(0.5) == np.nextafter(0.3, 1)  # only x may pass
    assert result.dir_at(0.5) == 0.5
    assert result.threshold_at(0.1) == np.nextafter(0.8, 1)  # nobody may
    assert result.dir_at(0.1) == 0.25
    assert result.dir_at(1.0) == 0.5
    assert result.identities == 4
    assert not result.dir_at(0.5).resolved
    assert "DIR" not in str(result)
    assert result.fpir_with(0.3) == 1.0
    assert result.fpir_with(result.threshold_at(0.5)) == 0.5


def test_detection_rises_with_the_false_positive_rate() -> None:
    generator = np.random.default_rng(0)
    names = np.arange(400)
    scores = generator.normal(size=(400, 200)) + 4 * (names[:, None] == np.arange(200))
    result = evaluation.identification(scores, names, np.arange(200))
    rates = result.dirs_at((0.01, 0.05, 0.1, 0.5, 1.0))
    assert list(rates) == sorted(rates)
    assert [rate.resolved for rate in rates] == [False, True, True, True, True]
    assert all(rate.low <= rate <= rate.high for rate in rates)
    assert rates[1].low < rates[1] < rates[1].high
    assert rates[-1] == result.rank(1)
    assert "DIR@0.1" in str(result)
    assert "DIR@0.01" not in str(result)


def test_what_cannot_be_measured_is_said() -> None:
    known = evaluation.identification(HAND[:4], list("aabd"), list("aabbcd"))
    with pytest.raises(ArcwiseError, match="should get no answer"):
        known.dir_at(0.1)
    with pytest.raises(ArcwiseError, match="should get no answer"):
        known.fpir_with(0.1)
    unknown = evaluation.identification(HAND[4:], list("xy"), list("aabbcd"))
    with pytest.raises(ArcwiseError, match="spelt the same way"):
        unknown.rank(1)
    with pytest.raises(ArcwiseError, match="spelt the same way"):
        unknown.dir_at(0.5)
    with pytest.raises(ArcwiseError, match="1 or more"):
        known.rank(0)
    with pytest.raises(ArcwiseError, match="one identity for each"):
        evaluation.identification(HAND, list("ab"), list("aabbcd"))
    with pytest.raises(ArcwiseError, match="above 0"):
        evaluation.identification(HAND, list("aabdxy"), list("aabbcd")).dir_at(1.5)
    with pytest.raises(ArcwiseError, match="a probe and an entry"):
        evaluation.identification(np.zeros((0, 3)), [], list("abc"))
    with pytest.raises(ArcwiseError, match="strings or whole numbers"):
        evaluation.identification(np.zeros((1, 2)), [0.5], list("ab"))
    assert "0 unknown" in str(known)
    assert "rank-1" not in str(unknown)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_streamed_embeddings_give_the_same(data: st.DataObject, halves: np.ndarray) -> None:
    """With vectors whose cosines are exact, ties are ties whatever the blocks."""
    probes, entries = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 8))
    rows = st.integers(0, 15)
    queries = halves[data.draw(st.lists(rows, min_size=probes, max_size=probes))]
    stored = halves[data.draw(st.lists(rows, min_size=entries, max_size=entries))]
    names = data.draw(st.lists(st.sampled_from("abcxy"), min_size=probes, max_size=probes))
    if data.draw(st.booleans()):
        held = data.draw(st.lists(st.sampled_from("abc"), min_size=entries, max_size=entries))
    else:  # one entry each
        held = data.draw(st.permutations("abcdefgh"))[:entries]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_BLOCK", 3 * entries)
        result = evaluation.identification_from_embeddings(3 * queries, names, stored, held)
    whole = evaluation.identification(queries @ stored.T, names, held)
    for name in (
        "rank_of_mate",
        "score",
        "owner",
        "unknown",
        "unknown_owner",
        "probe_identities",
        "gallery",
    ):
        assert getattr(result, name).tolist() == getattr(whole, name).tolist()


def test_streaming_never_holds_all_scores() -> None:
    generator = np.random.default_rng(0)
    probes, gallery = (generator.normal(size=(6000, 4)).astype(np.float32) for _ in range(2))
    tracemalloc.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_BLOCK", 2**18)
        evaluation.identification_from_embeddings(
            probes, np.arange(6000), gallery, np.arange(3000).repeat(2)
        )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6000 * 6000 * 4 / 10


def published_1n(
    scores: np.ndarray, probe_ids: list[str], gallery_ids: list[str], fpir: float
) -> tuple[float, int]:
    """Return TPIR and rank-1 count as insightface's ijb_evals.py has them, line by line."""
    positive, negative, outside, first = [], [], [], 0
    for row, probe in zip(scores, probe_ids, strict=True):
        if probe in gallery_ids:
            label = gallery_ids.index(probe)
            others = row[np.arange(len(row)) != label]
            positive.append(row[label])
            negative.append(others.max(initial=-np.inf))
            first += bool(row[label] > others.max(initial=-np.inf))
        else:
            outside.append(row.max())
    descending = np.sort(outside)[::-1]
    threshold = descending[max(int(len(descending) * fpir) - 1, 0)]
    mated, rivals = np.array(positive), np.array(negative)
    return float(np.mean((mated > rivals) & (mated > threshold))), first


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_the_published_threshold_by_name(data: st.DataObject) -> None:
    probes = data.draw(st.integers(2, 14))
    values = data.draw(st.lists(st.integers(-3, 3), min_size=3 * probes, max_size=3 * probes))
    scores = np.array(values, dtype=np.float32).reshape(probes, 3)
    names = data.draw(st.lists(st.sampled_from("abcxy"), min_size=probes, max_size=probes))
    names[:2] = "a", "x"
    fpir = data.draw(st.sampled_from([0.01, 0.1, 0.29, 0.5, 1.0]))
    result = evaluation.identification(scores, names, list("abc"), draws=5)
    rate, first = published_1n(scores, names, list("abc"), fpir)
    assert result.dir_at(fpir, "insightface") == pytest.approx(rate)
    assert result.rank(1) == pytest.approx(first / len(result.rank_of_mate))
    assert result.dir_at(fpir, "insightface") <= result.dir_at(fpir)  # one unknown probe fewer


def test_the_two_thresholds_differ_by_one_probe() -> None:
    scores = np.array([[0.5], [0.4], [0.3], [0.2], [0.1]])
    result = evaluation.identification(scores, list("axyzw"), list("a"), draws=5)
    assert result.threshold_at(0.5) == np.nextafter(0.2, 1)  # two of four may pass
    assert result.threshold_at(0.5, "insightface") == np.nextafter(0.3, 1)
    assert result.threshold_at(1.0) == -np.inf
    assert result.threshold_at(1.0, "insightface") == np.nextafter(0.1, 1)
    with pytest.raises(ArcwiseError, match="expected 'conservative' or 'insightface'"):
        result.dir_at(0.5, "nist")  # type: ignore[arg-type]


def test_what_the_protocol_calls_mated_is_checked() -> None:
    mated = np.array([True, True, True, True, False, False])
    plain = evaluation.identification(HAND, list("aabdxy"), list("aabbcd"))
    stated = evaluation.identification(HAND, list("aabdxy"), list("aabbcd"), mated=mated)
    assert stated.unknown.tolist() == plain.unknown.tolist()
    for names, said, message in (
        ("aabdxx", [*mated[:5], True], "identity x has mated and non-mated probes"),
        ("aabdxy", [*mated[:4], False, True], "identity y is not in the gallery .* called mated"),
        ("aabcxy", [*mated[:3], False, False, False], "identity c is in the gallery .* non-mated"),
        ("aabdxy", mated[:4], "one for each probe"),
        ("aabdxy", mated.astype(int), "truth values"),
    ):
        with pytest.raises(ArcwiseError, match=message):
            evaluation.identification(HAND, list(names), list("aabbcd"), mated=np.array(said))
    with pytest.raises(ArcwiseError, match="identity 7 is in the gallery"):
        evaluation.identification_from_embeddings(
            np.eye(2), [7, 8], np.eye(2), [7, 9], mated=np.array([False, False])
        )


@pytest.mark.parametrize(
    ("probes", "probe_ids", "gallery", "gallery_ids", "message"),
    [
        (np.eye(2), ["a"], np.eye(2), ["a", "b"], "one identity for each"),
        (np.eye(2), ["a", "b"], np.eye(2), ["a"], "one identity for each"),
        (np.eye(2), ["a", "b"], np.eye(3), ["a", "b", "c"], "2 dimensions and the gallery 3"),
        (np.full((2, 2), np.nan), ["a", "b"], np.eye(2), ["a", "b"], "probes has 4 .* NaN"),
        (np.eye(2), ["a", "b"], np.zeros((0, 2)), [], "gallery .* at least one embedding"),
        (np.zeros((0, 2)), [], np.eye(2), ["a", "b"], "probes .* at least one embedding"),
        (np.eye(2), ["1", "2"], np.eye(2), [1, 2], "identities of one kind"),
    ],
)
def test_bad_embeddings_are_named(
    probes: np.ndarray, probe_ids: list, gallery: np.ndarray, gallery_ids: list, message: str
) -> None:
    with pytest.raises(ArcwiseError, match=message):
        evaluation.identification_from_embeddings(probes, probe_ids, gallery, gallery_ids)
