"""What the columns `domain`, `age` and others of numbers hold, and what is odd about it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from arcwise.data.check.merged_rows import suspects
from arcwise.data.column_values import far_values, impossible, impossible_in_words
from arcwise.data.domain_pairs import DomainPairs, domain_pairs, lacking_in_words
from arcwise.data.formats.manifest_columns import TEXT
from arcwise.data.manifest import Manifest
from arcwise.data.split import LEAST_PAIRED
from arcwise.data.training_columns import is_numeric, training_columns

PAIRS_A_BATCH = 32
"""Identities in a batch of the recipe `bisample`."""

HELD_OUT = 0.2
"""Share of the identities that a training holds out, where nothing else is said."""


class ColumnsReport(NamedTuple):
    """What the columns hold.

    Attributes:
        two_images: why the recipe for two images an identity fits; empty where it does not.
        batch: what its `--batch` has to be at most; None where its own will do.
        ages: how many ages are known, and their range; empty without such a column.
        problems: what training or evaluation refuses, or what is a mistake.
        notes: what is odd.
    """

    two_images: str
    batch: int | None
    ages: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]


NO_COLUMNS = ColumnsReport("", None, "", (), ())


def look_at_columns(manifest: Manifest) -> ColumnsReport:
    """Return what the columns of a data set hold."""
    pairs = domain_pairs(manifest)
    problems, notes = _of_domains(manifest, pairs)
    ages = ""
    for name, values in _numbers(manifest):
        if problem := impossible_in_words(name, values):
            problems.append(problem)
        elif note := far_values(name, values):
            notes.append(note)
        if name == "age":
            ages = _ages(values)
    batch = None
    if pairs.bisample:
        identities = len(set(filter(None, manifest.column("identity") or ())))
        trained = max(len(pairs.paired) - max(round(HELD_OUT * identities), LEAST_PAIRED), 0)
        batch = 2 * trained if trained < PAIRS_A_BATCH else None
    return ColumnsReport(_two_images(pairs), batch, ages, tuple(problems), tuple(notes))


def _two_images(found: DomainPairs) -> str:
    """Return why the recipe for two images an identity fits a data set; empty where it does not."""
    if not found.bisample:
        return ""
    first, second = found.domains
    reason = (
        f"{found.exact:,} of {len(found.paired) + len(found.lacking):,} identities have one image "
        f"of {first} and one of {second}, and no other"
    )
    if found.deep:
        reason += f"; {len(found.deep):,} identities have more than two"
    return reason


def _of_domains(manifest: Manifest, found: DomainPairs) -> tuple[list[str], list[str]]:
    """Return the problems and the oddities of the column `domain`."""
    if manifest.column("domain") is None:
        return [], []
    problems = [
        f"domain: {' / '.join(one)} are perhaps one, spelled differently"
        for one in suspects(found.domains)
    ]
    if found.bisample and found.lacking:
        problems.append(f"domain: {lacking_in_words(found)}")
    count = len(found.domains)
    notes = []
    if count != 2:
        named = {0: "is empty", 1: f"is {''.join(found.domains)} in every row that has one"}
        notes.append(
            f"domain {named.get(count, f'has {count} values')}; training pairs of images of two "
            "domains (--recipe bisample) needs two"
        )
    return problems, notes


def _numbers(manifest: Manifest) -> list[tuple[str, np.ndarray]]:
    """Return the columns of numbers, (N,) each, NaN where one is not known."""
    found = []
    for name in manifest.table.column_names:
        kind = manifest.table.column(name).type
        if name in TEXT:
            continue
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or is_numeric(kind)):
            continue
        values = training_columns(manifest, [name]).values[name]
        if values.dtype.kind == "f":
            found.append((name, values))
    return found


def _ages(values: np.ndarray) -> str:
    known = values[~np.isnan(values) & ~impossible("age", values)]
    if not len(known):
        return f"known of none of {len(values):,} images"
    return (
        f"known of {len(known):,} of {len(values):,} images, {known.min():g} to {known.max():g}, "
        f"median {np.median(known):g}"
    )
