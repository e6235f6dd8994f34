"""A small network in the format of dlib's face network, for tests of what reads it."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MEAN, SIZE = (122.75, 117.0, 104.25), (150, 150)
HALVES = (False,) * 3 + (True,) + (False,) * 3 + (True, False, False) * 2 + (True,)


def integer(value: int) -> bytes:
    body = abs(value).to_bytes(max(1, (abs(value).bit_length() + 7) // 8), "little")
    return bytes([len(body) | (0x80 if value < 0 else 0)]) + body


def number(value: float) -> bytes:
    mantissa, exponent = math.frexp(value)
    return integer(int(mantissa * 2**24)) + integer(exponent - 24)


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


def integers(*values: int) -> bytes:
    return b"".join(integer(value) for value in values)


def tensor(values: NDArray[np.float32]) -> bytes:
    return integers(2, len(values), 1, 1, 1) + struct.pack(f"<{len(values)}f", *values)


END = b"110" + integers(2, 0, 0, 0, 0) * 3
RATES = number(1.0) * 4


def dlib_file(filters: int, dim: int, seed: int = 0) -> tuple[bytes, dict[str, NDArray]]:
    """Return the file of a random network, and its weights by the encoder's names."""
    rng = np.random.default_rng(seed)
    weights: dict[str, NDArray] = {}

    def convolution(name: str, wide: int, channels: int, kernel: int, stride: int) -> bytes:
        shape = (wide, channels, kernel, kernel)
        weight = rng.normal(0, (2 / (channels * kernel**2)) ** 0.5, shape).astype(np.float32)
        bias = rng.normal(0, 0.1, wide).astype(np.float32)
        weights[f"{name}.weight"], weights[f"{name}.bias"] = weight, bias
        padding = 0 if stride > 1 else kernel // 2
        return (
            text("con_4")
            + tensor(np.concatenate([weight.ravel(), bias]))
            + integers(wide, kernel, kernel, stride, stride, padding, padding)
            + integers(1, *shape, 1, 1, wide, 1, 1)
            + RATES
            + END
        )

    def affine(name: str, wide: int) -> bytes:
        both = rng.normal(1, 0.1, 2 * wide).astype(np.float32)
        weights[f"{name}.weight"], weights[f"{name}.bias"] = both[:wide], both[wide:] - 1
        both[wide:] -= 1
        part = integers(1, 1, wide, 1, 1)
        return text("affine_") + tensor(both) + part * 2 + integer(0) + END

    def body() -> Iterator[bytes]:
        relu = text("relu_") + END
        first = convolution("backbone.stem.conv", filters, 3, 7, 2)
        yield first + integer(1)
        yield affine("backbone.stem.affine", filters) + relu
        yield text("max_pool_2") + integers(3, 3, 2, 2, 0, 0) + END
        channels = wide = filters
        for index, halves in enumerate(HALVES):
            name = f"backbone.blocks.{index}"
            wide = min(2 * wide, 8 * filters) if halves else wide
            yield convolution(f"{name}.conv1", wide, channels, 3, 2 if halves else 1)
            yield affine(f"{name}.affine1", wide) + relu
            yield convolution(f"{name}.conv2", wide, wide, 3, 1)
            yield affine(f"{name}.affine2", wide)
            if halves:
                yield text("avg_pool_2") + integers(2, 2, 2, 2, 0, 0) + END
            yield text("add_prev_") + END + relu
            channels = wide
        yield text("avg_pool_2") + integers(0, 0, 1, 1, 0, 0) + END
        matrix = rng.normal(0, channels**-0.5, (channels, dim)).astype(np.float32)
        weights["head.project.weight"] = matrix.T
        yield text("fc_2") + integers(dim, channels) + tensor(matrix.ravel())
        yield integers(1, channels, dim, 1, 1) + integers(1, 0, 0, 0, 0) + integer(1) + RATES + END

    versions = [2, 2]
    for halves in reversed(HALVES):
        versions += [2, 2] + ([2, 1, 1] if halves else []) + [2, 2, 2, 2, 2, 1]
    head = integer(1) + text("loss_metric_2") + number(0.04) + number(0.6)
    head += integers(*versions, 2, 2, 2, 3)
    head += text("input_rgb_image_sized") + b"".join(map(number, MEAN)) + integers(*SIZE)
    return head + b"".join(body()), weights
