"""One preparation, the same everywhere: sizes, proportions, colours, and its description."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError, BundleError
from arcwise.images import Preparation
from arcwise.images.preparation import Colour

Pixels = NDArray[np.uint8]
sides = st.integers(1, 90)
policies = st.sampled_from(["stretch", "crop", "pad"])
preparations = st.builds(
    Preparation,
    height=sides,
    width=sides,
    resize=policies,
    colour=st.sampled_from(["rgb", "bgr"]),
    mean=st.tuples(*[st.floats(0, 255)] * 3),
    std=st.tuples(*[st.floats(1, 255)] * 3),
    flip_tta=st.booleans(),
)


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(height * 997 + width).integers(
        0, 256, (height, width, 3), np.uint8
    )


@settings(deadline=None)
@given(preparations, sides, sides)
def test_any_image_comes_out_in_the_size_asked_for(
    preparation: Preparation, height: int, width: int
) -> None:
    pixels = preparation.pixels(noise(height, width))
    assert pixels.shape == (preparation.height, preparation.width, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert (preparation.pixels(noise(height, width)) == pixels).all()


@settings(deadline=None)
@given(policies, sides, sides)
def test_an_image_of_the_right_size_is_left_alone(policy: Any, height: int, width: int) -> None:
    image = noise(height, width)
    assert (Preparation(height, width, policy).pixels(image) == image).all()


@settings(deadline=None)
@given(policies, sides, sides, st.integers(0, 255))
def test_a_flat_colour_stays_that_colour(policy: Any, height: int, width: int, grey: int) -> None:
    image = np.full((height, width, 3), grey, np.uint8)
    preparation = Preparation(32, 24, policy, mean=(float(grey),) * 3)
    assert (preparation.pixels(image) == grey).all()


@settings(deadline=None)
@given(sides, sides)
def test_padding_is_zero_to_the_encoder_and_keeps_the_proportions(height: int, width: int) -> None:
    preparation = Preparation(40, 40, "pad", mean=(10, 20, 30), std=(2, 2, 2), colour="bgr")
    image = np.full((height, width, 3), 255, np.uint8)
    tensor = preparation.tensor(preparation.pixels(image)[None])[0]
    seen = (tensor != 0).all(axis=0)
    rows, columns = seen.any(axis=1).sum(), seen.any(axis=0).sum()
    assert max(rows, columns) == 40
    assert seen.sum() == rows * columns  # one full rectangle
    factor = 40 / max(height, width)
    assert rows == max(1, round(height * factor))
    assert columns == max(1, round(width * factor))
    middle = (np.flatnonzero(seen.any(axis=1)).mean(), np.flatnonzero(seen.any(axis=0)).mean())
    assert np.abs(np.subtract(middle, 19.5)).max() <= 0.5


@pytest.mark.parametrize(("height", "width"), [(60, 120), (120, 60), (61, 120)])
def test_cropping_takes_the_middle(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 2 - 25 : height // 2 + 25, width // 2 - 25 : width // 2 + 25] = 255
    pixels = Preparation(50, 50, "crop").pixels(image)
    short = min(height, width)
    margin = round((short / 2 - 25) / short * 50)
    assert (pixels[margin + 1 : -margin - 1, margin + 1 : -margin - 1] == 255).all()
    assert (pixels[: margin - 1] == 0).all()
    assert (pixels[:, : margin - 1] == 0).all()


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 6))
def test_shrinking_by_whole_numbers_is_the_mean_of_the_areas(rows: int, columns: int) -> None:
    image = noise(8 * rows, 8 * columns)
    areas = image.reshape(8, rows, 8, columns, 3).mean(axis=(1, 3))
    assert np.abs(Preparation(8, 8).pixels(image) - areas).max() <= 0.51


def test_one_side_may_shrink_while_the_other_grows() -> None:
    """OpenCV's area mode would not average the shrinking side in this case."""
    image = np.zeros((80, 5, 3), np.uint8)
    image[::2] = 255
    pixels = Preparation(10, 10).pixels(image)
    assert np.abs(pixels.astype(int) - 127).max() <= 1


@pytest.mark.parametrize("policy", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 200_000, 3), (200_000, 1, 3)])
def test_a_very_long_image_takes_little_memory(policy: Any, shape: tuple[int, ...]) -> None:
    assert Preparation(112, 112, policy).pixels(np.zeros(shape, np.uint8)).shape == (112, 112, 3)


@settings(deadline=None)
@given(preparations, st.integers(0, 3))
def test_the_tensor_is_what_the_fields_say(preparation: Preparation, count: int) -> None:
    pixels = (
        np.stack([noise(preparation.height, preparation.width)] * count)
        if count
        else (np.empty((0, preparation.height, preparation.width, 3), np.uint8))
    )
    tensor = preparation.tensor(pixels)
    assert tensor.shape == (count, 3, preparation.height, preparation.width)
    assert tensor.dtype == np.float32
    ordered = pixels if preparation.colour == "rgb" else pixels[..., ::-1]
    expected = (ordered - np.array(preparation.mean)) / np.array(preparation.std)
    np.testing.assert_allclose(tensor, expected.transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-4)


@settings(deadline=None)
@given(preparations)
def test_a_description_comes_back_from_json(preparation: Preparation) -> None:
    assert Preparation.from_dict(json.loads(json.dumps(preparation.as_dict()))) == preparation


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"resise": "crop"}, "resise"),
        ({"resize": "zoom"}, "stretch, crop, pad"),
        ({"colour": "grey"}, "rgb, bgr"),
        ({"height": 0}, "height"),
        ({"height": 112.0}, "height"),
        ({"width": True}, "width"),
        ({"width": 10**6}, "width"),
        ({"mean": [0, 0]}, "mean"),
        ({"mean": "abc"}, "mean"),
        ({"std": [1, 0, 1]}, "std"),
        ({"std": [1, 1, float("nan")]}, "std"),
        ({"flip": "yes"}, "flip"),
    ],
)
def test_a_wrong_description_is_refused_and_the_key_named(
    change: dict[str, Any], named: str
) -> None:
    with pytest.raises(BundleError, match=named):
        Preparation.from_dict(Preparation().as_dict() | change)


def test_a_missing_key_is_named() -> None:
    values = Preparation().as_dict()
    del values["mean"], values["flip"]
    with pytest.raises(BundleError, match="lacks mean, flip"):
        Preparation.from_dict(values)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_image_is_refused(image: NDArray[Any]) -> None:
    with pytest.raises(ArcwiseError, match="uint8 RGB"):
        Preparation().pixels(image)
    with pytest.raises(ArcwiseError, match="expected uint8 pixels"):
        Preparation().tensor(image)


def test_numbers_of_pixels_from_0_to_1_are_refused() -> None:
    with pytest.raises(ArcwiseError, match="expected them of pixels from 0 to 255"):
        Preparation(8, 8, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert Preparation(8, 8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)).std == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_tensors_of_another_library_are_normalised_bit_for_bit(colour: Colour) -> None:
    torch = pytest.importorskip("torch")
    preparation = Preparation(8, 9, colour=colour, mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 9, 3), np.uint8)
    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2)[:, list(preparation.channels)].float()
    preparation.normalise(planes, torch.from_numpy)
    assert np.array_equal(planes.numpy(), preparation.tensor(pixels))
