"""Which classes take part."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.heads import All, Sampled


def labels_of(*values):
    return torch.tensor(values, dtype=torch.int64)


def test_a_tenth_takes_part_uncorrected_unless_asked():
    assert Sampled() == Sampled(0.1, correction=False)


def test_all_takes_everyone():
    assert All().select(labels_of(1, 2), torch.empty(5, 1)) is None


@given(
    labels=st.lists(st.integers(-1, 29), max_size=12),
    rate=st.sampled_from([0.01, 0.1, 0.3, 0.5, 1.0]),
    correction=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_the_batchs_classes_and_as_many_others_as_there_is_room_for(labels, rate, correction):
    y = labels_of(*labels)
    chosen = Sampled(rate, correction).select(y, torch.empty(30, 1))
    positives = {label for label in labels if label >= 0}
    taken = chosen.classes.tolist()
    assert positives <= set(taken)
    assert len(taken) == max(round(30 * rate), len(positives))
    assert taken == sorted(set(taken))
    assert [taken[i] if i >= 0 else -1 for i in chosen.labels.tolist()] == labels
    assert chosen.labels.dtype == torch.int64


def test_the_same_seed_takes_the_same_classes():
    picks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        picks.append(Sampled(0.3).select(labels_of(3), torch.empty(50, 1)).classes.tolist())
    assert picks[0] == picks[1] != picks[2]


def test_every_other_class_is_as_likely():
    torch.manual_seed(0)
    times = torch.zeros(20)
    draws = 4000
    for _ in range(draws):
        times[Sampled(0.25).select(labels_of(7), torch.empty(20, 1)).classes] += 1
    assert times[7] == draws
    others = torch.cat([times[:7], times[8:]])
    share = 4 / 19  # of the 19 others, the 4 that there is room for
    spread = math.sqrt(draws * share * (1 - share))
    assert ((others - draws * share).abs() < 4 * spread).all()


def test_without_correction_nothing_is_added():
    assert Sampled(0.5).select(labels_of(1), torch.empty(10, 1)).offsets is None


def test_correction_is_the_log_of_one_over_the_share_taken_of_the_others():
    chosen = Sampled(0.5, correction=True).select(labels_of(1, 4, 1, -1), torch.empty(10, 1))
    expected = [0.0 if c in (1, 4) else math.log(8 / 3) for c in chosen.classes.tolist()]
    assert chosen.offsets.tolist() == pytest.approx(expected)


def test_where_every_class_takes_part_there_is_nothing_to_correct():
    chosen = Sampled(1.0, correction=True).select(labels_of(1, 4), torch.empty(10, 1))
    assert not chosen.offsets.any()


def test_where_no_other_takes_part_there_is_nothing_to_correct():
    assert (
        Sampled(0.1, correction=True).select(labels_of(0, 1, 2), torch.empty(10, 1)).offsets is None
    )


def test_corrected_the_sum_of_exponentials_is_right_on_average():
    torch.manual_seed(0)
    z = torch.randn(50, dtype=torch.float64)
    y, draws = labels_of(3, 8), 4000
    how = Sampled(0.2, correction=True)
    sums = []
    for _ in range(draws):
        chosen = how.select(y, torch.empty(50, 1))
        sums.append((z[chosen.classes] + chosen.offsets).exp().sum())
    sums = torch.stack(sums)
    error = (sums.mean() - z.exp().sum()) / (sums.std() / math.sqrt(draws))
    assert error.abs() < 3
    # The tolerance is tight: a share of all classes instead of the others would be seen.
    wrong = math.log(50 / 10) - math.log(48 / 8)
    assert abs(math.expm1(wrong)) * sums.mean() > 6 * sums.std() / math.sqrt(draws)


@pytest.mark.parametrize("rate", [0, -0.1, 1.1, math.nan])
def test_a_share_that_is_none_is_refused(rate):
    with pytest.raises(ArcwiseError, match=f"Sampled: rate={rate!r}; expected a share"):
        Sampled(rate)
