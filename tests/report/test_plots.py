"""Plots: well-formed, the same every time, safe with any name, readable on any background."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import matplotlib as mpl
import pytest

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Angles, Identification, Rate, Verification
from arcwise.report import plots
from arcwise.report.drawing import INK

from .conftest import HOSTILE

ROWS = [{"step": s, "loss": 10 / (1 + s)} for s in range(50)] + [
    {"step": 49, "recall_at_1": 0.8, "tar": 0.6, "other": 2.0}
]


@pytest.fixture(scope="session")
def drawn(
    verification: Verification, identification: Identification, angles: Angles, rate: Rate
) -> dict[str, Callable[[], str]]:
    names = ("plain", HOSTILE, "_underscore", "苹果")
    return {
        "roc": lambda: plots.roc(dict.fromkeys(names, verification)),
        "detection": lambda: plots.detection(dict.fromkeys(names, identification)),
        "cmc": lambda: plots.cmc(dict.fromkeys(names, identification)),
        "angles": lambda: plots.angles(dict.fromkeys(names, angles)),
        "comparison": lambda: plots.comparison(dict.fromkeys(names, rate), HOSTILE),
        "training": lambda: plots.training(ROWS),
    }


KINDS = ["roc", "detection", "cmc", "angles", "comparison", "training"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot_is_one_safe_svg(drawn: dict[str, Callable[[], str]], kind: str) -> None:
    before = dict(mpl.rcParams)
    text = drawn[kind]()
    assert dict(mpl.rcParams) == before  # the caller's style is the caller's
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox")
    assert root.get("width") is None  # as wide as the page allows
    assert root.get("role") == "img"
    assert root.get("aria-label")
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "script" not in tags
    assert not tags & {"image", "foreignObject", "metadata"}
    assert "currentColor" in text  # readable on white and on black
    assert INK not in text
    if kind != "training":
        words = "".join(root.itertext())
        assert "plain" in words
        assert HOSTILE in words
        assert "_underscore" in words
        assert "苹果" in words


def test_a_plot_is_the_same_every_time(drawn: dict[str, Callable[[], str]]) -> None:
    assert drawn["cmc"]() == drawn["cmc"]()


def test_references_stay_inside_their_plot(drawn: dict[str, Callable[[], str]]) -> None:
    """Several plots stand in one page: an id may not mean two things."""
    seen: dict[str, str] = {}
    for kind in ("roc", "cmc"):
        for element in ET.fromstring(drawn[kind]()).iter():
            if name := element.get("id"):
                assert seen.setdefault(name, kind) == kind


def test_an_unresolved_rate_says_so() -> None:
    text = plots.comparison({"a": Rate(0.5, 0.1, 0.9, resolved=False)}, "TAR at FAR 0.1 %")
    assert "not resolved" in text


def test_training_draws_what_there_is() -> None:
    assert "loss" in plots.training(ROWS[:10])
    assert "recall@1" in plots.training(ROWS)
    assert "recall@1" not in plots.training(ROWS[:10])
    assert "norm" in plots.training([{"step": 1, "norm": 3.0}], losses=("norm",), metrics=())


@pytest.mark.parametrize("draw", [plots.roc, plots.detection, plots.cmc, plots.angles])
def test_a_plot_of_nothing_is_refused(draw: Callable[[dict], str]) -> None:
    with pytest.raises(ArcwiseError, match="nothing to plot"):
        draw({})


def test_training_without_measurements_is_refused() -> None:
    with pytest.raises(ArcwiseError, match="nothing to plot"):
        plots.training([{"step": 1}])
