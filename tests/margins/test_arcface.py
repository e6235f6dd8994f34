from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.margins import ArcFace
from tests import oracles
from tests.margins.numbers import ask, column

angles = st.floats(0, math.pi)
sizes = st.floats(0, 1.2)
PUBLISHED = {"linear": oracles.arcface_linear, "easy": oracles.arcface_easy}


@given(angles, sizes)
def test_logit_is_the_cosine_of_the_widened_angle(theta, m):
    assert ask(ArcFace(m), theta)[0] == pytest.approx(oracles.arcface(m)(theta), abs=5e-8)


@pytest.mark.parametrize("beyond", PUBLISHED)
@given(angles, sizes)
def test_published_continuations_have_their_values(beyond, theta, m):
    edge = math.pi - m if beyond == "linear" else math.pi / 2
    if abs(theta - edge) < 1e-7:
        return  # on the jump itself rounding decides
    expected = PUBLISHED[beyond](m)(theta)
    assert ask(ArcFace(m, beyond=beyond), theta)[0] == pytest.approx(expected, abs=5e-8)


def test_trap_1_detached_has_the_logit_of_arcface_and_the_derivative_of_cosface():
    # arcface_torch applies arccos and cos under no_grad, so its autograd sees derivative 1.
    for theta in (0.2, 1.0, 2.0, 2.9):
        exact, detached = (ask(ArcFace(0.5, g), theta) for g in ("exact", "detached"))
        assert detached[0] == exact[0]
        assert detached[1] == 1.0
        assert exact[1] == pytest.approx(
            abs(math.sin(theta + 0.5)) / math.sin(theta), rel=1e-9
        )  # beyond π the continuation keeps the size of the derivative
        assert exact[1] != pytest.approx(1.0, abs=0.01)


def test_trap_3_no_jump_where_public_code_jumps():
    for edge in (math.pi - 0.5, math.pi / 2):
        before, after = (ask(ArcFace(0.5), edge + d)[0] for d in (-1e-7, 1e-7))
        assert abs(before - after) < 1e-6


@pytest.mark.parametrize(
    ("beyond", "edge", "before", "after"),
    [
        ("linear", math.pi - 0.5, -1.0, -math.cos(0.5) - 0.5 * math.sin(0.5)),  # -1.1173
        ("easy", math.pi / 2, -math.sin(0.5), 0.0),
    ],
)
def test_trap_3_the_published_continuations_jump(beyond, edge, before, after):
    got = [ask(ArcFace(0.5, beyond=beyond), edge + d)[0] for d in (-1e-9, 1e-9)]
    assert got == pytest.approx([before, after], abs=1e-8)


@pytest.mark.parametrize(("beyond", "edge"), [("linear", -math.cos(0.5)), ("easy", 0.0)])
def test_on_the_edge_itself_the_published_continuations_are_past_it(beyond, edge):
    _, derivative, _ = ArcFace(0.5, beyond=beyond).target(column(edge), column(1), {})
    assert derivative.item() == 1.0


@pytest.mark.parametrize(("beyond", "theta"), [("linear", 2.9), ("easy", 1.6)])
def test_past_their_edge_the_published_continuations_have_derivative_one(beyond, theta):
    assert ask(ArcFace(0.5, beyond=beyond), theta)[1] == 1.0


def test_values_printed_for_the_target_curves():
    # Target logit curves of arXiv 1801.07698, figure 4b, at 20, 60, 90 and 100 degrees.
    got = [ask(ArcFace(0.5), math.radians(d))[0] for d in (20, 60, 90, 100)]
    assert got == pytest.approx([0.661, 0.024, -0.479, -0.625], abs=5e-4)


def test_derivative_at_everyday_angles():
    got = [ask(ArcFace(0.5), math.radians(d))[1] for d in (90, 60, 45, 30)]
    assert got == pytest.approx([0.878, 1.154, 1.357, 1.708], abs=1e-3)


def test_margin_scale_scales_the_angle_and_nothing_else():
    assert ArcFace(0.5, "detached", "easy").scaled(0.5) == ArcFace(0.25, "detached", "easy")


def test_derivative_by_the_length_is_none():
    assert ArcFace().target(column(0.3), column(2.0), {})[2] is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ArcFace("0.5"), r"ArcFace: m='0.5'; expected 0 to 3.142 radians"),
        (lambda: ArcFace(-0.1), r"ArcFace: m=-0.1; expected 0 to 3.142 radians"),
        (lambda: ArcFace(28.6), r"radians"),  # degrees, as one library wants them
        (lambda: ArcFace(math.nan), r"m=nan"),
        (
            lambda: ArcFace(0.5, "straight"),
            r"ArcFace: gradient='straight'; expected \"exact\" or \"detached\"",
        ),
        (
            lambda: ArcFace(0.5, beyond="none"),
            r"ArcFace: beyond='none'; expected \"monotone\" or \"linear\" or \"easy\"",
        ),
    ],
)
def test_impossible_ones_are_refused(make, message):
    with pytest.raises(ArcwiseError, match=message):
        make()
