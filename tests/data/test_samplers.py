from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.samplers import Balanced, Mixed, Sets, Shuffled, Windowed
from arcwise.errors import ArcwiseError

sizes = st.integers(1, 40)
seeds = st.integers(0, 2**40)


@given(rows=sizes, batch=sizes, seed=seeds, epochs=st.integers(1, 3))
@settings(max_examples=60)
def test_shuffled_sees_every_row_once_an_epoch_whatever_the_batch(rows, batch, seed, epochs):
    names = np.arange(rows) * 7 + 3
    sampler = Shuffled(names, batch, seed)
    steps = -(-epochs * rows // batch)
    drawn = np.concatenate([sampler.batch(step) for step in range(steps)])
    assert len(drawn) == steps * batch
    for epoch in range(epochs):
        assert sorted(drawn[epoch * rows : (epoch + 1) * rows]) == names.tolist()


def test_shuffled_orders_every_epoch_anew():
    sampler = Shuffled(np.arange(50), 50, seed=1)
    assert sampler.batch(0).tolist() != sampler.batch(1).tolist()


@given(rows=sizes, batch=sizes, block=sizes, window=sizes, seed=seeds, epochs=st.integers(1, 3))
@settings(max_examples=60)
def test_windowed_sees_every_row_once_an_epoch(rows, batch, block, window, seed, epochs):
    sampler = Windowed(rows, batch, seed, block=block, window=window)
    steps = -(-epochs * rows // batch)
    drawn = np.concatenate([sampler.batch(step) for step in range(steps)])
    assert len(drawn) == steps * batch
    for epoch in range(epochs):
        assert sorted(drawn[epoch * rows : (epoch + 1) * rows]) == list(range(rows))


def test_a_window_reads_few_places_and_each_of_them_once():
    sampler = Windowed(10_000, 50, 3, block=20, window=200)
    windows = [np.concatenate([sampler.batch(4 * w + i) for i in range(4)]) for w in range(50)]
    for rows in windows:
        assert len(np.unique(rows // 20)) == 10  # 200 rows from 10 blocks, all of each
    assert len(np.unique(np.concatenate(windows) // 20)) == 500


def test_windowed_mixes_neighbours_in_a_window_and_blocks_over_the_epoch():
    rows, window = 20_000, 400
    sampler = Windowed(rows, 100, 0, block=20, window=window)
    place = np.empty(rows, np.int64)  # of each row in the epoch
    place[sampler.order(0)] = np.arange(rows)
    apart = np.abs(np.diff(place))
    inside = np.arange(1, rows) % 20 != 0
    assert apart[inside].max() < window
    assert window / 4 < apart[inside].mean() < window / 2  # a third: two places drawn at random
    assert rows / 4 < apart[~inside].mean() < rows / 2
    assert (sampler.order(0) != sampler.order(1)).mean() > 0.99


def labels():
    """9 identities with 1 to 9 images, in no order."""
    return np.random.default_rng(0).permutation(np.repeat(np.arange(9), np.arange(1, 10)))


def samplers(seed):
    return [
        Shuffled(np.arange(45), 8, seed),
        Balanced(labels(), 3, 4, seed),
        Mixed(Shuffled(np.arange(40), 6, seed), Shuffled(np.arange(40, 45), 2, seed)),
        Windowed(45, 8, seed, block=4, window=16),
    ]


@pytest.mark.parametrize("which", range(4))
def test_a_batch_depends_on_the_seed_and_the_step_alone(which):
    backwards = samplers(5)[which]
    expected = {step: backwards.batch(step).tolist() for step in reversed(range(30))}
    assert {step: samplers(5)[which].batch(step).tolist() for step in range(30)} == expected


@pytest.mark.parametrize("which", range(4))
def test_another_seed_draws_other_batches(which):
    one, other = samplers(5)[which], samplers(6)[which]
    assert any(one.batch(step).tolist() != other.batch(step).tolist() for step in range(3))


@given(
    counts=st.lists(st.integers(1, 6), min_size=2, max_size=9),
    images=st.integers(1, 5),
    seed=seeds,
    data=st.data(),
)
@settings(max_examples=60)
def test_balanced_gives_p_different_identities_with_k_images_each(counts, images, seed, data):
    of = np.repeat(np.arange(len(counts)), counts)
    identities = data.draw(st.integers(2, len(counts)))
    sampler = Balanced(of, identities, images, seed)
    for step in range(4):
        drawn = Counter(of[sampler.batch(step)].tolist())
        assert len(drawn) == identities
        assert set(drawn.values()) == {images}


def test_balanced_keeps_an_identity_s_images_together():
    of = labels()
    drawn = of[Balanced(of, 3, 4, 0).batch(0)].reshape(3, 4)
    assert (drawn == drawn[:, :1]).all()


def test_balanced_sees_every_identity_once_a_round():
    of = labels()
    sampler = Balanced(of, 3, 4, 0)
    for round_ in range(5):
        steps = range(3 * round_, 3 * round_ + 3)
        seen = Counter(np.concatenate([of[sampler.batch(step)] for step in steps]).tolist())
        assert seen == dict.fromkeys(range(9), 4)


def test_balanced_leaves_out_another_identity_each_round_where_they_do_not_divide():
    of = np.repeat(np.arange(5), 3)
    sampler = Balanced(of, 2, 3, 0)
    seen = Counter(of[sampler.batch(step)[::3]].tolist()[i] for step in range(400) for i in (0, 1))
    assert sum(seen.values()) == 800
    assert max(seen.values()) <= 200  # at most once in each of 200 rounds
    assert min(seen.values()) > 130  # 160 on average


def test_balanced_repeats_no_image_of_an_identity_that_has_enough():
    of = labels()
    sampler = Balanced(of, 3, 4, 0)
    for step in range(12):
        for rows in sampler.batch(step).reshape(3, 4):
            assert len(set(rows.tolist())) == min(4, of[rows[0]] + 1)


def test_balanced_draws_other_images_of_an_identity_each_time():
    of = np.repeat([0, 1], 20)
    sampler = Balanced(of, 2, 4, 0)
    drawn = {tuple(sorted(sampler.batch(step))) for step in range(60)}
    assert len(drawn) == 60
    assert len(set().union(*drawn)) == 40  # and all of them in the end


def test_balanced_repeats_the_images_of_a_short_identity_as_evenly_as_it_can():
    sampler = Balanced(np.array([0, 0, 1, 1]), 2, 5, 0)
    for rows in sampler.batch(0).reshape(2, 5):
        assert sorted(Counter(rows.tolist()).values()) == [2, 3]


def test_balanced_takes_labels_with_gaps():
    of = np.array([2, 7, 2, 7, 9])
    drawn = Counter(of[Balanced(of, 3, 2, 0).batch(0)].tolist())
    assert drawn == {2: 2, 7: 2, 9: 2}


def test_mixed_gives_each_part_its_share_of_every_batch():
    sampler = Mixed(Shuffled(np.arange(40), 6, 0), Shuffled(np.arange(40, 45), 2, 0))
    for step in range(10):
        rows = sampler.batch(step)
        assert (rows[:6] < 40).all()
        assert (rows[6:] >= 40).all()
        assert len(rows) == 8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shuffled(np.arange(0), 4, 0), r"got 0 rows.*expected at least 1"),
        (lambda: Shuffled(np.arange(4), 0, 0), r"batch_size=0; expected at least 1"),
        (lambda: Windowed(0, 4, 0), r"got 0 rows.*expected at least 1"),
        (lambda: Windowed(4, 4, 0, window=0), r"window=0; expected at least 1"),
        (lambda: Balanced(np.array([0, 1]), 1, 4, 0), r"1 identities × 4.*at least 2"),
        (lambda: Balanced(np.array([0, 1]), 2, 0, 0), r"0 images; expected"),
        (
            lambda: Balanced(np.array([0, 1]), 3, 4, 0),
            r"--batch 12 .* 2 are .*--batch 8",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, message):
    with pytest.raises(ArcwiseError, match=message):
        make()


LABELS = np.repeat([0, 1, 2, 3, 4], [1, 2, 5, 9, 20])


@given(seed=seeds, step=st.integers(0, 50), images=st.integers(1, 6))
@settings(max_examples=40)
def test_two_sets_of_an_identity_share_no_image(seed, step, images):
    rows = Sets(LABELS, 3, images, seed).batch(step)
    sets = rows.reshape(3, 2, images)
    for first, second in sets:
        (identity,) = set(LABELS[[*first, *second]])
        if identity != 0:  # which has one image
            assert not set(first) & set(second)
        there = int((identity == LABELS).sum())
        for one in (first, second):
            assert len(set(one)) >= min(images, there // 2)
    assert len(set(LABELS[rows])) == 3
    assert rows.tolist() == Sets(LABELS, 3, images, seed).batch(step).tolist()


def test_sets_of_groups():
    groups = np.array([f"t{row // 3}" for row in range(len(LABELS))])
    groups[LABELS == 3] = "alone"
    sampler = Sets(LABELS, 2, 2, 7, groups=groups)
    seen = set()
    for step in range(40):
        for first, second in sampler.batch(step).reshape(2, 2, 2):
            identity = LABELS[first[0]]
            seen.add(identity)
            of_sets = [set(groups[one]) for one in (first, second)]
            assert all(len(one) == 1 for one in of_sets) or identity in (0, 3)
            if identity == 3:  # one group, which is divided
                assert not set(first) & set(second)
            elif identity in (2, 4):
                assert of_sets[0] != of_sets[1]
    assert seen == set(range(5))


def test_sets_that_cannot_be():
    with pytest.raises(ArcwiseError, match="sets of 0 images"):
        Sets(LABELS, 2, 0, 1)
    with pytest.raises(ArcwiseError, match=r"--batch 36 has 4 images of each of 9 .* --batch 20"):
        Sets(LABELS, 9, 2, 1)
