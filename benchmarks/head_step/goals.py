"""What each of arcwise's lines is to reach: step / floor, and memory beyond X, W and momentum."""

from __future__ import annotations

MIB = 2**20

RATIOS: dict[str, dict[int, dict[int, float]]] = {
    "none": {
        128: {10_000: 1.6, 100_000: 1.55, 1_000_000: 1.25},
        512: {10_000: 1.6, 100_000: 1.45, 1_000_000: 1.3},
    },
    "fp32": {
        128: {10_000: 1.3, 100_000: 1.3, 1_000_000: 1.1},
        512: {10_000: 1.2, 100_000: 1.1, 1_000_000: 1.1},
    },
    "bf16": {
        128: {10_000: 1.0, 100_000: 1.0, 1_000_000: 0.75},
        512: {10_000: 0.9, 100_000: 0.8, 1_000_000: 0.75},
    },
    "truncated": {128: {100_000: 0.6}, 512: {100_000: 0.6}},
    "roulette": {128: {100_000: 0.6}, 512: {100_000: 0.6}},
}
"""Line → batch → classes → the highest ratio of a step to the floor of the same process."""

SPEEDUP = 1.8
"""Wall time at one thread over wall time at two."""


def ratio(line: str, batch: int, classes: int) -> float | None:
    """The goal for step / floor, where there is one."""
    return RATIOS.get(line, {}).get(batch, {}).get(classes)


def memory(line: str, batch: int, classes: int, share_kept: float | None) -> float | None:
    """The goal in bytes, where there is one; a kept entry of a truncated line may take 12."""
    pairs = batch * classes
    match line:
        case "none":
            return 64 * MIB
        case "fp32":
            return 4 * pairs + 16 * MIB
        case "bf16":
            return 2 * pairs + 35 * MIB
        case "truncated" | "roulette" if share_kept is not None:
            return 12 * share_kept * pairs
    return None
