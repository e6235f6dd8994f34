"""A file as disks and networks leave it."""

from __future__ import annotations

import random
from collections.abc import Iterator


def damaged(whole: bytes, most: int = 80, seed: int = 0) -> Iterator[bytes]:
    """The file cut off, and with one byte changed, at up to `most` places each."""
    draw = random.Random(seed)
    for place in draw.sample(range(len(whole)), min(most, len(whole))):
        yield whole[:place]
        yield whole[:place] + bytes([draw.randrange(256)]) + whole[place + 1 :]
