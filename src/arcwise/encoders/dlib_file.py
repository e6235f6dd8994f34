"""The file of dlib's face network, `dlib_face_recognition_resnet_model_v1.dat`, read strictly.

dlib writes a network as nested objects: first the version numbers of all layers, from the loss down
to the image, then what each layer holds, from the image up. An integer is a byte with its length
and sign, and so many bytes. Another number is two integers, mantissa and exponent of 2. A tensor is
its four sides and little-endian float32. The format is that of dlib/serialize.h, dlib/dnn/core.h,
dlib/dnn/layers.h and dlib/cuda/tensor.h.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError

Floats = NDArray[np.float32]

_LAYER, _FIRST_LAYER, _TAG = 2, 3, 1  # version numbers of dlib's nested objects


class DlibNetwork(NamedTuple):
    """What the file holds.

    Attributes:
        mean: subtracted from red, green and blue, of 0 to 255; the difference is divided by 256.
        size: (H, W) of the images.
        weights: by the names of the encoder `dlib_resnet`.
    """

    mean: tuple[float, float, float]
    size: tuple[int, int]
    weights: dict[str, Floats]


def blocks() -> Iterator[bool]:
    """Yield whether a residual block halves the sides, for each of the 14 from the image on."""
    for count, halves in ((3, False), (4, True), (3, True), (3, True), (1, True)):
        for number in range(count):
            yield halves and number == 0


def read_dlib_network(content: bytes, name: str) -> DlibNetwork:
    """Return the face network in the bytes of a file.

    Args:
        content: of the whole file.
        name: what to call it in an error.

    Raises:
        ArcwiseError: it is another network, of another version of dlib, or not whole.
    """
    try:
        return _network(_Reader(content))
    except _Unexpected as problem:
        raise ArcwiseError(f"{name}: no face network of dlib, or damaged: {problem}") from None


class _Unexpected(Exception):
    """The bytes are not those of the network."""


class _Reader:
    """The values in the bytes, one after the other. It allocates no more than there is."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    @property
    def left(self) -> int:
        return len(self.content) - self.place

    def expect(self, what: str, got: object, expected: object) -> None:
        if got != expected:
            raise _Unexpected(f"before byte {self.place:,}, {what} is {got!r}, not {expected!r}")

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise _Unexpected(f"at byte {self.place:,}, {count:,} should follow, {self.left:,} do")
        self.place += count
        return self.content[self.place - count : self.place]

    def integer(self) -> int:
        head = self.take(1)[0]
        length = head & 0x0F
        if head & 0x70 or not 1 <= length <= 8:
            raise _Unexpected(f"no integer begins at byte {self.place - 1:,}")
        value = int.from_bytes(self.take(length), "little")
        return -value if head & 0x80 else value

    def number(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) > 900:  # far beyond lie dlib's signs of infinity and NaN
            raise _Unexpected(f"before byte {self.place:,}, a number is not finite")
        return math.ldexp(mantissa, exponent)

    def layer(self, name: str) -> None:
        """Read the name of a layer."""
        length = self.integer()
        got = self.take(length).decode("ascii", "replace") if 0 < length < 40 else ""
        self.expect("a layer", got, name)

    def sides(self) -> tuple[int, ...]:
        return tuple(self.integer() for _ in range(4))

    def tensor(self) -> Floats:
        """Read a tensor and return its numbers in a row, (M,)."""
        self.expect("the version of a tensor", self.integer(), 2)
        sides = self.sides()
        if min(sides) < 0:
            raise _Unexpected(f"before byte {self.place:,}, a tensor has the sides {sides}")
        numbers = np.frombuffer(self.take(4 * math.prod(sides)), "<f4")
        if not np.isfinite(numbers).all():
            raise _Unexpected(f"before byte {self.place:,}, weights are not finite")
        return numbers

    def parts(self, *shapes: tuple[int, ...]) -> None:
        """Read into which shapes a tensor is divided."""
        for shape in shapes:
            self.expect("the version of a shape", self.integer(), 1)
            self.expect("a shape", self.sides(), shape)

    def window(self, *expected: int) -> None:
        """Read rows, columns, strides and paddings of a convolution or a pooling."""
        self.expect("a window", tuple(self.integer() for _ in range(6)), expected)

    def end_of_layer(self) -> None:
        """Skip what a layer keeps of its training: three flags and three tensors."""
        flags = self.take(3)
        if not set(flags) <= set(b"01"):
            raise _Unexpected(f"before byte {self.place:,}, flags are {flags!r}")
        for _ in range(3):
            self.tensor()


