"""Data clean: labels of a data set that its embeddings contradict, for a person to judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from arcwise.clustering.clusters import Clusters, find_clusters
from arcwise.clustering.label_errors import KINDS, LabelError, label_errors
from arcwise.clustering.links import DUPLICATE, NeighbourLinks
from arcwise.data.check.near_duplicates import make_thumbnail, near_duplicates
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import each_row
from arcwise.data.writing import write_table
from arcwise.errors import ArcwiseError, ImageError
from arcwise.images import decode
from arcwise.runtime import Model
from arcwise.verbs.data_clean_decisions import LabelDecision, read_label_decisions
from arcwise.verbs.embedding_source import NO_MODEL, embeddings_of, open_sources, row_names
from arcwise.verbs.review_images import images_are_there
from arcwise.verbs.seed import check_seed
from arcwise.verbs.table_path import table_path


@dataclass(frozen=True, eq=False)
class LabelReport:
    """What the embeddings of a data set say against its labels.

    Attributes:
        manifest: its rows that have an embedding and an identity, N of them.
        names: (N,) what each is called: its image, its `name`, or its row.
        identities: (C,) the identities, in the order of the codes.
        owner: (N,) code of each.
        vectors: (N, D) float32 unit rows.
        clusters: of the embeddings, without labels.
        errors: the suspected ones that are not decided yet, the surest first.
        decided: how many others are, with an answer or without.
        decisions: what was decided before.
        failures: images that could not be read.
        ignored: files that are not images.
        notes: what the user has to know, a line each.
    """

    manifest: Manifest
    names: list[str]
    identities: list[str]
    owner: np.ndarray
    vectors: np.ndarray
    clusters: Clusters
    errors: tuple[LabelError, ...]
    decided: int
    decisions: tuple[LabelDecision, ...]
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many errors there are of each kind."""
        return {kind: sum(one.kind == kind for one in self.errors) for kind in KINDS}

    def undecided(self, error: LabelError) -> LabelDecision:
        """Return an error by names, without an answer."""
        return LabelDecision(
            error.kind,
            tuple(self.identities[one] for one in error.identities),
            tuple(self.names[row] for row in error.rows),
        )

    def table(self) -> pa.Table:
        """Return a row for each image of each error; the number says which are one error."""
        rows = [(n, one, row) for n, one in enumerate(self.errors, 1) for row in one.rows]
        others = [next((c for c in one.identities if c != self.owner[row]), None)
                  for _, one, row in rows]  # fmt: skip
        text = {
            "kind": [one.kind for _, one, _ in rows],
            "image" if self.manifest.has_images else "name": [self.names[row] for *_, row in rows],
            "identity": [self.identities[self.owner[row]] for *_, row in rows],
            "other_identity": [None if c is None else self.identities[c] for c in others],
            "votes": [" ".join(one.votes) for _, one, _ in rows],
            "against": [" ".join(one.against) for _, one, _ in rows],
        }
        return pa.table(
            {"error": pa.array([n for n, *_ in rows], pa.int64())}
            | {name: pa.array(values, pa.string()) for name, values in text.items()}
            | {
                "similarity": pa.array(
                    [round(one.similarity, 4) for _, one, _ in rows], pa.float64()
                )
            }
        )


