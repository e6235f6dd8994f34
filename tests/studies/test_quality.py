"""The study of quality, with a rendered data set, two seeds and trainings of three steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.recipes import recipe
from studies import damaged_sets, quality


def test_half_of_every_identity_is_damaged(products: Path, tmp_path: Path) -> None:
    images = open_manifest(products)
    some = images.select(np.flatnonzero(images.labels < 4))
    damaged_sets.write_damaged(some, tmp_path / "a", 24, seed=1)
    damaged_sets.write_damaged(some, tmp_path / "b", 24, seed=1)
    written = open_manifest(tmp_path / "a" / damaged_sets.TABLE)
    again = open_manifest(tmp_path / "b" / damaged_sets.TABLE)
    strength = np.array([float(one) for one in written.column("strength") or ()])
    for label in range(4):
        own = strength[written.labels == label]
        assert (own > 0).sum() == len(own) // 2
    assert [written.read(row) for row in range(len(written))] == [
        again.read(row) for row in range(len(again))
    ]


@pytest.mark.parametrize("kind", damaged_sets.KINDS)
def test_a_stronger_damage_leaves_less(kind: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    damage = damaged_sets.KINDS[kind]
    left = [
        float(damage(image, strength, np.random.default_rng(1)).std()) for strength in (0, 0.5, 1)
    ]
    assert image.std() > left[0] > left[1] > left[2]


def test_sets_share_no_image() -> None:
    labels = np.repeat([0, 1, 2, 3], [1, 5, 9, 40])
    found = damaged_sets.sets_of(labels, 4, 3, 0)
    sizes = {label: np.unique(found[labels == label], return_counts=True)[1] for label in range(4)}
    assert found[0] == -1
    assert sizes[1].tolist() == [1, 2, 2]  # one image is left over
    assert sizes[2].tolist() == [1, 4, 4]
    assert (found[labels == 3] >= 0).sum() == 12  # of three sets at most


def test_from_the_images_to_the_page(
    products: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = open_manifest(products)
    halves = {
        part: images.select(np.flatnonzero(images.labels % 2 == rest))
        for rest, part in enumerate(("train", "test"))
    }
    config = recipe("products-small").replace(
        encoder={"size": 16, "train_crop": 0, "dim": 8}, data={"batch": 16}
    )
    config = config.replace(data={"images_per_set": 2, "cache_gb": 0.1})
    (tmp_path / "images").mkdir()
    for name, value in {
        "DOCS": tmp_path, "STEPS": 3, "SEEDS": 2, "SET_SIZE": 2, "DRAWS": 20,
        "DATA": {"tiny": lambda folder: (config, halves, 24)},
    }.items():  # fmt: skip
        monkeypatch.setattr(quality, name, value)
    monkeypatch.setattr(sys, "argv", ["quality.py", str(tmp_path / "sets")])
    quality.main()
    found = json.loads((tmp_path / "quality.json").read_text())["tiny"]
    page = (tmp_path / "quality.md").read_text()
    learned = found["correlation"][quality.LEARNED]
    assert learned["low"] <= learned["value"] <= learned["high"]
    assert len(learned["each"]) == 2
    assert f"| {quality.LEARNED} | {learned['value']:.2f} (" in page
    assert quality.DETECTOR not in found["correlation"]
    assert found["table"]["baseline"] == "mean"
    assert found["table"]["seeds"] == 2
    for picture in ("quality_tiny.svg", "quality_reject_tiny.svg"):
        assert "<svg" in (tmp_path / "images" / picture).read_text()
    before = (tmp_path / "quality.json").read_text()
    monkeypatch.setattr(quality, "train", None)  # nothing is trained twice
    quality.main()
    assert (tmp_path / "quality.json").read_text() == before
