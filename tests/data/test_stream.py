"""A stream has the order of `Windowed`, reads in the order on disk, and starts at any position."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.manifest import Manifest
from arcwise.data.samplers import Windowed
from arcwise.data.stream import stream
from arcwise.errors import ImageError


class Recording(Manifest):
    """Row 12's image is b"12"; every read is recorded."""

    reads: list[int]

    def read(self, index: int) -> bytes:
        self.reads.append(index)
        if index == 3:
            raise ImageError("3", "damaged")
        return b"%d" % index


def recording(rows: int) -> Recording:
    manifest = Recording(
        pa.table({"image": [str(row) for row in range(rows)]}), Path(), "recording"
    )
    object.__setattr__(manifest, "reads", [])
    return manifest


@given(rows=st.integers(1, 60), buffer=st.integers(1, 70), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=60, deadline=None)
def test_from_any_position_it_goes_on_without_reading_what_was_taken(rows, buffer, seed, data):
    whole = list(islice(stream(recording(rows), seed=seed, buffer=buffer), 2 * rows))
    position = data.draw(st.integers(0, 2 * rows - 1))
    manifest = recording(rows)
    rest = stream(manifest, seed=seed, buffer=buffer, position=position)
    assert [one[0] for one in islice(rest, 2 * rows - position)] == [
        row for row, _ in whole[position:]
    ]
    epoch_end = rows * (position // rows + 1) - position
    assert len(set(manifest.reads[:epoch_end])) == epoch_end  # each once, none from before
    for row, found in whole:
        assert isinstance(found, ImageError) if row == 3 else found == b"%d" % row


def test_the_order_is_that_of_the_sampler():
    sampler = Windowed(500, 1, 7, window=100)
    drawn = [row for row, _ in islice(stream(recording(500), seed=7, buffer=100), 1000)]
    assert drawn == [*sampler.order(0).tolist(), *sampler.order(1).tolist()]


def test_a_window_is_read_from_front_to_back():
    manifest = recording(1000)
    rows = [row for row, _ in islice(stream(manifest, seed=0, buffer=256), 256)]
    assert manifest.reads == sorted(rows)
    assert np.abs(np.diff(rows)).mean() > 10  # and given in another order


@pytest.mark.parametrize("rows", [0])
def test_nothing_to_stream_is_refused(rows):
    with pytest.raises(ValueError, match="got 0 rows"):
        next(stream(recording(rows), seed=0))
