"""The held-out identities: disjoint, exact in number, stable, fair."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.digests import identity_digest
from arcwise.data.manifest import Manifest
from arcwise.data.split import hold_out
from arcwise.errors import ArcwiseError


def manifest(counts: dict[str, int]) -> Manifest:
    identities = [name for name, count in counts.items() for _ in range(count)]
    images = [f"{row}.jpg" for row in range(len(identities))]
    return Manifest(pa.table({"image": images, "identity": identities}), Path(), "made up")


@st.composite
def data_sets(draw: st.DrawFn) -> Manifest:
    several = draw(st.integers(4, 40))
    single = draw(st.integers(max(0, 6 - several), 40))
    counts = {f"s{n}": draw(st.integers(2, 5)) for n in range(several)}
    return manifest(counts | {f"o{n}": 1 for n in range(single)})


@settings(deadline=None, max_examples=60)
@given(data_sets(), st.floats(0.01, 0.99), st.integers(0, 5))
def test_every_row_is_in_one_part_and_no_identity_in_two(
    data: Manifest, fraction: float, seed: int
) -> None:
    parts = hold_out(data, fraction, seed)
    assert sorted(image for part in parts for image in part.images) == sorted(data.images)
    identities = [set(part.identities) for part in parts]
    assert sum(map(len, identities)) == len(data.classes)
    held = len(identities[1]) + len(identities[2])
    assert held == min(max(round(fraction * len(data.classes)), 4), len(data.classes) - 2)
    assert abs(len(identities[1]) - len(identities[2])) <= 1
    for part in parts[1:]:  # each half has genuine pairs and impostor pairs
        assert sum(count >= 2 for count in Counter(part.identities).values()) >= 2


def test_the_same_seed_gives_the_same_split_whatever_the_order_of_rows() -> None:
    data = manifest({f"p{n}": 3 for n in range(50)})
    backwards = data.select(range(len(data) - 1, -1, -1))
    for part, other in zip(hold_out(data, 0.3, 7), hold_out(backwards, 0.3, 7), strict=True):
        assert set(part.identities) == set(other.identities)
    assert set(hold_out(data, 0.3, 8).validation.identities) != set(
        hold_out(data, 0.3, 7).validation.identities
    )


def test_a_data_set_that_grows_keeps_its_split() -> None:
    counts = {f"p{n}": 3 for n in range(1000)}
    before = hold_out(manifest(counts), 0.2, 0)
    after = hold_out(manifest(counts | {f"new{n}": 3 for n in range(10)}), 0.2, 0)
    for part, other in zip(before, after, strict=True):
        gone = set(part.identities) - set(other.identities)
        assert len(gone) <= 10


def test_single_images_are_held_out_in_proportion() -> None:
    data = manifest({f"s{n}": 2 for n in range(100)} | {f"o{n}": 1 for n in range(300)})
    parts = hold_out(data, 0.1, 0)
    for part in parts[1:]:
        assert Counter(Counter(part.identities).values()) == {2: 5, 1: 15}


@pytest.mark.parametrize(
    "counts", [{"a": 9}, {f"p{n}": 2 for n in range(5)}, {f"p{n}": 1 for n in range(99)}]
)
def test_too_few_identities_are_an_error_that_says_how_many(counts: dict[str, int]) -> None:
    with pytest.raises(ArcwiseError, match=rf"{len(counts)} identities, .* bring more"):
        hold_out(manifest(counts), 0.5, 0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_out_of_range_is_an_error(fraction: float) -> None:
    with pytest.raises(ArcwiseError, match="above 0 and below 1"):
        hold_out(manifest({f"p{n}": 2 for n in range(9)}), fraction, 0)


@settings(deadline=None)
@given(st.text())
def test_a_digest_is_16_hexadecimal_characters(identity: str) -> None:
    assert re.fullmatch("[0-9a-f]{16}", identity_digest(identity))


def test_digests_are_what_they_were() -> None:  # they are written into model folders
    assert identity_digest("Coca Cola") == "33105bc87d9c50e0"
