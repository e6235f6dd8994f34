"""The clusters of an earlier run, whose ids are kept where nobody decided otherwise since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from arcwise.data.formats.csv_text import parse_csv
from arcwise.data.formats.parquet_table import parse_parquet
from arcwise.errors import ArcwiseError
from arcwise.files import read_file
from arcwise.verbs.cluster_decisions import Decisions


@dataclass(frozen=True, eq=False)
class EarlierClusters:
    """The table of an earlier run.

    Attributes:
        path: its file.
        id_of: the id of each image, by name.
        identity_of: the identity of each id; None for one that had none.
    """

    path: Path
    id_of: dict[str, int]
    identity_of: dict[int, str | None]


@dataclass(frozen=True, eq=False)
class KeptIds:
    """What the ids of N images have to be.

    Attributes:
        fixed: (N,) int64 ids; -1 for new images, and for those that were freed.
        freed: (N,) int64 earlier ids of clusters that the decisions take apart, else -1. The
            largest part keeps the id.
        identity_of: the identity of each id; None for one that had none.
        notes: what the user has to know, a line each.
    """

    fixed: np.ndarray
    freed: np.ndarray
    identity_of: dict[int, str | None]
    notes: tuple[str, ...] = ()

    @property
    def first_new(self) -> int:
        """The lowest id that none had."""
        return max([-1, *self.identity_of]) + 1

    def names(self, labels: np.ndarray, ids: np.ndarray) -> dict[int, str]:
        """Return the identities that clusters have from before.

        Args:
            labels: (N,) clusters.
            ids: (N,) their ids.
        """
        id_of = dict(zip(labels.tolist(), ids.tolist(), strict=True))
        named = {label: self.identity_of.get(one) for label, one in id_of.items()}
        return {label: identity for label, identity in named.items() if identity}

    def numbered(self, labels: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Return (N,) int64 ids of clusters: of known ones theirs, of others the next numbers.

        Args:
            labels: (N,) clusters 0 … M - 1.
            known: (M,) the id of each; -1 for none.
        """
        known = known.copy()
        for one in np.unique(self.freed[self.freed >= 0]):
            parts = np.bincount(labels[self.freed == one], minlength=len(known))
            largest = int(np.argmax(np.where(known < 0, parts, -1)))
            if parts[largest] and known[largest] < 0:
                known[largest] = one
        new = known < 0
        known[new] = self.first_new + np.arange(new.sum())
        return known[labels]


def read_earlier(path: Path) -> EarlierClusters:
    """Return the clusters that an earlier run wrote.

    Raises:
        ArcwiseError: the file is not there, or holds something else.
    """
    parse = parse_csv if path.suffix.lower() == ".csv" else parse_parquet
    table = parse(read_file(path), str(path))
    column = next((one for one in ("image", "name") if one in table.column_names), None)
    if column is None or "cluster" not in table.column_names:
        raise ArcwiseError(
            f"{path}: has the columns {', '.join(table.column_names)}; expected image or name, and "
            "cluster: the table of an earlier `arcwise cluster`"
        )
    try:
        ids = [int(one) for one in table.column("cluster").to_pylist()]
    except (TypeError, ValueError):
        ids = [-1]
    if min(ids, default=0) < 0:
        raise ArcwiseError(f"{path}: column cluster is not of whole numbers from 0")
    identity_of: dict[int, str | None] = dict.fromkeys(ids)
    if "identity" in table.column_names:
        for one, identity in zip(ids, table.column("identity").to_pylist(), strict=True):
            identity_of[one] = identity or identity_of[one]
    names = table.column(column).to_pylist()
    return EarlierClusters(path, dict(zip(names, ids, strict=True)), identity_of)


def kept_ids(
    earlier: EarlierClusters | None, names: Sequence[str], decided: Decisions, title: str
) -> KeptIds:
    """Return the ids that images keep. What was decided comes before an earlier id.

    Earlier clusters that a decision joins have the lowest of their ids from now on. One that holds
    images that were decided not to be the same is made anew.

    Args:
        earlier: the table; None for none.
        names: of N images.
        decided: about the same images.
        title: of the data, for errors.

    Raises:
        ArcwiseError: no image of the table is among them.
    """
    count = len(names)
    nothing = np.full(count, -1)
    if earlier is None:
        return KeptIds(nothing, nothing, {})
    fixed = np.array([earlier.id_of.get(one, -1) for one in names], dtype=np.int64)
    missing = len(earlier.id_of.keys() - set(names))
    if not (fixed >= 0).any():
        raise ArcwiseError(
            f"{earlier.path}: none of its {missing:,} images is in {title}, so that no new image "
            "could join one of its clusters; name the earlier embeddings, too: arcwise cluster "
            "EARLIER.parquet NEW.parquet --extend …"
        )
    notes = []
    if missing:
        notes.append(
            f"{missing:,} images of {earlier.path} are not in the data: their ids stay theirs, and "
            "new images cannot join clusters that only they are in"
        )
    fixed, identity_of, joined = _joined_ids(fixed, decided.must, earlier.identity_of)
    if joined:
        notes.append(f"{joined:,} earlier clusters became part of others, as was decided")
    freed, apart = nothing.copy(), decided.cannot
    several = fixed[apart[:, 0]] == fixed[apart[:, 1]]
    taken = np.unique(fixed[apart[several & (fixed[apart[:, 0]] >= 0), 0]])
    if len(taken):
        free = np.isin(fixed, taken)
        freed[free], fixed[free] = fixed[free], -1
        notes.append(
            f"{len(taken):,} earlier clusters are made anew, as images of theirs were decided not "
            "to be the same; the largest part keeps the id"
        )
    return KeptIds(fixed, freed, identity_of, tuple(notes))


def _joined_ids(
    fixed: np.ndarray, must: np.ndarray, identity_of: dict[int, str | None]
) -> tuple[np.ndarray, dict[int, str | None], int]:
    """Return ids after those that decisions join became one, their identities, how many went."""
    ids, place = np.unique(fixed[fixed >= 0], return_inverse=True)
    rows = np.concatenate([must, np.stack([np.flatnonzero(fixed >= 0), len(fixed) + place], 1)])
    graph = coo_array((np.ones(len(rows)), tuple(rows.T)), shape=(len(fixed) + len(ids),) * 2)
    part = connected_components(graph, directed=False)[1]
    lowest: dict[int, int] = {}
    for one, group in zip(ids.tolist(), part[len(fixed) :].tolist(), strict=True):
        lowest.setdefault(group, one)
    into = np.array([lowest[group] for group in part[len(fixed) :].tolist()], dtype=np.int64)
    result, names = fixed.copy(), dict(identity_of)
    result[fixed >= 0] = into[place]
    for one, new in zip(ids.tolist(), into.tolist(), strict=True):
        names[new] = names[new] or names[one]
    return result, names, int((ids != into).sum())
