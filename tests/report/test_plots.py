"""Plots: well-formed, the same every time, safe with any name, readable on any background."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest
from scipy.special import ndtr

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Angles, Identification, Rate, Verification
from arcwise.report import plots
from arcwise.report.drawing import INK, band
from arcwise.report.plots.error_curves import _rejected

from .conftest import HOSTILE

ROWS = [{"step": s, "loss": 10 / (1 + s)} for s in range(50)] + [
    {"step": 49, "recall_at_1": 0.8, "tar": 0.6, "other": 2.0}
]


REJECTION = evaluation.ErrorVersusReject(
    (0.0, 0.2, 0.5), tuple(Rate(0.3 - x, 0.2 - x, 0.4 - x) for x in (0, 0.1, 0.15)),
    Rate(0.6, 0.5, 0.7), 0.4, 0.01, 100, 20, 200,
)  # fmt: skip


@pytest.fixture(scope="session")
def drawn(
    verification: Verification, identification: Identification, angles: Angles, rate: Rate
) -> dict[str, Callable[[], str]]:
    names = ("plain", HOSTILE, "_underscore", "苹果")
    return {
        "roc": lambda: plots.roc(dict.fromkeys(names, verification)),
        "det": lambda: plots.det(dict.fromkeys(names, verification)),
        "scores": lambda: plots.scores(
            dict.fromkeys(names, verification), {"plain": (HOSTILE, 1.0)}
        ),
        "detection": lambda: plots.detection(dict.fromkeys(names, identification)),
        "cmc": lambda: plots.cmc(dict.fromkeys(names, identification)),
        "angles": lambda: plots.angles(dict.fromkeys(names, angles)),
        "comparison": lambda: plots.comparison(dict.fromkeys(names, rate), HOSTILE),
        "groups": lambda: plots.groups({HOSTILE: dict.fromkeys(names, rate)}, HOSTILE),
        "rejection": lambda: plots.error_versus_reject(dict.fromkeys(names, REJECTION)),
        "thresholds": lambda: plots.thresholds({key: [(0.9, rate)] for key in names}, HOSTILE),
        "reliability": lambda: plots.reliability({key: [(0.9, rate)] for key in names}),
        "training": lambda: plots.training(ROWS),
    }


KINDS = ["roc", "det", "detection", "cmc", "scores", "angles", "comparison", "groups"]
KINDS += ["thresholds", "reliability", "training", "rejection"]


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


def words(svg: str) -> list[str]:
    return [text.strip() for text in ET.fromstring(svg).itertext() if text.strip()]


def test_an_unresolved_rate_is_no_number() -> None:
    rates = {"a": Rate(0.515, 0.1, 0.9, resolved=False), "b": Rate(0.3, 0.2, 0.4)}
    said = words(plots.comparison(rates, "TAR"))
    assert "not resolved" in said
    assert "30 %" in said
    assert not [word for word in said if word.startswith("51")]


@pytest.mark.parametrize("place", [-9.0, 0.0, 9.0])
def test_a_threshold_in_sight_is_drawn(verification: Verification, place: float) -> None:
    said = words(plots.scores({"m": verification}, {"m": ("the line", place)}))
    assert ("the line" in said) == (place == 0.0)


def test_a_group_without_pairs_is_named() -> None:
    said = words(plots.groups({"full": {"m": Rate(0.5, 0.4, 0.6)}, "empty": {"m": None}}, "TAR"))
    assert {"full", "empty", "not measured"} <= set(said)


@pytest.mark.parametrize("groups", [{"one": {"m": None}}, {"one": {"m": None, "n": None}}])
def test_groups_of_which_nothing_is_known_are_drawn(groups: dict) -> None:
    assert "one" in words(plots.groups(groups, "TAR"))


def test_a_band_never_opens_again(verification: Verification) -> None:
    """At a false-accept rate of 1 nothing is uncertain, and Wilson's interval would be wide."""
    rates = np.geomspace(0.01, 1, 30)
    tars = [*verification.tars_at(rates.tolist())[:-1], Rate(1.0, 0.9, 1.0)]
    drawn = band(rates, tars)
    assert (np.diff(drawn.low) >= 0).all()
    assert (np.diff(drawn.high) >= 0).all()
    assert drawn.low[-1] > 0.9
    assert (drawn.low <= drawn.value).all()
    assert (drawn.value <= drawn.high).all()
    narrow = [(rate.low, rate.high) for rate in tars if rate.resolved][:-1]
    np.testing.assert_array_equal(
        np.column_stack([drawn.low, drawn.high])[drawn.resolved][:-1], narrow
    )


def test_det_is_the_roc_on_other_axes(verification: Verification) -> None:
    rates = np.geomspace(0.01, 0.99, 30)
    tars = verification.tars_at(rates.tolist())
    mated = len(verification.mated)
    drawn = _rejected(band(rates, tars), mated)
    np.testing.assert_allclose(ndtr(drawn.at), rates, rtol=1e-12)
    frr = 1 - np.array(tars)
    inside = frr * mated >= 1
    np.testing.assert_allclose(ndtr(drawn.value[inside]), frr[inside], rtol=1e-9)
    assert np.isfinite([drawn.value, drawn.low, drawn.high]).all()
    enough = (rates * verification.impostors >= 10 - 1e-9) & (frr * mated >= 10)
    np.testing.assert_array_equal(drawn.resolved, enough)
    assert 0 < enough.sum() < len(enough)


def test_two_galleries_are_drawn_as_one() -> None:
    generator = np.random.default_rng(0)
    names = np.arange(60)
    probes, gallery = generator.normal(size=(60, 8)), generator.normal(size=(60, 8))
    galleries = [
        evaluation.identification(probes @ gallery[half].T, names, names[half], draws=20)
        for half in (names % 3 == 0, names % 3 == 1)
    ]
    result = evaluation.two_galleries(*galleries)
    assert "rank" in words(plots.cmc({"two": result}))
    assert "DIR of known probes" in words(plots.detection({"two": result}))


def test_long_names_are_short_in_plots(verification: Verification) -> None:
    first, second = (f"a model {'very ' * 30} long {end}" for end in ("first", "second"))
    said = words(plots.roc({first: verification, second: verification}))
    assert len([word for word in said if word.startswith("a model") and len(word) < 40]) == 2


def test_training_draws_what_there_is() -> None:
    assert "loss" in plots.training(ROWS[:10])
    assert "recall@1" in plots.training(ROWS)
    assert "recall@1" not in plots.training(ROWS[:10])
    assert "norm" in plots.training([{"step": 1, "norm": 3.0}], losses=("norm",), metrics=())


@pytest.mark.parametrize(
    "draw",
    [
        plots.roc,
        plots.det,
        plots.detection,
        plots.cmc,
        plots.scores,
        plots.angles,
        plots.reliability,
        lambda none: plots.groups(none, ""),
        lambda none: plots.thresholds(none, ""),
    ],
)
def test_a_plot_of_nothing_is_refused(draw: Callable[[dict], str]) -> None:
    with pytest.raises(ArcwiseError, match="nothing to plot"):
        draw({})


def test_training_without_measurements_is_refused() -> None:
    with pytest.raises(ArcwiseError, match="nothing to plot"):
        plots.training([{"step": 1}])
