from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from arcwise.clustering.clusters import DOUBTFUL, find_clusters
from arcwise.clustering.dominant_centres import dominant_centres
from arcwise.clustering.label_errors import LabelError, label_errors
from arcwise.clustering.label_votes import label_evidence
from arcwise.clustering.links import AGREEMENT
from arcwise.clustering.methods import LEAST_WEIGHT
from arcwise.errors import ArcwiseError
from tests import oracles


def people(count: int = 120, each: int = 6, spread: float = 0.5, seed: int = 0):
    """Unit embeddings of well separated identities, and their identities."""
    draw = np.random.default_rng(seed)
    centres = np.repeat(draw.normal(size=(count, 64)), each, axis=0)
    vectors = centres + spread * draw.normal(size=centres.shape)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32), np.repeat(np.arange(count), each)


def found_in(vectors: np.ndarray, labels: np.ndarray, copies=()) -> list[LabelError]:
    codes = np.unique(labels, return_inverse=True)[1]
    return label_errors(vectors, codes, find_clusters(vectors), copies)


@pytest.mark.parametrize("seed", range(3))
def test_planted_errors_are_found_and_nothing_else(seed: int) -> None:
    vectors, truth = people(seed=seed)
    labels = truth.copy()
    moved = [6 * one for one in range(10)]  # the first image of identities 0 to 9
    labels[moved] = [20 + one for one in range(10)]
    strangers = [6 * one for one in range(110, 120)]
    kept = np.ones(len(labels), bool)
    kept[660:] = False
    kept[strangers] = True
    labels[strangers] = [30 + one for one in range(10)]
    halves = np.arange(len(labels)) % 6 < 3
    labels[(truth >= 40) & (truth < 45) & halves] += 100  # two names
    shared = (truth >= 50) & (truth < 55)
    labels[shared] += 10  # with identities 60 to 64
    vectors, truth, labels = vectors[kept], truth[kept], labels[kept]
    codes = np.unique(labels, return_inverse=True)[1]
    errors = found_in(vectors, labels)
    by_kind = {kind: [one for one in errors if one.kind == kind]
               for kind in ("member", "split", "merge", "same image")}  # fmt: skip
    place = np.cumsum(kept) - 1
    target = {one.rows[0]: one.identities[1:] for one in by_kind["member"]}
    assert set(target) == set(place[moved + strangers].tolist())
    assert all(target[place[row]] == (codes[place[row + 1]],) for row in moved)
    assert all(target[place[row]] == () for row in strangers)
    merged = {frozenset(labels[codes == code][0] for code in one.identities)
              for one in by_kind["merge"]}  # fmt: skip
    assert merged == {frozenset((one, one + 100)) for one in range(40, 45)}
    parts = {frozenset(truth[list(one.rows)].tolist()) for one in by_kind["split"]}
    assert len(by_kind["split"]) == 5
    assert all(len(one) == 1 for one in parts)
    assert all(len(one.rows) == 6 for one in by_kind["split"])
    assert not by_kind["same image"]
    doubts = [len(one.votes) - len(one.against) for one in errors]
    assert doubts == sorted(doubts, reverse=True)


def test_nothing_is_found_where_labels_are_right() -> None:
    vectors, labels = people()
    assert found_in(vectors, labels) == []
    single = np.concatenate([np.arange(0, 120, 6), np.arange(120, 720)])
    assert found_in(vectors[single], labels[single]) == []


def test_names_and_scale_do_not_matter() -> None:
    vectors, labels = people(60)
    labels[[0, 7]] = labels[[7, 0]]
    first = found_in(vectors, labels)
    assert [one.rows for one in first] == [one.rows for one in found_in(vectors, labels)]
    renamed = np.random.default_rng(0).permutation(60)[labels]
    longer = vectors * np.random.default_rng(1).uniform(0.1, 9, (len(vectors), 1))
    assert {one.rows for one in found_in(longer, renamed)} == {(0,), (7,)}
    assert {one.rows for one in first} == {(0,), (7,)}


def test_copies_come_first_and_are_one_error_for_two_names() -> None:
    vectors, labels = people(60)
    vectors = np.concatenate([vectors, vectors[[0, 1, 30]]])
    labels = np.concatenate([labels, [9, 9, 59]])
    labels[50] = 20
    errors = found_in(vectors, labels, [[360, 0], [1, 361], [30, 362], [2, 3]])
    assert [one.kind for one in errors] == ["same image", "same image", "member"]
    assert {one.rows for one in errors[:2]} == {(0, 1, 360, 361), (30, 362)}
    assert {one.identities for one in errors[:2]} == {(0, 9), (5, 59)}
    assert errors[0].similarity == pytest.approx(1, abs=1e-5)


def test_two_images_that_differ_are_two_halves() -> None:
    """Neither is typical, so that the sub-centre has no vote."""
    vectors, labels = people(60)
    kept = np.concatenate([[0, 6], np.arange(12, 360)])
    labels[6] = 0
    (error,) = found_in(vectors[kept], labels[kept])
    assert error.kind == "split"
    assert error.votes == ("neighbours", "clusters")
    assert error.against == ()


