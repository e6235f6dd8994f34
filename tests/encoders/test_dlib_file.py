"""dlib's file: every weight where it belongs, and anything else refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise.encoders.dlib_file import read_dlib_network
from arcwise.errors import ArcwiseError
from tests.dlib_files import MEAN, SIZE, dlib_file, integers, text

FILE, WEIGHTS = dlib_file(2, 5)


def test_every_value_is_read() -> None:
    network = read_dlib_network(FILE, "x.dat")
    assert (network.mean, network.size) == (MEAN, SIZE)
    assert network.weights.keys() == WEIGHTS.keys()
    for name, weight in WEIGHTS.items():
        np.testing.assert_array_equal(network.weights[name], weight, err_msg=name)


@pytest.mark.parametrize("length", [0, 1, 30, 400, len(FILE) // 2, len(FILE) - 1])
def test_a_part_is_refused(length: int) -> None:
    with pytest.raises(ArcwiseError, match=r"^x\.dat: .*byte"):
        read_dlib_network(FILE[:length], "x.dat")


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        (text("con_4"), text("con_6"), "con_6"),
        (text("loss_metric_2"), text("loss_mmod_"), "loss_mmod_"),
        (text("relu_"), text("elu_2"), "elu_2"),
        (integers(3, 3, 2, 2, 0, 0), integers(3, 3, 2, 2, 1, 1), "a window"),
        (integers(2, 0, 0, 0, 0), integers(3, 0, 0, 0, 0), "version of a tensor"),
        (integers(2, 0, 0, 0, 0), integers(2, -1, 0, 0, 0), "sides"),
        (integers(2, 0, 0, 0, 0), integers(2, *[2**62] * 4), "should follow"),
        (text("con_4"), integers(2**62), "a layer"),
        (text("con_4"), b"\x00", "no integer"),
        (text("con_4"), b"\x19", "no integer"),
        (b"110", b"11\x00", "flags"),
    ],
)
def test_another_network_is_refused(old: bytes, new: bytes, fact: str) -> None:
    assert old in FILE
    with pytest.raises(ArcwiseError, match=fact):
        read_dlib_network(FILE.replace(old, new, 1), "x.dat")


def test_weights_that_are_not_finite_are_refused() -> None:
    weight = WEIGHTS["backbone.stem.conv.weight"].ravel()[3].tobytes()
    nan = np.float32(np.nan).tobytes()
    with pytest.raises(ArcwiseError, match="not finite"):
        read_dlib_network(FILE.replace(weight, nan, 1), "x.dat")


def test_bytes_behind_the_network_are_refused() -> None:
    with pytest.raises(ArcwiseError, match="what is left"):
        read_dlib_network(FILE + b"\x01", "x.dat")


def test_changed_bytes_raise_nothing_else() -> None:
    """One byte in the first part of the file, where all kinds of values are, is changed."""
    rng = np.random.default_rng(0)
    for place in rng.choice(2500, 60, replace=False):
        damaged = bytearray(FILE)
        damaged[place] ^= int(rng.integers(1, 256))
        try:
            read_dlib_network(bytes(damaged), "x.dat")
        except ArcwiseError:
            continue
