"""Pairs to verify, drawn from a data set that states none."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from arcwise.data.formats.opening import open_manifest
from arcwise.data.formats.pairs import write_pairs_table
from arcwise.data.formats.pairs.lfw import lfw_text
from arcwise.data.formats.pairs.row_names import plain_paths, row_names
from arcwise.data.manifest import Manifest
from arcwise.data.pair_drawing import DrawnPairs, PairRule, draw_pairs
from arcwise.data.parallel import Progress
from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write
from arcwise.protocols.layout import Layout, layout, named
from arcwise.protocols.rows import rows_to_measure
from arcwise.verbs.data_convert import convert
from arcwise.verbs.seed import check_seed

FORMS = (".csv", ".txt", ".bin")


@dataclass(frozen=True)
class PairsFile:
    """What was written; it prints itself.

    Attributes:
        path: where.
        pairs: how many, half of them of one identity.
        folds: that share no identity.
        identities: that are in a pair.
        items: pictures (or templates, or vectors) that are in a pair.
        kind: which of these.
        rows: which rows of the data set they were drawn from, in words.
        repeated: rows that name a picture that another row names; they were passed over.
    """

    path: Path
    pairs: int
    folds: int
    identities: int
    items: int
    kind: str
    rows: str
    repeated: int = 0

    def __str__(self) -> str:
        lines = [
            f"{self.path}: {self.pairs:,} pairs in {self.folds} folds, half of them same; "
            f"{self.items:,} {self.kind} of {self.identities:,} identities, from {self.rows}"
        ]
        if self.repeated:
            lines.append(f"  {self.repeated:,} rows passed over: their picture is in another row")
        return "\n".join(lines)


def make_pairs(
    source: Manifest | str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    pairs: int = 6000,
    folds: int = 10,
    domains: tuple[str, str] | None = None,
    age_gap: tuple[float, float] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PairsFile:
    """Pairs for `arcwise evaluate --pairs`, from the rows that `evaluate` measures.

    Args:
        source: a manifest, or anything `open_manifest` takes.
        destination: must not exist; a `.csv` of `a`, `b`, `same`, `fold` and what was asked for, a
            `.txt` as LFW's, or a `.bin` pack with the pictures.
        pairs: how many; a multiple of twice the folds.
        folds: how many; no identity is in two.
        domains: each pair has a picture of the one, as `a`, and one of the other.
        age_gap: years between the two pictures of each pair, at least and at most.
        seed: of everything that is drawn.
        progress: called with the pictures copied and their total, where they are.

    Raises:
        ArcwiseError: a column is lacking, or there are too few pairs: how many is said.
    """
    target = Path(destination)
    form = target.suffix.lower()
    if form not in FORMS:
        raise ArcwiseError(f"{target}: pairs go to a file; end the name in {', '.join(FORMS)}")
    check_seed(seed)
    measured, words = rows_to_measure(named(open_manifest(source)))
    manifest = _once(measured)
    items = layout(manifest)
    owner = np.unique(items.ids, return_inverse=True)[1]
    rule = _rule(items, domains, age_gap)
    try:
        drawn = draw_pairs(owner, rule, pairs=pairs, folds=folds, seed=seed)
    except ArcwiseError as problem:
        those = f"{len(np.unique(owner))} identities in {words}"
        raise ArcwiseError(f"{manifest.name}, {those}: {problem}") from None
    table = _table(items, drawn, rule, domains is not None)
    if form == ".bin":
        convert(replace(manifest, pairs=table), target, progress=progress)
    else:
        text = lfw_text(table, manifest, str(target)) if form == ".txt" else None
        with atomic_write(target, overwrite=False) as path:
            if text is None:
                write_pairs_table(table, path)
            else:
                path.write_text(text, encoding="utf-8", newline="")
    used = np.unique([drawn.a, drawn.b])
    return PairsFile(
        target,
        pairs,
        folds,
        len(np.unique(owner[used])),
        len(used),
        items.kind,
        words,
        len(measured) - len(manifest),
    )


def _once(manifest: Manifest) -> Manifest:
    """The manifest without rows whose picture an earlier row has."""
    if not manifest.has_images or "template" in manifest.table.column_names:
        return manifest
    names = plain_paths(row_names(manifest)).to_pylist()
    first = {image: row for row, image in reversed(list(enumerate(names)))}
    return manifest if len(first) == len(names) else manifest.select(sorted(first.values()))


def _rule(
    items: Layout, domains: tuple[str, str] | None, age_gap: tuple[float, float] | None
) -> PairRule:
    count = len(items.rows)
    first = second = np.ones(count, bool)
    if domains is not None:
        first, second = (_of_domain(items, one) for one in domains)
    medium = None
    if items.media is not None and items.template is None:
        medium = np.unique(items.media, return_inverse=True)[1]
    if age_gap is None:
        return PairRule(first, second, medium)
    ages = _column(items, "age", "--age-gap")
    known = np.array([np.nan if age is None else age for age in ages], np.float64)
    return PairRule(first, second, medium, known, age_gap)


def _of_domain(items: Layout, domain: str) -> np.ndarray:
    """(U,) whether an item is of this domain."""
    found = _column(items, "domain", "--domains")
    if domain not in found:
        there = ", ".join(sorted({str(one) for one in found if one}))
        raise ArcwiseError(
            f"{items.manifest.name}: no row of domain {domain!r}; expected two of {there}"
        )
    return np.array([one == domain for one in found])


def _column(items: Layout, name: str, option: str) -> list[Any]:
    values = items.column(name)
    if values is None:
        raise ArcwiseError(f"{items.manifest.name}: no column {name!r}; expected one for {option}")
    return values


def _table(items: Layout, drawn: DrawnPairs, rule: PairRule, domains: bool) -> pa.Table:
    names = np.array(items.names, object)
    table = pa.table(
        {
            "a": pa.array(names[drawn.a], pa.string()),
            "b": pa.array(names[drawn.b], pa.string()),
            "same": drawn.same,
            "fold": drawn.fold,
        }
    )
    if domains:
        found = np.array(items.column("domain"), object)
        for side, rows in (("domain_a", drawn.a), ("domain_b", drawn.b)):
            table = table.append_column(side, pa.array(found[rows], pa.string()))
    if rule.age is not None:
        gaps = np.abs(rule.age[drawn.a] - rule.age[drawn.b])
        table = table.append_column("age_gap", pa.array(gaps))
    return table
