from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arcwise.recipes import recipe
from arcwise.training.config import TrainConfig
from arcwise.training.schedule import margin_scale, rate
from tests.settings import changed


def config_of(**fields):
    return changed(TrainConfig(), **fields)


def test_warm_up_starts_at_one_part_of_w_and_climbs_in_a_line():
    config = config_of(steps=100, warmup=0.1)
    assert [rate(config, step) for step in range(10)] == pytest.approx(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    )


def test_without_warm_up_the_first_step_runs_at_the_full_rate():
    assert rate(config_of(steps=100, warmup=0.0), 0) == 1.0


def test_cosine_goes_from_one_through_a_half_to_almost_zero():
    config = config_of(steps=1000, warmup=0.2)
    assert rate(config, 200) == 1.0
    assert rate(config, 600) == pytest.approx(0.5)
    assert 0 < rate(config, 999) < 1e-5


@given(st.integers(1, 400), st.floats(0, 0.99))
def test_a_cosine_rate_is_positive_at_every_step_and_never_above_one(steps, warmup):
    config = config_of(steps=steps, warmup=warmup)
    rates = [rate(config, step) for step in range(steps)]
    assert min(rates) > 0
    assert max(rates) <= 1


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 1.0), (19_999, 1.0), (20_000, 0.1), (27_999, 0.1), (28_000, 0.01), (31_999, 0.01)],
)
def test_the_casia_recipe_divides_by_ten_at_20k_and_28k(step, expected):
    assert rate(recipe("casia-resnet50"), step) == pytest.approx(expected)


def test_a_shorter_run_keeps_the_shape_of_the_step_schedule():
    config = changed(recipe("casia-resnet50"), steps=32)
    rates = [rate(config, step) for step in (19, 20, 27, 28)]
    assert rates == pytest.approx([1.0, 0.1, 0.1, 0.01])


def test_the_step_schedule_warms_up_too():
    config = config_of(steps=10, warmup=0.2, schedule="step", milestones=(0.5,))
    assert [rate(config, step) for step in (0, 1, 4, 5)] == pytest.approx([0.5, 1.0, 1.0, 0.1])


def test_the_margin_is_absent_then_grows_in_a_line_then_is_whole():
    config = config_of(steps=100, margin_from=0.2, margin_full=0.6)
    assert [margin_scale(config, step) for step in (0, 20, 30, 40, 50, 60, 99)] == pytest.approx(
        [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    )


def test_without_margin_warm_up_the_margin_is_whole_from_the_first_step():
    assert margin_scale(TrainConfig(), 0) == 1.0


def test_a_margin_can_come_at_once_in_the_middle_of_a_run():
    config = config_of(steps=100, margin_from=0.5, margin_full=0.5)
    assert [margin_scale(config, step) for step in (0, 49, 50, 99)] == [0.0, 0.0, 1.0, 1.0]
