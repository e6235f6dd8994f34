from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.margins import ArcFace, CosFace, ElasticFace
from tests import oracles
from tests.margins.numbers import ask, column, numerical_derivative

FORMS = {"arc": oracles.arcface, "cos": oracles.cosface}


@pytest.mark.parametrize("form", FORMS)
@given(st.floats(0, math.pi), st.floats(0, 1))
def test_logit_is_the_forms_with_the_margin_drawn(form, theta, m):
    got, _ = ask(ElasticFace(form=form), theta, state={"margins": column(m)})
    assert got == pytest.approx(FORMS[form](m)(theta), abs=1e-7)


def test_a_margin_drawn_below_zero_falls_too():
    got, _ = ask(ElasticFace(), 0.1, state={"margins": column(-0.3)})
    assert got == pytest.approx(oracles.falling(-0.2))


def test_each_sample_has_its_own():
    cos, m = column(0.3, 0.3), column(0.4, 0.6)
    value, derivative, norm_derivative = ElasticFace().target(cos, cos, {"margins": m})
    for i in range(2):
        expected = ArcFace(m[i].item()).target(cos, cos, {})
        assert (value[i], derivative[i]) == (expected[0][i], expected[1][i])
    assert norm_derivative is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("theta", [0.2, 1.0, 2.9])
def test_exact_derivative_is_that_of_the_logit(form, theta):
    state = {"margins": column(0.52)}
    margin = ElasticFace(form=form)
    expected = numerical_derivative(margin, theta, state=state)
    assert ask(margin, theta, state=state)[1] == pytest.approx(expected, rel=1e-4)


def test_detached_has_the_same_logit_and_derivative_one():
    state = {"margins": column(0.52)}
    exact, detached = (ask(ElasticFace(gradient=g), 1.0, 1, state) for g in ("exact", "detached"))
    assert detached == (exact[0], 1.0)


@pytest.mark.parametrize("beyond", ["linear", "easy"])
def test_published_continuations_can_be_had(beyond):
    margin = ElasticFace(0.5, 0, beyond=beyond)
    assert ask(margin, 2.9) == ask(ArcFace(0.5, beyond=beyond), 2.9)


@pytest.mark.parametrize(("form", "twin"), [("arc", ArcFace(0.5)), ("cos", CosFace(0.5))])
@pytest.mark.parametrize("plus", [False, True])
def test_without_deviation_it_is_its_twin_bit_for_bit(form, twin, plus):
    margin = ElasticFace(0.5, 0.0, form, plus)
    cos = torch.linspace(-1, 1, 101, dtype=torch.float64)
    got = margin.target(cos, cos, margin.observe(cos, cos, {}))
    expected = twin.target(cos, cos, {})
    torch.testing.assert_close(got[:2], expected[:2], rtol=1e-14, atol=1e-14)


def test_where_nothing_was_drawn_the_mean_stands_in():
    assert ask(ElasticFace(0.4, 0.1), 1.0) == ask(ArcFace(0.4), 1.0)


class TestDraw:
    cos = torch.linspace(-1, 1, 4000)

    def draw(self, seed=0, **options):
        torch.manual_seed(seed)
        return ElasticFace(0.5, 0.05, **options).observe(self.cos, self.cos, {})["margins"]

    def test_has_the_mean_and_the_deviation(self):
        margins = self.draw()
        assert margins.mean().item() == pytest.approx(0.5, abs=0.005)
        assert margins.std().item() == pytest.approx(0.05, abs=0.005)

    def test_is_one_for_each_row(self):
        assert self.draw().shape == self.cos.shape

    def test_follows_the_seed(self):
        assert torch.equal(self.draw(3), self.draw(3))

    def test_is_another_in_the_next_step(self):
        margin = ElasticFace()
        first = margin.observe(self.cos, self.cos, {})
        second = margin.observe(self.cos, self.cos, first)
        assert not torch.equal(first["margins"], second["margins"])

    def test_leaves_the_rest_of_the_state(self):
        state = ElasticFace().observe(self.cos, self.cos, {"kept": column(1)})
        assert set(state) == {"kept", "margins"}

    def test_has_the_cosines_dtype(self):
        assert ElasticFace().observe(column(0.1), column(1), {})["margins"].dtype == torch.float64

    def test_is_left_to_chance_without_plus(self):
        # The cosines ascend: with plus the margins would descend.
        assert abs(torch.corrcoef(torch.stack([self.cos, self.draw()]))[0, 1]) < 0.1

    def test_plus_draws_the_same_numbers(self):
        assert torch.equal(self.draw().sort().values, self.draw(plus=True).sort().values)

    def test_plus_gives_the_larger_to_the_farther(self):
        order = torch.tensor([0.2, 0.9, -0.3, 0.5])
        torch.manual_seed(0)
        margins = ElasticFace(plus=True).observe(order, order, {})["margins"]
        assert margins.argsort().tolist() == [1, 3, 0, 2]

    def test_plus_is_not_the_published_permutation(self):
        # fdbtrs/ElasticFace ea2c5af indexes sorted margins with the order, not with its inverse.
        cos = torch.tensor([0.2, 0.9, -0.3, 0.5])
        torch.manual_seed(0)
        margins = ElasticFace(plus=True).observe(cos, cos, {})["margins"]
        published = margins.sort().values[cos.argsort(descending=True)]
        assert published.argsort().tolist() == [2, 0, 3, 1]
        assert not torch.equal(margins, published)


def test_another_steps_margins_are_refused():
    with pytest.raises(ArcwiseError, match=r"got 3 margins for 2 samples; expected the state that"):
        ElasticFace().target(column(0.1, 0.2), column(1, 1), {"margins": column(0.5, 0.5, 0.5)})


def test_nothing_is_kept_from_the_start():
    assert ElasticFace().initial() == {}


def test_margin_scale_scales_mean_and_deviation():
    assert ElasticFace(0.4, 0.02, "cos", True, "detached", "easy").scaled(0.5) == ElasticFace(
        0.2, 0.01, "cos", True, "detached", "easy"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ElasticFace(4), r"ElasticFace: m=4; expected 0 to 3.142 radians"),
        (lambda: ElasticFace(3, form="cos"), r"ElasticFace: m=3; expected 0 to 2 cosine units"),
        (lambda: ElasticFace(sigma=-1), r"sigma=-1; expected 0 or more"),
        (lambda: ElasticFace(form="sin"), r"form='sin'; expected \"arc\" or \"cos\""),
        (lambda: ElasticFace(gradient="both"), r"gradient='both'"),
        (lambda: ElasticFace(beyond="none"), r"beyond='none'"),
    ],
)
def test_impossible_ones_are_refused(make, message):
    with pytest.raises(ArcwiseError, match=message):
        make()
