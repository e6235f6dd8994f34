"""Identities in two domains, and batches across them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from arcwise.data.domain_pairs import Bisample, check_pairs, domain_pairs
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError


def manifest(rows: list[tuple[str, str]]) -> Manifest:
    """A data set of (identity, domain) rows."""
    table = pa.table(
        {
            "image": [f"{number}.png" for number in range(len(rows))],
            "identity": [identity for identity, _ in rows],
            "domain": [domain for _, domain in rows],
        }
    )
    return Manifest(table, Path(), "tiny")


def pairs(count: int = 10, deep: int = 0) -> Manifest:
    rows = [(f"id{one:02}", domain) for one in range(count) for domain in ("spot", "id")]
    return manifest(rows + [(f"star{one}", "") for one in range(deep) for _ in range(4)])


def test_who_is_in_which_set():
    found = domain_pairs(manifest([("a", "id"), ("a", "spot"), ("b", "id"), *[("c", "")] * 3]))
    assert (found.domains, found.paired, found.lacking) == (("id", "spot"), ("a",), ("b",))
    assert (found.exact, found.deep, found.bisample) == (1, ("c",), True)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a", "id"), ("a", "spot")] * 1, True),
        ([("a", "id"), ("a", "spot"), ("b", "id"), ("b", "id")], True),
        ([("a", "id"), *[("a", "spot")] * 5], False),  # one studio image, and many
        ([("a", "id"), ("a", "id")], False),
        ([("a", ""), ("a", "")], False),
        ([("a", "x"), ("a", "y"), ("b", "z"), ("b", "y")], False),
    ],
)
def test_what_looks_like_two_images_an_identity(rows, expected):
    assert domain_pairs(manifest(rows)).bisample is expected


@pytest.mark.parametrize(
    ("values", "fact"),
    [
        (["id", "id"], r"one value \('id'\)"),
        (["", ""], "no value"),
        (["a", "b", "c", "d"], r"4 values \('a', 'b', 'c' …\)"),
    ],
)
def test_a_column_that_has_not_two_values(values, fact):
    with pytest.raises(ArcwiseError, match=fact) as got:
        check_pairs(manifest([("a", one) for one in values]))
    assert "\n" not in str(got.value)


def test_no_column_of_domains():
    images = manifest([("a", "id"), ("a", "spot")])
    without = Manifest(images.table.drop_columns(["domain"]), Path(), "tiny")
    with pytest.raises(ArcwiseError, match="no column 'domain'"):
        check_pairs(without)


def test_identities_without_one_of_the_domains_are_counted_and_named():
    rows = [("a", "id"), ("a", "spot"), *[(f"p{one}", "id") for one in range(5)]]
    with pytest.raises(ArcwiseError, match=r"5 identities .* only.*: p0, p1, p2 …") as got:
        check_pairs(manifest(rows))
    assert "\n" not in str(got.value)


@pytest.mark.parametrize("queues", [False, True])
def test_a_batch_has_one_image_of_either_domain_of_distinct_identities(queues):
    images = pairs(10, deep=3)
    queue = np.arange(13)[:, None] + np.array([[1, 2, -1]]) if queues else None
    sampler = Bisample(images, 4, 0, None if queue is None else queue % 13)
    domains, labels = np.array(images.column("domain")), images.labels
    for step in range(20):
        first, second = np.split(sampler.batch(step), 2)
        assert set(domains[first]) == {"id"}
        assert set(domains[second]) == {"spot"}
        assert labels[first].tolist() == labels[second].tolist()
        assert len(set(labels[first])) == 4


def test_every_identity_comes_once_a_round():
    sampler = Bisample(pairs(12), 4, 0)
    labels = np.concatenate([pairs(12).labels[sampler.batch(step)[:4]] for step in range(3)])
    assert sorted(labels.tolist()) == list(range(12))


def test_half_of_a_batch_is_drawn_from_the_queues_of_the_other():
    images = pairs(30)
    queues = np.stack([(np.arange(30) + 1) % 30, (np.arange(30) + 7) % 30], 1).astype(np.int32)
    sampler = Bisample(images, 8, 3, queues)
    for step in range(15):
        labels = images.labels[sampler.batch(step)[:8]]
        eligible = set(queues[labels[:4]].ravel().tolist())
        assert set(labels[4:].tolist()) <= eligible


def test_queues_that_run_out_are_filled_up_at_random():
    sampler = Bisample(pairs(10), 8, 0, np.full((10, 2), -1, np.int32))
    assert len(set(pairs(10).labels[sampler.batch(0)].tolist())) == 8


def test_the_same_step_is_the_same_batch():
    queues = np.random.default_rng(0).integers(0, 10, (10, 3)).astype(np.int32)
    one, other, seeded = (Bisample(pairs(), 6, seed, queues) for seed in (0, 0, 1))
    assert one.batch(5).tolist() == other.batch(5).tolist()
    assert any(one.batch(step).tolist() != seeded.batch(step).tolist() for step in range(3))


def test_more_identities_than_there_are():
    with pytest.raises(ArcwiseError, match=r"--batch 22 .* and 10 .* --batch 20 or less"):
        Bisample(pairs(10), 11, 0)
