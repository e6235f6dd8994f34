"""Train linkage: from labelled embeddings to a model that clusters other identities."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arcwise.data.digests import identity_digest
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.files import locked
from arcwise.verbs.embedding_source import model_of_vectors


@dataclass(frozen=True)
class LinkageReport:
    """What was trained.

    Attributes:
        path: the model folder.
        embeddings: that were trained on.
        identities: that were trained on.
        held_out: identities that the threshold was chosen on.
        threshold: probability from which on a link joins two images.
        bcubed_f: of the held-out images at that threshold, among all.
        losses: mean cross-entropy in each epoch.
    """

    path: Path
    embeddings: int
    identities: int
    held_out: int
    threshold: float
    bcubed_f: float
    losses: tuple[float, ...]


def train_linkage(
    data: str | Path | Manifest,
    out: str | Path,
    *,
    aggregation: str = "mean",
    epochs: int = 12,
    learning_rate: float = 0.05,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> LinkageReport:
    """Train a linkage network on labelled embeddings, and write its model folder.

    A training that was stopped goes on from `OUT.training` when it is called again in the same way.

    Args:
        data: embeddings with their identities, as `arcwise embed` writes them.
        out: the model folder; an older model there is replaced.
        aggregation: how a graph layer weighs the neighbours of a node.
        epochs: passes over the embeddings.
        learning_rate: in the first epoch.
        seed: of the weights, the order and the identities held out.
        progress: called with (embeddings done, embeddings in all).

    Raises:
        ArcwiseError: there are no vectors, no identities or too few of them.
    """
    from arcwise.clustering.linkage.model import save
    from arcwise.clustering.linkage.training import LinkageTraining
    from arcwise.clustering.linkage.training import train_linkage as fit

    manifest = open_manifest(data)
    vectors, names = manifest.vectors, np.asarray(manifest.identities)
    settings = LinkageTraining(aggregation=aggregation, epochs=epochs, learning_rate=learning_rate)
    out = Path(out)
    work = out.with_name(f"{out.name}.training")
    with locked(work, "training"):
        result = fit(
            vectors,
            names,
            settings,
            seed=seed,
            folder=work,
            embeddings_of=model_of_vectors(manifest),
            progress=progress,
        )
        uses = {"train": np.unique(names[result.train]), "choose": np.unique(names[~result.train])}
        report = LinkageReport(
            path=out,
            embeddings=int(result.train.sum()),
            identities=len(uses["train"]),
            held_out=len(uses["choose"]),
            threshold=result.model.threshold,
            bcubed_f=result.bcubed_f,
            losses=result.losses,
        )
        save(
            out,
            result.model,
            digests={use: [identity_digest(one) for one in those] for use, those in uses.items()},
            training={
                "data": manifest.name,
                "data_fingerprint": manifest.fingerprint(),
                "embeddings": report.embeddings,
                "identities": report.identities,
                "epochs": epochs,
                "learning_rate": learning_rate,
                "seed": seed,
                "losses": list(result.losses),
                "bcubed_f": result.bcubed_f,
            },
        )
        shutil.rmtree(work, ignore_errors=True)
    return report