def test_evidence_equals_its_definition() -> None:
    vectors, truth = people(25, 5, 1.1)
    labels = np.random.default_rng(2).permutation(np.arange(125) % 30)
    labels[:60] = truth[:60]
    labels = np.unique(labels, return_inverse=True)[1]
    found = find_clusters(vectors)
    evidence = label_evidence(vectors, labels, found)
    count = labels.max() + 1
    agreement, weight = np.zeros((125, 125)), np.zeros((125, 125))
    for (a, b), value, linked in zip(found.links.pairs, found.links.agreement, found.links.linked,
                                     strict=True):  # fmt: skip
        agreement[a, b] = agreement[b, a] = value
        if linked:
            weight[a, b] = weight[b, a] = value + LEAST_WEIGHT
    assert (evidence.agreement.toarray() == agreement).all()
    for row in range(125):
        of = np.bincount(labels, weight[row], count)
        assert evidence.own[row] == pytest.approx(of[labels[row]])
        of[labels[row]] = -1
        assert evidence.other[row] == pytest.approx(max(of.max(), 0))
        if evidence.looks_like[row] >= 0:
            assert of[evidence.looks_like[row]] == pytest.approx(of.max())
    for identity in range(count):
        inside = found.labels[labels == identity]
        counts = np.bincount(inside, minlength=found.count)
        assert counts[evidence.home[identity]] == counts.max()
    first, second = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    inside = [agreement[i, j] for some in (first, second) for i in some for j in some if i != j]
    across = [agreement[i, j] for i in first for j in second]
    a, b = np.mean(inside), np.mean(across)
    assert evidence.confidence(first, second) == pytest.approx(a / (a + b))
    alone = AGREEMENT / (AGREEMENT + agreement[0, 1])
    assert evidence.confidence(np.array([0]), np.array([1])) == pytest.approx(alone)
    assert DOUBTFUL > 0.5  # halves of one identity, with as much across as inside, are merged


def test_dominant_sub_centre_equals_the_oracle() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(300, 8))
    owner = np.sort(draw.integers(0, 40, 300))
    owner = np.unique(owner, return_inverse=True)[1]
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = dominant_centres(unit, owner)
    for identity in range(owner.max() + 1):
        members = unit[owner == identity].astype(np.float64)
        centre, clear = oracles.dominant_subcentre(members.tolist())
        assert found.clear[identity] == clear
        if clear:
            assert found.centre[identity] == pytest.approx(np.array(centre), abs=1e-5)
            assert found.similarity[owner == identity] == pytest.approx(members @ centre, abs=1e-5)


def test_most_members_are_dominant() -> None:
    """Of seven images of one and four of another, those of the other are far; of two, none is."""
    vectors, _ = people(2, 7, 0.2)
    owner = np.zeros(11, int)
    found = dominant_centres(vectors[:11], owner)
    assert (found.similarity[:7] > 0.8).all()
    assert (found.similarity[7:] < 0.4).all()
    assert not dominant_centres(vectors[[0, 7]], np.zeros(2, int)).clear[0]
    assert dominant_centres(vectors[[0, 1, 7]], np.zeros(3, int)).clear[0]
    same = dominant_centres(np.repeat(vectors[:1], 5, axis=0), np.zeros(5, int))
    assert same.similarity == pytest.approx(1)
    assert np.isfinite(
        dominant_centres(np.zeros((4, 8), np.float32), np.zeros(4, int)).centre
    ).all()


def test_bad_input() -> None:
    vectors, labels = people(20, 3)
    found = find_clusters(vectors)
    with pytest.raises(ArcwiseError, match="1 identities"):
        label_errors(vectors, np.zeros(60, int), found)
    with pytest.raises(ArcwiseError, match="gaps"):
        label_errors(vectors, labels * 2, found)
    with pytest.raises(ArcwiseError, match="59 identities"):
        label_errors(vectors, labels[:59], found)
    with pytest.raises(ArcwiseError, match="NaN"):
        label_errors(np.where(np.eye(60, 64) > 0, np.nan, vectors), labels, found)


def test_known_wrong_names_of_lfw(data_dir: Path) -> None:
    """A person under two names, and an image of one person among those of another."""
    data = np.load(data_dir / "features/lfw_mobilefacenet.npz")
    names, codes = np.unique(data["person"], return_inverse=True)
    errors = found_in(data["feature"].astype(np.float32), codes)
    sure = {frozenset(names[list(one.identities)].tolist()): one.kind
            for one in errors if not one.against}  # fmt: skip
    assert sure[frozenset(("Choi_Sung-hong", "Sung_Hong_Choi"))] == "merge"
    assert sure[frozenset(("Abdullah_Gul", "Recep_Tayyip_Erdogan"))] == "member"
    assert len(errors) < 250
