"""A tiny vision transformer, and a slow, obvious one in float64 from DINOv2's state dict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from arcwise.encoders.backbone import BackboneEncoder
from arcwise.encoders.spec import EncoderSpec
from arcwise.encoders.vit import VisionTransformer

Array = np.ndarray


def tiny(
    size: tuple[int, int] = (24, 24), *, registers: int = 0, pooling: str = "cls"
) -> BackboneEncoder:
    """Two blocks of 12 channels with 3 heads, on patches of 4 pixels, originally 6 × 6 of them."""
    torch.manual_seed(0)
    backbone = VisionTransformer(
        channels=12, heads=3, depth=2, patch=4, registers=registers, grid=6, size=size
    )
    for parameter in backbone.parameters():  # as after training: nothing is the identity
        nn.init.normal_(parameter, std=0.4)
    encoder = BackboneEncoder(
        backbone, dim=7, size=size, pooling=pooling, projection="bn-linear-bn"
    )
    encoder.spec = EncoderSpec("vit_small_14", 7, size)  # type: ignore[assignment]
    return encoder.eval()


def features(state: Mapping[str, Array], image: Array, *, patch: int, heads: int) -> Array:
    """All tokens of one (3, H, W) image after the last normalisation: class, registers, patches."""
    state = {key: np.asarray(value, np.float64) for key, value in state.items()}
    kernel, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    height, width = image.shape[1] // patch, image.shape[2] // patch
    registers = state.get("register_tokens")
    places = positions(state["pos_embed"][0], height, width, antialias=registers is not None)
    tokens = [state["cls_token"][0, 0] + places[0]]
    if registers is not None:
        tokens += list(registers[0])
    for y in range(height):
        for x in range(width):
            cut = image[:, y * patch : (y + 1) * patch, x * patch : (x + 1) * patch]
            embedded = np.array([np.sum(filter_ * cut) for filter_ in kernel]) + bias
            tokens.append(embedded + places[1 + y * width + x])
    block = 0
    while f"blocks.{block}.norm1.weight" in state:
        at = f"blocks.{block}."
        part = {key[len(at) :]: value for key, value in state.items() if key.startswith(at)}
        one = np.ones_like(part["norm1.weight"])
        normed = [normalised(token, part, "norm1") for token in tokens]
        mixed = attention(normed, part, heads)
        scale = part.get("ls1.gamma", one)
        tokens = [token + scale * new for token, new in zip(tokens, mixed, strict=True)]
        scale = part.get("ls2.gamma", one)
        tokens = [token + scale * perceptron(token, part) for token in tokens]
        block += 1
    return np.array([normalised(token, state, "norm") for token in tokens])


def normalised(token: Array, part: Mapping[str, Array], name: str) -> Array:
    mean = token.sum() / len(token)
    variance = ((token - mean) ** 2).sum() / len(token)
    unit = (token - mean) / math.sqrt(variance + 1e-6)
    return part[f"{name}.weight"] * unit + part[f"{name}.bias"]


def attention(tokens: list[Array], part: Mapping[str, Array], heads: int) -> list[Array]:
    channels = len(tokens[0])
    each = channels // heads
    query, key, value = (
        [part["attn.qkv.weight"][rows] @ token + part["attn.qkv.bias"][rows] for token in tokens]
        for rows in (slice(n * channels, (n + 1) * channels) for n in range(3))
    )
    out = []
    for q in query:
        mixed = np.empty(channels)
        for head in range(heads):
            cut = slice(head * each, (head + 1) * each)
            logits = [float(q[cut] @ k[cut]) / math.sqrt(each) for k in key]
            powers = [math.exp(logit - max(logits)) for logit in logits]
            mixed[cut] = sum(
                power / sum(powers) * v[cut] for power, v in zip(powers, value, strict=True)
            )
        out.append(part["attn.proj.weight"] @ mixed + part["attn.proj.bias"])
    return out


def perceptron(token: Array, part: Mapping[str, Array]) -> Array:
    inner = part["mlp.fc1.weight"] @ normalised(token, part, "norm2") + part["mlp.fc1.bias"]
    gelu = np.array([x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in inner])
    return part["mlp.fc2.weight"] @ gelu + part["mlp.fc2.bias"]


def positions(published: Array, height: int, width: int, *, antialias: bool) -> Array:
    """(1 + P, C) position embeddings of another grid, of (1 + M², C) published ones."""
    side = math.isqrt(len(published) - 1)
    if height == width == side:
        return published
    taps = filtered_taps if antialias else plain_taps
    grid = published[1:].reshape(side, side, -1)
    places = [published[0]]
    for row in taps(side, height):
        for column in taps(side, width):
            places.append(
                sum(a * b * grid[y, x] for y, a in row.items() for x, b in column.items())
            )
    return np.array(places)


def plain_taps(length: int, target: int) -> list[dict[int, float]]:
    """For each of the target places, weights by source place: four taps, repeated at the border.

    Bicubic convolution with a = -3/4, at the places of a target that is 0.1 longer.
    """
    step = length / (target + 0.1)
    found = []
    for place in range(target):
        centre = (place + 0.5) * step - 0.5
        weights: dict[int, float] = {}
        for tap in range(math.floor(centre) - 1, math.floor(centre) + 3):
            inside = min(max(tap, 0), length - 1)
            weights[inside] = weights.get(inside, 0.0) + cubic(centre - tap, -0.75)
        found.append(weights)
    return found


def filtered_taps(length: int, target: int) -> list[dict[int, float]]:
    """The same with a = -1/2 and a kernel as wide as the step, cut at the border and normalised."""
    step = length / target
    width = max(step, 1.0)
    found = []
    for place in range(target):
        centre = (place + 0.5) * step
        weights = {tap: cubic((tap + 0.5 - centre) / width, -0.5) for tap in range(length)}
        total = sum(weights.values())
        found.append({tap: weight / total for tap, weight in weights.items()})
    return found


def cubic(x: float, a: float) -> float:
    """The cubic convolution kernel (Keys, 1981, equation 4)."""
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


Taps = Callable[[int, int], list[dict[int, float]]]


def matrix(taps: Taps, length: int, target: int) -> Array:
    """The weights as a (target, length) matrix."""
    out = np.zeros((target, length))
    for place, weights in enumerate(taps(length, target)):
        for tap, weight in weights.items():
            out[place, tap] = weight
    return out
