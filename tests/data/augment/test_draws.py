from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from arcwise.data.augment.draws import chosen, uniform, view_keys


def slow_mixed(word):
    """SplitMix64's step with Python's whole numbers."""
    mask = 2**64 - 1
    word = (word + 0x9E3779B97F4A7C15) & mask
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & mask
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & mask
    return word ^ (word >> 31)


def test_the_hash_is_splitmix64():
    """Its first numbers from the seed 1234567, as rosettacode.org lists them."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    golden = 0x9E3779B97F4A7C15
    assert [slow_mixed((1234567 + n * golden) % 2**64) for n in range(3)] == expected


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1, 2**70 + 5])
def test_a_key_is_the_hash_of_seed_step_and_place(seed):
    places = [0, 1, 63, 10_000]
    of_step = slow_mixed(slow_mixed(seed % 2**64) ^ 17)
    assert view_keys(seed, 17, places).tolist() == [slow_mixed(of_step ^ p) for p in places]


def test_no_two_views_share_a_key():
    found = [
        key
        for seed in range(4)
        for step in range(50)
        for key in view_keys(seed, step, range(64)).tolist()
    ]
    assert len(set(found)) == len(found)


def test_a_number_depends_on_its_key_and_name_only():
    keys = view_keys(3, 5, range(100))
    numbers = uniform(keys, "flip")
    order = np.random.default_rng(0).permutation(100)
    np.testing.assert_array_equal(uniform(keys[order], "flip"), numbers[order])
    np.testing.assert_array_equal(np.hstack([uniform(k[None], "flip") for k in keys]), numbers)
    assert (uniform(keys, "hue") != numbers).all()


def test_numbers_are_evenly_spread_from_low_to_high():
    numbers = uniform(view_keys(0, 0, range(20_000)), "zoom", -2.0, 6.0)
    assert -2 <= numbers.min() < -1.99
    assert 5.99 < numbers.max() < 6
    assert stats.kstest((numbers + 2) / 8, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("flip", 0, 0), ("hue", 0, 0)),
        (("flip", 0, 0), ("flip", 0, 1)),
        (("flip", 0, 0), ("flip", 1, 0)),
        (("centre x", 0, 0), ("centre y", 0, 0)),
    ],
)
def test_names_steps_and_seeds_have_nothing_to_do_with_each_other(one, other):
    first, second = (
        uniform(view_keys(seed, step, range(20_000)), name) for name, step, seed in (one, other)
    )
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.03


def test_a_larger_probability_chooses_the_same_views_and_more():
    keys = view_keys(0, 0, range(1000))
    few, many = set(chosen(keys, "blur", 0.1)), set(chosen(keys, "blur", 0.3))
    assert few < many
    assert 70 < len(few) < 130
    assert len(chosen(keys, "blur", 0.0)) == 0
    assert len(chosen(keys, "blur", 1.0)) == 1000
