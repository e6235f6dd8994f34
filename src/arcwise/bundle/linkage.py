"""The model folder of a network that says which neighbours are one identity (`kind: linkage`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.bundle.envelope import (
    DESCRIPTION,
    check_files,
    check_fingerprint,
    check_types,
    digest_of,
    read_envelope,
)
from arcwise.bundle.weight_files import read_state, verify_files
from arcwise.bundle.writing import write_model
from arcwise.errors import ArcwiseError, BundleError
from arcwise.files import translate_errors

KIND = "linkage"
WEIGHTS = "linkage.safetensors"
AGGREGATIONS = ("mean", "symmetric", "weighted", "attention")
"""How a graph layer weighs the neighbours of a node; `clustering.linkage.network` says how."""
_KEYS = {
    "dim": int,
    "widths": list,
    "aggregation": str,
    "hops": list,
    "links": int,
    "threshold": float,
    "largest": int,
    "embeddings_of": str,
}
_DECIDING = ("kind", "dim", "widths", "aggregation", "hops", "links")


@dataclass(frozen=True)
class LinkageBundle:
    """The model folder of a linkage network, read and verified.

    Attributes:
        path: the folder.
        dim: D, the size of the embeddings that it compares.
        widths: outputs of each graph layer.
        aggregation: one of `AGGREGATIONS`.
        hops: neighbours that a sub-graph takes at each hop from its pivot.
        links: nearest neighbours that a node of a sub-graph is linked to, where they are in it.
        threshold: probability from which on a link joins two images; the best one on the identities
            that `digests` has under "choose".
        largest: images in the largest cluster; a larger one is split at higher thresholds.
        embeddings_of: fingerprint of the encoder that it was trained on the embeddings of; empty
            where that is not known.
        fingerprint: sha256 of weights, architecture and sub-graphs.
        files: sha256 of each file, by name.
        digests: digests of the identities used to train and to choose, by use.
        training: a summary of the training.
        licence: under which the weights may be used.
    """

    path: Path
    dim: int
    widths: tuple[int, ...]
    aggregation: str
    hops: tuple[int, ...]
    links: int
    threshold: float
    largest: int
    embeddings_of: str
    fingerprint: str
    files: Mapping[str, str]
    digests: Mapping[str, Sequence[str]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights by state-dict key."""
        return read_state(self.path / WEIGHTS)


def write_linkage(
    folder: str | Path,
    state: Mapping[str, np.ndarray],
    *,
    dim: int,
    widths: Sequence[int],
    aggregation: str,
    hops: Sequence[int],
    links: int,
    threshold: float,
    largest: int,
    embeddings_of: str = "",
    digests: Mapping[str, Iterable[str]] | None = None,
    training: Mapping[str, Any] | None = None,
    licence: str = "",
) -> LinkageBundle:
    """Write a model folder and return it; it replaces an older one.

    Args:
        folder: where to; a folder that exists and holds no model is not touched.
        state: weights by state-dict key.
        dim: D.
        widths: of the graph layers.
        aggregation: of the graph layers.
        hops: of the sub-graphs.
        links: of the sub-graphs.
        threshold: from which on a link joins.
        largest: images in the largest cluster.
        embeddings_of: fingerprint of the encoder.
        digests: identity digests by use.
        training: a JSON object that summarises the training.
        licence: under which the weights may be used.

    Raises:
        BundleError: a weight is not finite, a field is not what it should be, or `folder` holds
            something else.
    """
    payload = {
        "dim": dim,
        "widths": list(widths),
        "aggregation": aggregation,
        "hops": list(hops),
        "links": links,
        "threshold": float(threshold),
        "largest": largest,
        "embeddings_of": embeddings_of,
    }
    bundle = write_model(
        Path(folder),
        KIND,
        state,
        payload,
        weights=WEIGHTS,
        fingerprint=_fingerprint,
        read=read_linkage,
        digests=digests,
        training=training,
        licence=licence,
    )
    return replace(bundle, path=Path(folder))


def read_linkage(folder: str | Path) -> LinkageBundle:
    """Return the linkage model in a folder, every field and digest checked.

    Raises:
        BundleError: there is none, it is damaged, or the model is of another kind.
    """
    folder = Path(folder)
    with translate_errors(folder, action="read", error=BundleError):
        about = read_envelope(folder, KIND)
        try:
            _check(about)
        except ArcwiseError as problem:
            raise BundleError(f"{folder / DESCRIPTION}: {problem}") from None
        verify_files(folder, about["files"])
    return LinkageBundle(
        path=folder,
        dim=about["dim"],
        widths=tuple(about["widths"]),
        aggregation=about["aggregation"],
        hops=tuple(about["hops"]),
        links=about["links"],
        threshold=about["threshold"],
        largest=about["largest"],
        embeddings_of=about["embeddings_of"],
        fingerprint=about["fingerprint"],
        files=about["files"],
        digests={use: tuple(digests) for use, digests in about["digests"].items()},
        training=about["training"],
        licence=about["licence"],
    )


def _fingerprint(about: Mapping[str, Any]) -> str:
    """Return the hex sha256 of everything that decides the probability of a link."""
    return digest_of({key: about[key] for key in _DECIDING} | {"weights": about["files"][WEIGHTS]})


def _check(about: Any) -> None:
    """Raise an ArcwiseError unless every field of the payload is what it should be."""
    check_types(about, _KEYS)
    for key in ("widths", "hops"):
        if not about[key] or not all(type(one) is int and one >= 1 for one in about[key]):
            raise BundleError(f"{key} is {about[key]!r:.80}, expected whole numbers from 1")
    for key in ("dim", "links", "largest"):
        if about[key] < 1:
            raise BundleError(f"{key} is {about[key]}, expected 1 or more")
    if about["aggregation"] not in AGGREGATIONS:
        raise BundleError(
            f"aggregation is {about['aggregation']!r}, expected one of {AGGREGATIONS}"
        )
    if not 0 <= about["threshold"] <= 1:
        raise BundleError(f"threshold is {about['threshold']}, expected a probability")
    check_files(about, WEIGHTS)
    check_fingerprint(about, _fingerprint(about), "weights and architecture")
