"""Cluster: the identities in unlabelled images or embeddings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from arcwise.clustering.clusters import Clusters, find_clusters
from arcwise.clustering.constraints import Constraints
from arcwise.data.formats.csv_text import parse_csv
from arcwise.data.formats.opening import open_manifest
from arcwise.data.formats.parquet_table import parse_parquet
from arcwise.data.manifest import Manifest
from arcwise.data.writing import write_table
from arcwise.errors import ArcwiseError, ImageError
from arcwise.files import read_file
from arcwise.gallery import decide
from arcwise.recognition import Recogniser
from arcwise.recognition.thresholds import search_operating_point
from arcwise.runtime import Model
from arcwise.verbs.cluster_decisions import Decisions, name_of_clusters, read_decisions
from arcwise.verbs.embedding_source import (
    NO_MODEL,
    EmbeddingSource,
    embeddings_of,
    model_of_vectors,
    open_sources,
    row_names,
)
from arcwise.verbs.seed import check_seed

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
        accepted: images that the gallery's decision gave an identity.
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
    accepted: int
    decisions: Decisions
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """A short name of these clusters."""
        return name_of_clusters(self.ids, self.names)

    def table(self) -> pa.Table:
        """Return image (or name), cluster, size, confidence, doubtful, and perhaps identity."""
        column = "image" if self.manifest.has_images else "name"
        values = {
            column: pa.array(self.names, pa.string()),
            "cluster": pa.array(self.ids),
            "size": pa.array(self.clusters.sizes[self.clusters.labels]),
            "confidence": pa.array(np.round(self.clusters.confidence, 4)),
            "doubtful": pa.array(self.clusters.doubtful),
        }
        if any(self.identities):
            values["identity"] = pa.array(self.identities, pa.string())
        return pa.table(values)


def cluster(
    data: str | Path | Manifest,
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
        data: embeddings, or images for a model. Identities are not looked at.
        model: model folder, or "-" for the data set's vectors. Its calibration says what is
            similar by chance; without one that is found from the data.
        method: as for `arcwise.cluster`.
        threshold: cosine from which on two are linked.
        clusters: how many, for k-means.
        linkage: folder of a linkage model, which clusters instead of the method.
        extend: the table of an earlier run. Images that it names keep their ids, also where the
            clusters would now be others.
        gallery: its identities are attached where its decision says so.
        far: false-accept rate that the gallery's decision keeps.
        fpir: false-positive identification rate that it keeps.
        decisions: the file that the page saved.
        neighbours: a folder where neighbours are kept, and a search goes on from.
        cached: whether embeddings are looked for, and kept, in the user's cache folder.
        seed: of everything random.
        progress: called with (steps done, steps in all).

    Raises:
        ArcwiseError: nothing to cluster, constraints that contradict each other, an unusable file,
            a linkage model of other embeddings.
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
    manifest = open_manifest(data, identities=False)
    if not len(manifest):
        raise ArcwiseError(f"{manifest.name}: holds no image; expected at least one")
    with (
        nullcontext()
        if gallery is None
        else Recogniser(source.model, gallery, mode="r") as recogniser
    ):
        if recogniser is not None:
            source = EmbeddingSource(recogniser.model.name, recogniser.model)
        links = None if linkage is None else _linkage(linkage, source, manifest)
        embedded = embeddings_of([source], manifest, cached=cached, progress=progress)
        found: dict[int, str] = {}  # rows that the gallery's decision accepts
        if recogniser is not None:
            found = _accepted(recogniser, embedded.vectors[0], far, fpir)
    vectors, rows = embedded.vectors[0], manifest.select(embedded.rows)
    names = row_names(rows, embedded.rows)
    place = {name: row for row, name in enumerate(names)}
    if len(place) < len(names) and (extend or decisions):
        twice = next(name for row, name in enumerate(names) if place[name] != row)
        raise ArcwiseError(
            f"{manifest.name}: lists {twice} twice; a table to extend and decisions go by names, "
            "so leave one row out"
        )
    decided = Decisions() if decisions is None else read_decisions(Path(decisions), place)
    notes = list(embedded.notes)
    if decided.elsewhere:
        notes.append(f"{decided.elsewhere} decisions are about images that are not in the data")
    fixed, identity_of = np.full(len(names), -1), {}
    if extend is not None:
        fixed, identity_of, missing = _earlier(Path(extend), place, len(names))
        if missing:
            notes.append(f"{missing} images of {extend} are not in the data; their ids are kept")
    first_new = max([-1, *identity_of]) + 1
    id_of = {name: one for one, name in identity_of.items() if name is not None}
    for row, identity in found.items():
        if identity not in id_of:
            id_of[identity] = first_new
            identity_of[first_new] = identity
            first_new += 1
        if fixed[row] < 0:
            fixed[row] = id_of[identity]
    result = find_clusters(
        vectors,
        method,
        threshold=threshold,
        thresholds=source.thresholds,
        clusters=clusters,
        linkage=links,
        constraints=Constraints(decided.must, decided.cannot, fixed if fixed.max() >= 0 else None),
        folder=None if neighbours is None else Path(neighbours),
        seed=seed,
        progress=progress,
    )
    ids = _ids(result.labels, fixed, first_new)
    return ClusteredImages(
        rows, names, vectors, result, ids, [identity_of.get(int(one)) for one in ids], len(found),
        decided, embedded.failures, manifest.ignored, tuple(notes),
    )  # fmt: skip


def write_clusters(found: ClusteredImages, out: str | Path) -> Path:
    """Write the table to a new .parquet or .csv, and return its path."""
    path = Path(out)
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise ArcwiseError(f"{out}: expected a table, ending in .parquet or .csv")
    with write_table(path) as write:
        write(found.table())
    return path


def _linkage(folder: str | Path, source: EmbeddingSource, manifest: Manifest) -> LinkageModel:
    """Return a linkage model, which was trained on the embeddings of the same model if it is known.

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
    return loaded


