"""Histograms of the angles of pairs, and ArcFace's table 3 against its definitions."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise import evaluation
from arcwise.errors import ArcwiseError

MODULE = importlib.import_module("arcwise.evaluation.angles")  # the name is the function's
RIGHT, HALF_RIGHT = math.pi / 2, math.pi / 4


def direction(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return math.acos(min(1.0, max(-1.0, float(direction(a) @ direction(b)))))


def to_nearest(directions: list[np.ndarray]) -> float:
    """Return the mean over all of the smallest angle to another one."""
    return float(
        np.mean(
            [
                min(angle(a, b) for j, b in enumerate(directions) if i != j)
                for i, a in enumerate(directions)
            ]
        )
    )


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_equals_the_definitions(data: st.DataObject) -> None:
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    classes, subcentres = data.draw(st.integers(2, 7)), data.draw(st.integers(1, 3))
    extra = 0 if subcentres > 1 else data.draw(st.integers(0, 3))
    names = generator.permutation(classes + extra)
    count = data.draw(st.integers(classes, 30))
    ids = names[
        np.concatenate([np.arange(classes), generator.integers(0, classes, count - classes)])
    ]
    vectors = generator.normal(size=(count, 5)) + 2 * generator.normal(size=(10, 5))[ids]
    centres = generator.normal(size=(classes + extra, subcentres, 5))
    shaped = centres[:, 0] if subcentres == 1 and data.draw(st.booleans()) else centres
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "BLOCK", 40)
        patch.setattr(MODULE, "_COLUMNS", 2)
        result = evaluation.centre_angles(vectors, ids, shaped, names)

    present = sorted(set(ids.tolist()))
    rows = {c: [direction(x) for x in vectors[ids == c]] for c in present}
    mean = {c: direction(np.mean(rows[c], axis=0)) for c in present}
    weight = {}
    for c, several in zip(names.tolist(), centres, strict=True):
        nearest = [
            min(range(subcentres), key=lambda k: angle(several[k], x)) for x in rows.get(c, [])
        ]
        weight[c] = several[max(range(subcentres), key=lambda k: (nearest.count(k), -k))]
    assert result.intra == pytest.approx(
        np.mean([angle(x, mean[c]) for c in present for x in rows[c]]), abs=1e-6
    )
    assert result.inter == pytest.approx(to_nearest(list(mean.values())), abs=1e-6)
    assert result.w_ec == pytest.approx(
        np.mean([angle(weight[c], mean[c]) for c in present]), abs=1e-6
    )
    assert result.w_inter == pytest.approx(to_nearest(list(weight.values())), abs=1e-6)
    assert (result.images, result.identities) == (count, classes)
    assert result.singles == sum(len(several) == 1 for several in rows.values())


def on_circle(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_by_hand() -> None:
    """Has a at 0 and 20 degrees, b at 90: EC at 10 and 90; W at 0 and 100, which is closer."""
    result = evaluation.centre_angles(
        on_circle(0, 20, 90), list("aab"), on_circle(0, 100), list("ab")
    )
    assert str(result).splitlines() == [
        "angles: 3 images of 2 identities (1 of one image)",
        "  W-EC        10.00°",
        "  W-Inter     100.00°",
        "  Intra       6.67°",
        "  Inter       80.00°",
    ]
    plain = evaluation.centre_angles(on_circle(0, 20, 90), list("aab"))
    assert (plain.w_ec, plain.w_inter) == (None, None)
    assert (plain.intra, plain.inter) == (result.intra, result.inter)
    assert "W-" not in str(plain)


def test_centres_without_names_are_the_labels() -> None:
    embeddings, centres = on_circle(0, 90, 180), on_circle(5, 95, 190)
    result = evaluation.centre_angles(embeddings, [0, 1, 2], centres)
    assert result.w_ec == pytest.approx(math.radians(20 / 3), abs=1e-6)


def test_the_length_of_embeddings_does_not_count() -> None:
    """The mean is of unit embeddings: a long one does not pull its identity's centre."""
    result = evaluation.centre_angles([[100.0, 0], [0, 1], [-1, -1]], list("aab"))
    assert result.intra == pytest.approx(2 * HALF_RIGHT / 3, abs=1e-6)


