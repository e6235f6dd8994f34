"""Cluster: the identities in unlabelled images or embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from arcwise.clustering.clusters import Clusters, find_clusters
from arcwise.clustering.constraints import Constraints
from arcwise.data.manifest import Manifest
from arcwise.data.writing import write_table
from arcwise.errors import ArcwiseError, ImageError
from arcwise.recognition import Recogniser
from arcwise.runtime import Model
from arcwise.verbs.cluster_decisions import Decisions, name_of_clusters, read_decisions
from arcwise.verbs.cluster_earlier import kept_ids, read_earlier
from arcwise.verbs.cluster_identities import (
    Accepted,
    ClusterIdentities,
    accepted,
    cluster_identities,
)
from arcwise.verbs.embedding_source import (
    NO_MODEL,
    Embeddings,
    EmbeddingSource,
    embeddings_of,
    model_of_vectors,
    open_sources,
    row_names,
)
from arcwise.verbs.embedding_tables import as_one
from arcwise.verbs.seed import check_seed
from arcwise.verbs.table_path import table_path

if TYPE_CHECKING:
    from arcwise.clustering.linkage.model import LinkageModel


@dataclass(frozen=True, eq=False)
class ClusteredImages:
    """The clusters of a data set.

    Attributes:
        manifest: its rows that have an embedding, N of them.
        names: (N,) what each is called: its image, its `name`, or its row.
        vectors: (N, D) float32 unit rows.
        clusters: with their confidence.
        ids: (N,) int64 the cluster ids that are written: those of an earlier table where it was
            extended, and numbers above for the rest.
        identities: (N,) the enrolled identity of each one's cluster; None for a new one.
        accepted: what the gallery's decision says of the images themselves; None without a gallery.
        given: what the clusters have of that; None without a gallery.
        decisions: what was decided before.
        failures: images that could not be read, and have no row.
        ignored: files that are not images.
        notes: what the user has to know, a line each.
    """

    manifest: Manifest
    names: list[str]
    vectors: np.ndarray
    clusters: Clusters
    ids: np.ndarray
    identities: list[str | None]
    accepted: Accepted | None
    given: ClusterIdentities | None
    decisions: Decisions
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """A short name of these clusters."""
        return name_of_clusters(self.ids, self.names)

    def table(self) -> pa.Table:
        """Return image (or name), cluster, size, confidence, doubtful; identity and accepted."""
        column = "image" if self.manifest.has_images else "name"
        values = {
            column: pa.array(self.names, pa.string()),
            "cluster": pa.array(self.ids),
            "size": pa.array(self.clusters.sizes[self.clusters.labels]),
            "confidence": pa.array(np.round(self.clusters.confidence, 4)),
            "doubtful": pa.array(self.clusters.doubtful),
        }
        if self.accepted is not None or any(self.identities):
            values["identity"] = pa.array(self.identities, pa.string())
        if self.accepted is not None:
            values["accepted"] = pa.array(self.accepted.identities, pa.string())
        return pa.table(values)


def cluster(
    data: str | Path | Manifest | Sequence[str | Path | Manifest],
    *,
    model: str | Path | Model = NO_MODEL,
    method: str = "auto",
    threshold: float | None = None,
    clusters: int | None = None,
    linkage: str | Path | None = None,
    extend: str | Path | None = None,
    gallery: str | Path | None = None,
    far: float | None = None,
    fpir: float | None = None,
    decisions: str | Path | None = None,
    neighbours: str | Path | None = None,
    cached: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> ClusteredImages:
    """Return the clusters of a data set's images. Nothing is written.

    Args:
        data: embeddings, also several tables of them, or images for a model. Identities are not
            looked at.
        model: model folder, or "-" for the data set's vectors. Its calibration says what is
            similar by chance, if it rests on enough identities; else that is found from the data.
        method: as for `arcwise.cluster`.
        threshold: cosine from which on two are linked.
        clusters: how many, for k-means.
        linkage: folder of a linkage model, which clusters instead of the method.
        extend: the table of an earlier run. Images that it names keep their ids, also where the
            clusters would now be others.
        gallery: clusters get its identities, by its decision on their images. What is clustered
            does not depend on it.
        far: false-accept rate that the gallery's decision keeps.
        fpir: false-positive identification rate that it keeps.
        decisions: the file that the page saved.
        neighbours: a folder where neighbours are kept, and a search goes on from.
        cached: whether embeddings are looked for, and kept, in the user's cache folder.
        seed: of everything random.
        progress: called with (steps done, steps in all).

    Raises:
        ArcwiseError: nothing to cluster, decisions that contradict each other, an unusable file,
            a linkage model or a gallery of other embeddings.
    """
    check_seed(seed)
    if linkage is not None and (method != "auto" or threshold is not None or clusters is not None):
        raise ArcwiseError(
            "a linkage model clusters by its own links: expected no method, threshold or number of "
            "clusters beside it"
        )
    source = open_sources([model], None)[0]
    if gallery is None and (far is not None or fpir is not None):
        raise ArcwiseError("a rate of the gallery's decision is given, but no gallery")
    manifest = as_one([data] if isinstance(data, str | Path | Manifest) else data)
    title = manifest.title
    if not len(manifest):
        raise ArcwiseError(f"{title}: holds no image; expected at least one")
    # What is wrong with a file is said before the work.
    earlier = None if extend is None else read_earlier(Path(extend))
    if earlier is not None or decisions is not None:
        place = _places(row_names(manifest, np.arange(len(manifest))), title)
        if decisions is not None:
            read_decisions(Path(decisions), place, title)
    made = _embeddings(
        source, manifest, linkage=linkage, gallery=gallery, far=far, fpir=fpir, cached=cached,
        progress=progress,
    )  # fmt: skip
    vectors, rows = made.embedded.vectors[0], manifest.select(made.embedded.rows)
    names = row_names(rows, made.embedded.rows)
    notes = list(made.notes)
    decided = Decisions()
    if decisions is not None:
        decided = read_decisions(Path(decisions), _places(names, title), title)
        if decided.elsewhere:
            notes.append(
                f"{decided.elsewhere:,} decisions are about images that are not in the data"
            )
    kept = kept_ids(earlier, names, decided, title)
    result = find_clusters(
        vectors,
        method,
        threshold=threshold,
        thresholds=source.thresholds,
        clusters=clusters,
        linkage=made.linkage,
        constraints=Constraints(
            decided.must, decided.cannot, kept.fixed if kept.fixed.max() >= 0 else None, names
        ),
        folder=None if neighbours is None else Path(neighbours),
        seed=seed,
        progress=progress,
    )
    notes += kept.notes
    notes += [result.note] if result.note else []
    known = np.full(result.count, -1)
    known[result.labels[kept.fixed >= 0]] = kept.fixed[kept.fixed >= 0]
    ids = kept.numbered(result.labels, known)
    identity_of, given = kept.names(result.labels, ids), None
    if made.accepted is not None:
        given = cluster_identities(
            result.labels, made.accepted.identities, decided.cannot, identity_of
        )
        identity_of = given.of
    identities = [identity_of.get(label) for label in result.labels.tolist()]
    return ClusteredImages(
        rows, names, vectors, result, ids, identities, made.accepted, given, decided,
        made.embedded.failures, manifest.ignored, tuple(notes),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Embeddings:
    """What is clustered, and what others say of it.

    Attributes:
        embedded: the embeddings.
        linkage: the model that clusters them; None for a method.
        accepted: what the gallery says of them; None without one.
        notes: what the user has to know.
    """

    embedded: Embeddings
    linkage: LinkageModel | None
    accepted: Accepted | None
    notes: tuple[str, ...]


def _embeddings(
    source: EmbeddingSource,
    manifest: Manifest,
    *,
    linkage: str | Path | None,
    gallery: str | Path | None,
    far: float | None,
    fpir: float | None,
    cached: bool,
    progress: Callable[[int, int], object] | None,
) -> _Embeddings:
    """Return the embeddings, which linkage model and gallery have to be for."""
    notes: list[str] = []
    with (
        nullcontext()
        if gallery is None
        else Recogniser(source.model, gallery, mode="r") as recogniser
    ):
        if recogniser is not None and source.model is None:
            if "vector" in manifest.table.column_names:
                notes += _of_the_gallery(recogniser, manifest)
            else:
                source = EmbeddingSource(recogniser.model.name, recogniser.model)
        links = None
        if linkage is not None:
            links, unknown = _linkage(linkage, source, manifest)
            notes += unknown
        embedded = embeddings_of([source], manifest, cached=cached, progress=progress)
        found = None
        if recogniser is not None:
            found = accepted(recogniser, embedded.vectors[0], far, fpir)
            notes += found.notes
    return _Embeddings(embedded, links, found, (*notes, *embedded.notes))


def write_clusters(found: ClusteredImages, out: str | Path) -> Path:
    """Write the table to a new .parquet or .csv, and return its path."""
    path = table_path(out)
    with write_table(path) as write:
        write(found.table())
    return path


def _places(names: list[str], title: str) -> dict[str, int]:
    """Return the row of each name.

    Raises:
        ArcwiseError: two rows have one name.
    """
    place = {name: row for row, name in enumerate(names)}
    if len(place) < len(names):
        twice = next(name for row, name in enumerate(names) if place[name] != row)
        raise ArcwiseError(
            f"{title}: lists {twice} twice; a table to extend and decisions go by names, so leave "
            "one row out"
        )
    return place


def _linkage(
    folder: str | Path, source: EmbeddingSource, manifest: Manifest
) -> tuple[LinkageModel, list[str]]:
    """Return a linkage model, and a note where it is not known whose embeddings it gets.

    Raises:
        ArcwiseError: there is none, or it was trained on those of another model.
    """
    from arcwise.clustering.linkage.model import load

    loaded = load(folder)
    made_by = source.fingerprint or model_of_vectors(manifest)
    if loaded.embeddings_of and made_by and loaded.embeddings_of != made_by:
        raise ArcwiseError(
            f"{folder}: trained on embeddings of the model {loaded.embeddings_of[:12]}, and these "
            f"are of {made_by[:12]}; embed with that model, or train: arcwise train-linkage"
        )
    return loaded, [] if loaded.embeddings_of and made_by else [_unknown(manifest, str(folder))]


def _of_the_gallery(recogniser: Recogniser, manifest: Manifest) -> list[str]:
    """Return a note where it is not known whether vectors are of the gallery's model.

    Raises:
        ArcwiseError: they are of another one.
    """
    model, made_by = recogniser.model, model_of_vectors(manifest)
    dim = manifest.vectors.shape[1]
    if made_by not in ("", model.fingerprint) or dim != model.dim:
        of = f"of {made_by[:12]}" if made_by else "of another one"
        raise ArcwiseError(
            f"{recogniser.path}: enrolled by the model {model.fingerprint[:12]} in {model.dim} "
            f"dimensions, and these embeddings are {of} in {dim}; embed with the gallery's model: "
            f"arcwise embed {model.path} DATA"
        )
    return [] if made_by else [_unknown(manifest, str(recogniser.path))]


def _unknown(manifest: Manifest, of: str) -> str:
    return (
        f"{manifest.title} does not say which model made its embeddings: they are taken to be of "
        f"the model of {of}"
    )