def clean(
    data: str | Path | Manifest,
    *,
    model: str | Path | Model = NO_MODEL,
    decisions: str | Path | None = None,
    cached: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> LabelReport:
    """Return the labels of a data set that its embeddings contradict. Nothing is changed.

    Near-duplicates are looked for in the images, where there are images, and else are equal
    embeddings.

    Args:
        data: embeddings with identities, or images for a model.
        model: model folder, or "-" for the data set's vectors. Its calibration says what is
            similar by chance, if it rests on enough identities; else that is found from the data.
        decisions: the file that the page saved; what it decides is not asked again.
        cached: whether embeddings are looked for, and kept, in the user's cache folder.
        seed: of everything random.
        progress: called with (steps done, steps in all).

    Raises:
        ArcwiseError: there are no two identities, or a file is not usable.
    """
    check_seed(seed)
    source = open_sources([model], None)[0]
    decided = () if decisions is None else read_label_decisions(Path(decisions))
    manifest = open_manifest(data, identities=False)
    given = manifest.column("identity")
    if given is None:
        raise ArcwiseError(
            f"{manifest.title}: has no identities to clean; name their column with "
            "--identity-column, or find some: arcwise cluster"
        )
    labelled = np.flatnonzero([bool(one) for one in given])
    if len(identities := sorted({given[row] for row in labelled})) < 2:
        raise ArcwiseError(
            f"{manifest.title}: labels of {len(identities)} identities; expected two or more"
        )
    rows = manifest.select(labelled)
    every = row_names(rows, labelled)
    if decided and not {name for one in decided for name in one.images} & set(every):
        raise ArcwiseError(
            f"{decisions}: no image that is decided about is in {manifest.title}; expected the "
            f"data that was cleaned, its images named in the same way, such as "
            f"{decided[0].images[0]}"
        )
    embedded = embeddings_of([source], rows, cached=cached, progress=progress)
    rows, vectors = rows.select(embedded.rows), embedded.vectors[0]
    identities = rows.classes  # some may have had unreadable images only
    names = row_names(rows, labelled[embedded.rows])
    notes = list(embedded.notes)
    if len(labelled) < len(manifest):
        notes.append(f"{len(manifest) - len(labelled):,} rows without an identity are left out")
    found = find_clusters(vectors, thresholds=source.thresholds, seed=seed, progress=progress)
    notes += [found.note] if found.note else []
    if rows.has_images and not images_are_there(rows):
        notes.append("the images are not there: copies are looked for among the embeddings alone")
    copies = copies_across(rows, found.links, rows.labels)
    report = LabelReport(
        rows, names, identities, rows.labels, vectors, found, (), 0, decided, embedded.failures,
        manifest.ignored, tuple(notes),
    )  # fmt: skip
    done = {one.subject for one in decided}
    errors = label_errors(vectors, rows.labels, found, copies)
    left = tuple(one for one in errors if report.undecided(one).subject not in done)
    return replace(report, errors=left, decided=len(errors) - len(left))


def write_label_errors(report: LabelReport, out: str | Path) -> Path:
    """Write the table of errors to a new .parquet or .csv, and return its path."""
    with write_table(table_path(out)) as write:
        write(report.table())
    return Path(out)


def copies_across(rows: Manifest, links: NeighbourLinks, owner: np.ndarray) -> np.ndarray:
    """Return (P, 2) rows of two identities that are nearly one image.

    Those are equal embeddings, and images as similar as a linked pair that are near-duplicates.
    An image that cannot be read is in none.

    Args:
        rows: N images or vectors.
        links: of their embeddings.
        owner: (N,) identities.
    """
    across = owner[links.pairs[:, 0]] != owner[links.pairs[:, 1]]
    equal = links.pairs[across & (links.similarity >= DUPLICATE)]
    near = links.pairs[across & (links.similarity >= links.threshold)]
    if not rows.has_images or not len(near):
        return equal
    images = np.unique(near)

    def thumbnail(place: int) -> np.ndarray | None:
        row = int(images[place])
        try:
            return make_thumbnail(decode(rows.read(row), rows.image(row)))
        except ImageError:
            return None

    made = list(each_row(thumbnail, len(images)))
    readable = np.flatnonzero([one is not None for one in made])
    if not len(readable):
        return equal
    alike = near_duplicates(np.stack([one for one in made if one is not None]))
    pairs = np.sort(images[readable][np.stack([alike.a, alike.b], axis=1)], axis=1)
    pairs = pairs[owner[pairs[:, 0]] != owner[pairs[:, 1]]]
    return np.unique(np.concatenate([equal, pairs]), axis=0)