def test_the_dominant_subcentre_is_of_most_images() -> None:
    """Two images at 0 and 4 degrees are at the second sub-centre, one at 50 at the first."""
    embeddings = on_circle(0, 4, 50, 180)
    centres = np.stack([on_circle(50, 2), on_circle(180, 190)])
    result = evaluation.centre_angles(embeddings, list("aaab"), centres, list("ab"))
    assert result.w_inter == pytest.approx(math.radians(178), abs=1e-6)


def test_small_angles_are_not_lost() -> None:
    """The float32 cosine of a thousandth of a degree is 1."""
    result = evaluation.centre_angles(on_circle(0, 0.002, 90), list("aab"))
    assert np.degrees(result.intra) == pytest.approx(0.002 / 3, rel=1e-2)


@pytest.mark.parametrize(
    ("embeddings", "ids", "centres", "names", "message"),
    [
        (np.eye(2), list("aa"), None, None, "all images are of a, expected"),
        ([[1, 0], [-1, 0], [0, 1]], list("aab"), None, None, "a cancel out"),
        ([[0, 0], [0, 1]], list("ab"), None, None, "a cancel out"),
        (np.eye(2), list("ab"), None, list("ab"), "without centres"),
        (np.eye(2), list("ab"), np.eye(3), list("abc"), "as wide as the embeddings"),
        (np.eye(2), list("ab"), np.eye(2)[:1], ["a"], "at least two classes"),
        (np.eye(2), list("ab"), np.eye(2), list("ac"), "b has no centre"),
        (np.eye(2), list("ab"), np.eye(2), list("xy"), "a has no centre"),
        (np.eye(2), list("ab"), np.ones((3, 2)), list("abb"), "b twice"),
        (np.eye(2), list("ab"), [[1, 0], [0, 0]], list("ab"), "b is zero"),
        (np.eye(2), list("ab"), np.ones((3, 2, 2)), list("abc"), "c has sub-centres and no image"),
        (np.eye(2), list("ab"), [[1, 0], [0, np.nan]], list("ab"), "NaN"),
        (np.eye(2), list("abc"), None, None, "ids has shape"),
    ],
)
def test_bad_input_is_named(
    embeddings: object, ids: object, centres: object, names: object, message: str
) -> None:
    with pytest.raises(ArcwiseError, match=message):
        evaluation.centre_angles(np.asarray(embeddings, float), ids, centres, names)


def test_known_angles_fall_into_their_bins() -> None:
    similarity = np.cos(np.radians([0, 10, 85, 95, 180]))
    result = evaluation.angles(similarity, np.array([True, True, False, False, False]), bins=18)
    assert result.edges[0] == 0.0
    assert result.edges[-1] == math.pi
    assert result.mated.sum() == 2
    assert result.impostor.tolist() == [0] * 8 + [1, 1] + [0] * 7 + [1]


def test_blocks_count_every_pair_once(halves: np.ndarray) -> None:
    ids = list("aabbbcddddeefgha")
    plain = evaluation.angles(*evaluation.all_pairs(halves, ids))
    result = evaluation.angles_from_embeddings(halves, ids)
    assert (result.mated == plain.mated).all()
    assert (result.impostor == plain.impostor).all()
    assert result.mated.sum() + result.impostor.sum() == 16 * 15 // 2


def test_rounding_beyond_one_is_one() -> None:
    result = evaluation.angles(np.float32([1.0000002, -1.0000002]), np.array([True, False]), bins=2)
    assert (result.mated.tolist(), result.impostor.tolist()) == ([1, 0], [0, 1])


@pytest.mark.parametrize(
    ("similarity", "same", "message"),
    [
        ([0.5, 0.5], [True], "same has shape"),
        ([0.5, np.nan], [True, False], "NaN"),
        ([0.5, 3.5], [True, False], "reaches ±3.5, expected cosines"),
        ([0.5, 0.5], [True, True], "expected some of both"),
    ],
)
def test_bad_pairs_are_named(similarity: list[float], same: list[bool], message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        evaluation.angles(np.array(similarity), np.array(same))
