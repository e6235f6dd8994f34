"""The reason of the default loss is what was found on the nearest data."""

from __future__ import annotations

from pathlib import Path

import pytest

from arcwise.recipes import default_loss, recipe
from arcwise.recipes.default_loss import StudyResult, findings, reason

SMALL = StudyResult("few", 10, 50.0, False, 9, 8, "", 0.0)
LARGE = StudyResult("many", 1000, 2.0, False, 99, 8, "a smaller scale", 0.0213)
READY = StudyResult("few more", 20, 50.0, True, 13, 8, "", 0.0)


@pytest.mark.parametrize(
    ("start", "identities", "images", "expected"),
    [
        ("", 12, 600, "on few, from nothing, measured on 9 others, none of 7 other settings was"),
        (
            "",
            5000,
            9000,
            "on many, from nothing, measured on 99 others, a smaller scale was better, by 0.021",
        ),
        (
            "installed",
            5000,
            9000,
            "on few more, from pretrained weights, measured on 13 others, none of 7",
        ),
    ],
)
def test_the_nearest_data_of_the_same_start(
    start: str, identities: int, images: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_loss, "findings", lambda: [SMALL, LARGE, READY])
    config = recipe("products-small").replace(encoder={"init": start})
    assert expected in reason(config, identities, images)


def test_without_data_of_the_same_start_nothing_is_said_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(default_loss, "findings", lambda: [SMALL, LARGE])
    config = recipe("products-small").replace(encoder={"init": "installed"})
    assert reason(config, 12, 600).endswith("the same for all data")


def test_a_loss_or_scale_of_ones_own_has_no_reason() -> None:
    config = recipe("products-small")
    assert reason(config.with_loss("softmax"), 12, 600) == ""
    assert reason(config.replace(objective={"scale": 30.0}), 12, 600) == ""


def test_what_the_package_says_is_what_the_page_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "defaults.md").read_text()
    assert findings()
    for one in findings():
        assert f"## {one.data}" in page
        assert one.identities > 1
        assert one.images >= 1
        assert one.settings > 1
