"""Pooling images to templates: against the published loops, and what must not change it."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.evaluation import templates
from arcwise.evaluation.templates import pool

MODULE = importlib.import_module("arcwise.evaluation.templates")
_CHOICE = st.booleans()


def slow_pool(
    features: np.ndarray,
    template: list,
    media: list,
    flipped: np.ndarray | None,
    scores: np.ndarray | None,
    keep_norm: bool,
) -> tuple[list, np.ndarray]:
    """Return templates as image2template_feature of insightface makes them, in float64."""
    image = features.astype(np.float64)
    if flipped is not None:
        image = image + flipped
    if not keep_norm:
        image = image / np.sqrt(np.sum(image**2, -1, keepdims=True))
    if scores is not None:
        image = image * scores[:, None]
    names, pooled = sorted(set(template)), []
    for name in names:
        inside = [i for i, t in enumerate(template) if t == name]
        means = [
            np.mean([image[i] for i in inside if media[i] == one], axis=0)
            for one in sorted({media[i] for i in inside})
        ]
        total = np.sum(means, axis=0)
        pooled.append(total / np.sqrt(np.sum(total**2)))
    return names, np.array(pooled)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_equals_the_published_loop(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 20))
    generator = np.random.default_rng(data.draw(st.integers(0, 999)))
    features, flipped = generator.normal(size=(2, count, 5)).astype(np.float32)
    template = data.draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    media = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    mirror = flipped if data.draw(_CHOICE) else None
    scores = generator.uniform(0.1, 1, count) if data.draw(_CHOICE) else None
    keep = data.draw(_CHOICE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_BLOCK", data.draw(st.integers(1, 30)))
        result = pool(
            features, template, media, flipped=mirror, detector_scores=scores, keep_norm=keep
        )
    names, vectors = slow_pool(features, template, media, mirror, scores, keep)
    assert result.ids.tolist() == names
    assert len(result) == len(names)
    assert result.vectors.dtype == np.float32
    np.testing.assert_allclose(result.vectors, vectors, atol=1e-6)


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return 60 features of 8 templates, strings, with media of one to many frames."""
    generator = np.random.default_rng(1)
    features = generator.normal(size=(60, 16)).astype(np.float32)
    features *= generator.uniform(1, 30, (60, 1)).astype(np.float32)
    return features, generator.choice(list("abcdefgh"), 60), generator.integers(0, 4, 60)


def test_the_order_of_images_does_not_matter(
    images: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    straight = pool(*images)
    order = np.random.default_rng(2).permutation(60)
    turned = pool(*(part[order] for part in images))
    assert turned.ids.tolist() == straight.ids.tolist() == list("abcdefgh")
    np.testing.assert_allclose(turned.vectors, straight.vectors, atol=1e-7)


def test_a_video_twice_as_long_counts_no_more(
    images: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    features, template, media = images
    frames = (template == "c") & (media == media[template == "c"][0])
    doubled = [np.concatenate([part, part[frames]]) for part in images]
    np.testing.assert_allclose(pool(*doubled).vectors, pool(*images).vectors, atol=1e-7)
    fewer = pool(features[~frames], template[~frames], media[~frames])
    assert np.abs(fewer.vectors[2] - pool(*images).vectors[2]).max() > 0.01  # it does count


def test_a_template_of_one_image_is_its_direction() -> None:
    features = np.array([[3.0, 4.0], [0.0, 0.1]], np.float32)
    result = pool(features, [7, 5], ["v", "v"])
    assert result.ids.tolist() == [5, 7]
    np.testing.assert_allclose(result.vectors, [[0, 1], [0.6, 0.8]], atol=1e-7)


def test_what_each_switch_does() -> None:
    features = np.array([[4.0, 0.0], [0.0, 2.0]])
    one, two = ["t", "t"], ["still", "video"]

    def direction(**switches: object) -> list[float]:
        vector = pool(features, one, two, **switches).vectors[0]  # type: ignore[arg-type]
        return (vector / vector.max()).round(6).tolist()

    assert direction() == [1, 0.5]
    assert direction(keep_norm=False) == [1, 1]
    assert direction(detector_scores=np.array([0.25, 1.0])) == [0.5, 1]
    assert direction(detector_scores=np.array([0.25, 1.0]), keep_norm=False) == [0.25, 1]
    assert direction(flipped=np.array([[0.0, 4.0], [0.0, 2.0]])) == [0.5, 1]


@pytest.mark.parametrize("keep_norm", [True, False])
def test_features_that_cancel_have_no_direction(keep_norm: bool) -> None:
    features = np.array([[1.0, 0.0], [0.1, 0.3], [-0.3, -0.9], [0.2, 0.6]], np.float32)
    template, media = ["fine", "lost", "lost", "lost"], [1, 1, 2, 3]
    weights = np.array([1.0, 1, 1, 1]) if keep_norm else np.array([1.0, 0.5, 1, 0.5])
    with pytest.raises(ArcwiseError, match="template lost: its features cancel"):
        pool(
            features.astype(np.float64),
            template,
            media,
            detector_scores=weights,
            keep_norm=keep_norm,
        )
    with pytest.raises(ArcwiseError, match="all zero"):
        pool(features, template, media, detector_scores=np.array([0.0, 1, 1, 1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.full((3, 2), np.nan)}, "features has 6 .* NaN"),
        ({"features": np.zeros((0, 2))}, "at least one embedding"),
        ({"features": np.zeros(3)}, "dimension"),
        ({"templates": ["a", "b"]}, r"templates has shape \(2,\), expected \(3,\)"),
        ({"media": [1]}, r"media has shape \(1,\), expected \(3,\)"),
        ({"flipped": np.zeros((3, 3))}, r"flipped has shape \(3, 3\), expected \(3, 2\)"),
        ({"flipped": np.full((3, 2), np.inf)}, "flipped has 6"),
        ({"detector_scores": np.ones(2)}, "detector_scores has 2 values, expected 3"),
        ({"detector_scores": np.array([1.0, -0.5, 1])}, re.escape("down to -0.5, expected 0")),
    ],
)
def test_bad_input_is_named(change: dict, message: str) -> None:
    good = {"features": np.ones((3, 2)), "templates": ["a", "a", "b"], "media": [1, 2, 3]}
    with pytest.raises(ArcwiseError, match=message):
        templates.pool(**good | change)  # type: ignore[arg-type]
