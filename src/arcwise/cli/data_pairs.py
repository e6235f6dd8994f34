"""`arcwise data pairs`."""

from __future__ import annotations

import math
import re

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data, OutFile
from arcwise.cli.screen import progress
from arcwise.errors import ArcwiseError
from arcwise.verbs.data_pairs import make_pairs


def command(
    data: Data,
    out: OutFile,
    pairs: int = 6000,
    folds: int = 10,
    domains: str | None = None,
    age_gap: str | None = None,
    seed: int = 0,
    naming: NamingOptions = USUAL,
) -> int:
    """Draw verification pairs: as many same as different, in folds that share no identity.

    Args:
        data: Data set with identities, in any form.
        out: New .csv, .txt as LFW's, or .bin pack.
        pairs: Number of pairs.
        folds: Number of folds.
        domains: Two domains, as in studio,shop: each pair has an image of each.
        age_gap: Years between the two images of each pair, at least, as in 20; or a range, as
            in 20-40.
        seed: Seed of everything that is drawn.
        naming: Names of the columns and folders of a table.
    """
    with progress("writing") as move:
        done = make_pairs(
            naming.open(data),
            out,
            pairs=pairs,
            folds=folds,
            domains=None if domains is None else _two(domains),
            age_gap=None if age_gap is None else _range(age_gap),
            seed=seed,
            progress=move,
        )
    print(done)
    return 0


def _two(text: str) -> tuple[str, str]:
    words = [word.strip() for word in text.split(",")]
    if len(words) != 2 or not all(words):
        raise ArcwiseError(f"--domains is {text!r}; expected two with a comma, as in studio,shop")
    return words[0], words[1]


def _range(text: str) -> tuple[float, float]:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text.replace(" ", ""))
    low, high = (float(match[1]), float(match[2] or math.inf)) if match else (1.0, 0.0)
    if low > high:
        raise ArcwiseError(f"--age-gap is {text!r}; expected years, as in 20, or 20-40")
    return low, high