def _network(file: _Reader) -> DlibNetwork:
    file.expect("the version of the loss", file.integer(), 1)
    file.layer("loss_metric_2")
    file.number(), file.number()  # its margin and its distance
    for version in _versions():
        file.expect("the version of a layer", file.integer(), version)
    file.layer("input_rgb_image_sized")
    mean = (file.number(), file.number(), file.number())
    size = (file.integer(), file.integer())
    weights: dict[str, Floats] = {}

    def convolution(name: str, channels: int, kernel: int, stride: int) -> int:
        weight, bias = _convolution(file, channels, kernel, stride)
        weights[f"{name}.weight"], weights[f"{name}.bias"] = weight, bias
        return len(bias)

    def affine(name: str, channels: int) -> None:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = _affine(file, channels)

    channels = convolution("backbone.stem.conv", 3, 7, 2)
    file.expect("the copies of an image", file.integer(), 1)
    affine("backbone.stem.affine", channels)
    _relu(file)
    _pooling(file, "max_pool_2", 3, 3, 2, 2)
    for number, halves in enumerate(blocks()):
        block = f"backbone.blocks.{number}"
        channels = convolution(f"{block}.conv1", channels, 3, 2 if halves else 1)
        affine(f"{block}.affine1", channels)
        _relu(file)
        channels = convolution(f"{block}.conv2", channels, 3, 1)
        affine(f"{block}.affine2", channels)
        if halves:
            _pooling(file, "avg_pool_2", 2, 2, 2, 2)
        file.layer("add_prev_")
        file.end_of_layer()
        _relu(file)
    _pooling(file, "avg_pool_2", 0, 0, 1, 1)
    weights["head.project.weight"] = _linear(file, channels)
    file.expect("what is left", file.left, 0)
    return DlibNetwork(mean, size, weights)


def _versions() -> Iterator[int]:
    """Yield the version numbers of all layers below the loss, from the top down."""
    yield from (_LAYER, _LAYER)  # linear, average
    for halves in reversed(list(blocks())):
        yield from (_LAYER, _LAYER)  # relu, sum
        if halves:
            yield from (_LAYER, _TAG, _TAG)  # the pooled input of the block
        yield from (_LAYER,) * 5  # affine, convolution, relu, affine, convolution
        yield _TAG
    yield from (_LAYER, _LAYER, _LAYER, _FIRST_LAYER)  # pooling, relu, affine, convolution


def _convolution(file: _Reader, channels: int, kernel: int, stride: int) -> tuple[Floats, Floats]:
    """Return weight (C_out, channels, kernel, kernel) and bias (C_out,)."""
    file.layer("con_4")
    numbers, filters = file.tensor(), file.integer()
    if filters < 1:
        raise _Unexpected(f"before byte {file.place:,}, a convolution has {filters} filters")
    padding = 0 if stride > 1 else kernel // 2
    file.window(kernel, kernel, stride, stride, padding, padding)
    shape = (filters, channels, kernel, kernel)
    file.parts(shape, (1, filters, 1, 1))
    _rates(file)
    file.expect("the size of a convolution", len(numbers), math.prod(shape) + filters)
    file.end_of_layer()
    return numbers[:-filters].reshape(shape), numbers[-filters:]


def _affine(file: _Reader, channels: int) -> tuple[Floats, Floats]:
    """Return scale and shift, (channels,) each."""
    file.layer("affine_")
    numbers = file.tensor()
    file.parts(*[(1, channels, 1, 1)] * 2)
    file.expect("the mode of an affine layer", file.integer(), 0)
    file.expect("the size of an affine layer", len(numbers), 2 * channels)
    file.end_of_layer()
    return numbers[:channels], numbers[channels:]


def _linear(file: _Reader, channels: int) -> Floats:
    """Return (D, channels)."""
    file.layer("fc_2")
    dim = file.integer()
    file.expect("what a linear layer takes", file.integer(), channels)
    numbers = file.tensor()
    file.parts((channels, dim, 1, 1), (0, 0, 0, 0))
    file.expect("the bias mode of a linear layer", file.integer(), 1)
    _rates(file)
    file.expect("the size of a linear layer", len(numbers), channels * dim)
    file.end_of_layer()
    return np.ascontiguousarray(numbers.reshape(channels, dim).T)


def _relu(file: _Reader) -> None:
    file.layer("relu_")
    file.end_of_layer()


def _pooling(file: _Reader, name: str, *window: int) -> None:
    file.layer(name)
    file.window(*window, 0, 0)
    file.end_of_layer()


def _rates(file: _Reader) -> None:
    """Skip the factors of learning rate and weight decay."""
    for _ in range(4):
        file.number()
