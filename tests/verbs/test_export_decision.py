"""A smaller network is judged at the model's thresholds, on identities it was not trained on."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from arcwise import runtime
from arcwise.data.digests import identity_digest
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.verbs.export_decision import check_thresholds, labelled_images
from tests.verbs.conftest import threshold


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def vectors() -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of 12 identities with four images each, and the identities."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 4)
    noise = generator.normal(size=(48, 8))
    return unit(2 * generator.normal(size=(12, 8))[labels] + noise), labels


def test_rates_equal_those_of_counted_pairs(vectors: tuple[np.ndarray, np.ndarray]) -> None:
    before, labels = vectors
    after = unit(before + np.random.default_rng(1).normal(scale=0.1, size=before.shape))
    check = check_thresholds(before, after, labels, [threshold(0.1, 0.5)])[0]

    def rates(first: np.ndarray, second: np.ndarray) -> list[float]:
        accepted: dict[bool, list[bool]] = {True: [], False: []}
        for a, b in itertools.permutations(range(48), 2):
            cosine = sum(float(x) * float(y) for x, y in zip(first[a], second[b], strict=True))
            accepted[bool(labels[a] == labels[b])].append(cosine >= 0.5)
        return [float(np.mean(accepted[same])) for same in (True, False)]

    assert [float(check.tar), float(check.far_measured)] == pytest.approx(rates(before, before))
    assert [check.smaller_tar, check.smaller_far] == pytest.approx(rates(after, after))
    assert [check.mixed_tar, check.mixed_far] == pytest.approx(rates(before, after))
    assert check.lost == pytest.approx(check.tar - min(check.smaller_tar, check.mixed_tar))
    assert check.lost.low <= check.lost <= check.lost.high
    assert check.tar.low < check.tar < check.tar.high


def test_the_same_embeddings_lose_nothing(vectors: tuple[np.ndarray, np.ndarray]) -> None:
    before, labels = vectors
    check = check_thresholds(before, before, labels, [threshold(0.1, 0.5)])[0]
    assert (check.lost, check.lost.low, check.lost.high, check.problems) == (0, 0, 0, ())


def test_lower_tar_and_higher_far_are_named(vectors: tuple[np.ndarray, np.ndarray]) -> None:
    before, labels = vectors
    noise = unit(np.random.default_rng(1).normal(size=before.shape))
    alike = unit(before + 2.0)  # everything is similar to everything
    [lower] = check_thresholds(before, noise, labels, [threshold(0.1, 0.5)])
    assert ["mated" in one for one in lower.problems] == [True, True]
    [higher] = check_thresholds(before, alike, labels, [threshold(0.1, 0.5)])
    assert any(one.startswith("alone") and "impostor" in one for one in higher.problems)


def test_embeddings_that_are_rotated_fail_mixed_only(
    vectors: tuple[np.ndarray, np.ndarray],
) -> None:
    before, labels = vectors
    [check] = check_thresholds(before, -before, labels, [threshold(0.1, 0.5)])
    assert len(check.problems) == 1
    assert check.problems[0].startswith("against embeddings of the model")


def trained_on(model: runtime.Model, identity: str) -> bool:
    assert model.bundle is not None
    return identity_digest(identity) in model.bundle.digests["train"]


@pytest.fixture
def judged(served: Path) -> runtime.Model:
    """The tiny model with a threshold, as if it were in its folder."""
    model = runtime.load(served)
    assert model.bundle is not None
    return replace(model, bundle=replace(model.bundle, thresholds=(threshold(0.1, 0.5),)))


def test_identities_calibrate_or_decide(judged: runtime.Model, products: Path) -> None:
    every = open_manifest(products)
    images = labelled_images(judged, every, False)
    calibrating, deciding = set(images.calibration.classes), set(images.decision.classes)
    assert len(calibrating) == len(calibrating | deciding) // 5
    assert not calibrating & deciding
    assert calibrating | deciding == {one for one in every.classes if not trained_on(judged, one)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("few", r"8 identities .* too few"),
        ("trained", "was trained on all but 0"),
        ("unlabelled", "no identities"),
        ("one image each", "resolve none"),
        ("no thresholds", "arcwise calibrate"),
        ("thresholds not resolved", "arcwise calibrate"),
    ],
)
def test_data_that_cannot_decide_is_refused(
    judged: runtime.Model, known: Manifest, new: Manifest, change: str, message: str
) -> None:
    data, model, bundle = new, judged, judged.bundle
    assert bundle is not None
    if change == "few":
        data = new.select(np.flatnonzero(new.labels < 8))
    elif change == "trained":
        data = known.select(
            [row for row, one in enumerate(known.identities) if trained_on(judged, one)]
        )
    elif change == "unlabelled":
        data = Manifest(new.table.drop_columns(["identity"]), new.root, "shelf")
    elif change == "one image each":
        data = new.select(np.unique(new.labels, return_index=True)[1])
    elif change == "no thresholds":
        model = replace(judged, bundle=replace(bundle, thresholds=()))
    else:
        some = (threshold(0.1, 0.5, resolved=False),)
        model = replace(judged, bundle=replace(bundle, thresholds=some))
    with pytest.raises(ArcwiseError, match=message):
        labelled_images(model, data, False)