def _earlier(
    path: Path, place: dict[str, int], count: int
) -> tuple[np.ndarray, dict[int, str | None], int]:
    """Return (N,) earlier ids, -1 for new images; the identity of each id; images not there now."""
    parse = parse_csv if path.suffix.lower() == ".csv" else parse_parquet
    table = parse(read_file(path), str(path))
    column = next((one for one in ("image", "name") if one in table.column_names), None)
    if column is None or "cluster" not in table.column_names:
        raise ArcwiseError(
            f"{path}: has the columns {', '.join(table.column_names)}; expected image or name, and "
            "cluster: the table of an earlier `arcwise cluster`"
        )
    fixed, identity_of, missing = np.full(count, -1), {}, 0
    identities = [None] * len(table)
    if "identity" in table.column_names:
        identities = table.column("identity").to_pylist()
    try:
        ids = [int(one) for one in table.column("cluster").to_pylist()]
    except (TypeError, ValueError):
        ids = [-1]
    if min(ids, default=0) < 0:
        raise ArcwiseError(f"{path}: column cluster is not of whole numbers from 0")
    for name, one, identity in zip(table.column(column).to_pylist(), ids, identities, strict=True):
        identity_of[one] = identity or identity_of.get(one)
        if name in place:
            fixed[place[name]] = one
        else:
            missing += 1
    return fixed, identity_of, missing


def _accepted(
    recogniser: Recogniser, vectors: np.ndarray, far: float | None, fpir: float | None
) -> dict[int, str]:
    """Return the rows that the gallery's decision accepts, with their identities."""
    store = recogniser.gallery
    size = store.size()
    point = search_operating_point(recogniser.model, size, store.calibration, far=far, fpir=fpir)
    if point is None:
        if not size.templates:
            return {}
        raise ArcwiseError(
            f"{recogniser.path}: nothing decides, as the model has no thresholds; measure them: "
            "arcwise calibrate MODEL DATA"
        )
    found = store.search(vectors, k=point.neighbours + 1)
    decisions = (decide(hits, point.threshold, neighbours=point.neighbours) for hits in found)
    return {row: one.identity for row, one in enumerate(decisions) if one.identity is not None}


def _ids(labels: np.ndarray, fixed: np.ndarray, first_new: int) -> np.ndarray:
    """Return (N,) ids: of a cluster with known rows theirs, else the next numbers."""
    known = np.full(int(labels.max()) + 1, -1)
    known[labels[fixed >= 0]] = fixed[fixed >= 0]
    new = known < 0
    known[new] = first_new + np.arange(new.sum())
    return known[labels]
