"""Data pairs: pairs to verify, drawn from a data set that states none."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from arcwise.data.column_values import refuse_impossible
from arcwise.data.formats.opening import open_manifest
from arcwise.data.formats.pairs import write_pairs_table
from arcwise.data.formats.pairs.lfw import lfw_text
from arcwise.data.formats.pairs.row_names import plain_paths, row_names
from arcwise.data.manifest import Manifest
from arcwise.data.pair_drawing import DrawnPairs, PairRule, draw_pairs
from arcwise.data.parallel import Progress
from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write
from arcwise.protocols.template_set import (
    TemplateSet,
    rows_to_measure,
    template_set,
    with_names,
)
from arcwise.verbs.data_convert import convert
from arcwise.verbs.seed import check_seed

FORMS = (".csv", ".txt", ".bin")


@dataclass(frozen=True)
class PairsFile:
    """What was written; it prints itself.

    Attributes:
        path: where.
        pairs: how many pairs, half of them of one identity.
        folds: how many folds, which share no identity.
        identities: how many identities are in a pair.
        templates: how many images (or templates, or vectors) are in a pair.
        kind: which of these they are.
        rows: which rows of the data set they were drawn from, in words.
        repeated: rows that name an image that another row names; they were passed over.
    """

    path: Path
    pairs: int
    folds: int
    identities: int
    templates: int
    kind: str
    rows: str
    repeated: int = 0

    def __str__(self) -> str:
        lines = [
            f"{self.path}: {self.pairs:,} pairs in {self.folds} folds, half of them same; "
            f"{self.templates:,} {self.kind} of {self.identities:,} identities, from {self.rows}"
        ]
        if self.repeated:
            lines.append(f"  {self.repeated:,} rows passed over: their image is in another row")
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
    """Draw pairs for `arcwise evaluate --pairs`, from the rows that `evaluate` measures.

    Args:
        source: a manifest, or anything `open_manifest` takes.
        destination: must not exist; a `.csv` of `a`, `b`, `same`, `fold` and what was asked for, a
            `.txt` as LFW's, or a `.bin` pack with the images.
        pairs: how many; a multiple of twice the folds.
        folds: how many; no identity is in two.
        domains: each pair has an image of the one, as `a`, and one of the other.
        age_gap: years between the two images of each pair, at least and at most.
        seed: of everything that is drawn.
        progress: called with the images copied and their total, where they are.

    Raises:
        ArcwiseError: a column is lacking, or there are too few pairs: how many is said.
    """
    target = Path(destination)
    form = target.suffix.lower()
    if form not in FORMS:
        raise ArcwiseError(f"{target}: pairs go to a file; end the name in {', '.join(FORMS)}")
    check_seed(seed)
    rows, rows_in_words = rows_to_measure(with_names(open_manifest(source)))
    manifest = _each_image_once(rows)
    templates = template_set(manifest)
    owner = np.unique(templates.ids, return_inverse=True)[1]
    rule = _rule(templates, domains, age_gap)
    try:
        drawn = draw_pairs(owner, rule, pairs=pairs, folds=folds, seed=seed)
    except ArcwiseError as problem:
        drawn_from = f"{len(np.unique(owner))} identities in {rows_in_words}"
        raise ArcwiseError(f"{manifest.name}, {drawn_from}: {problem}") from None
    table = _table(templates, drawn, rule, domains is not None)
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
        templates.kind,
        rows_in_words,
        len(rows) - len(manifest),
    )


def _each_image_once(manifest: Manifest) -> Manifest:
    """Return the manifest without rows whose image an earlier row has."""
    if not manifest.has_images or "template" in manifest.table.column_names:
        return manifest
    names = plain_paths(row_names(manifest)).to_pylist()
    first = {image: row for row, image in reversed(list(enumerate(names)))}
    return manifest if len(first) == len(names) else manifest.select(sorted(first.values()))


def _rule(
    templates: TemplateSet, domains: tuple[str, str] | None, age_gap: tuple[float, float] | None
) -> PairRule:
    count = len(templates.first_row)
    first = second = np.ones(count, bool)
    if domains is not None:
        first, second = (_of_domain(templates, one) for one in domains)
    medium = None
    if templates.media is not None and templates.template_of_row is None:
        medium = np.unique(templates.media, return_inverse=True)[1]
    if age_gap is None:
        return PairRule(first, second, medium)
    ages = _column(templates, "age", "--age-gap")
    refuse_impossible(templates.manifest, "age")
    numbers = np.array([np.nan if age is None else age for age in ages], np.float64)
    return PairRule(first, second, medium, numbers, age_gap)


def _of_domain(templates: TemplateSet, domain: str) -> np.ndarray:
    """Return (U,) whether each template is of this domain."""
    domains = _column(templates, "domain", "--domains")
    if domain not in domains:
        present = ", ".join(sorted({str(one) for one in domains if one}))
        raise ArcwiseError(
            f"{templates.manifest.name}: no row of domain {domain!r}; expected two of {present}"
        )
    return np.array([one == domain for one in domains])


def _column(templates: TemplateSet, name: str, option: str) -> list[Any]:
    values = templates.column(name)
    if values is None:
        raise ArcwiseError(
            f"{templates.manifest.name}: no column {name!r}; expected one for {option}"
        )
    return values


def _table(templates: TemplateSet, drawn: DrawnPairs, rule: PairRule, domains: bool) -> pa.Table:
    names = np.array(templates.names, object)
    table = pa.table(
        {
            "a": pa.array(names[drawn.a], pa.string()),
            "b": pa.array(names[drawn.b], pa.string()),
            "same": drawn.same,
            "fold": drawn.fold,
        }
    )
    if domains:
        domain_of = np.array(templates.column("domain"), object)
        for side, rows in (("domain_a", drawn.a), ("domain_b", drawn.b)):
            table = table.append_column(side, pa.array(domain_of[rows], pa.string()))
    if rule.age is not None:
        gaps = np.abs(rule.age[drawn.a] - rule.age[drawn.b])
        table = table.append_column("age_gap", pa.array(gaps))
    return table
