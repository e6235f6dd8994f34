"""Train linkage: from labelled embeddings to a model that clusters other identities."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.bundle import read_linkage
from arcwise.bundle.envelope import DESCRIPTION
from arcwise.data.digests import identity_digest
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, BundleError
from arcwise.files import locked
from arcwise.verbs.embedding_source import model_of_vectors

ENOUGH = 100
"""Identities to train on, below which there is a warning."""


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
        earlier: whether it was trained by an earlier call, and nothing was done now.
        notes: what the user has to know, a line each.
    """

    path: Path
    embeddings: int
    identities: int
    held_out: int
    threshold: float
    bcubed_f: float
    losses: tuple[float, ...]
    earlier: bool = False
    notes: tuple[str, ...] = ()


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
    One that is finished is reported.

    Args:
        data: embeddings with their identities, as `arcwise embed` writes them.
        out: the model folder; there must be none, or the one of this very training.
        aggregation: how a graph layer weighs the neighbours of a node.
        epochs: passes over the embeddings.
        learning_rate: in the first epoch.
        seed: of the weights, the order and the identities held out.
        progress: called with (embeddings done, embeddings in all).

    Raises:
        ArcwiseError: there are no vectors, no identities or too few of them, or something else is
            at `out`.
    """
    from arcwise.clustering.linkage.model import save
    from arcwise.clustering.linkage.training import LinkageTraining
    from arcwise.clustering.linkage.training import train_linkage as fit

    manifest = open_manifest(data)
    vectors, names = manifest.vectors, np.asarray(manifest.identities)
    settings = LinkageTraining(aggregation=aggregation, epochs=epochs, learning_rate=learning_rate)
    out = Path(out)
    request = {
        "data_fingerprint": manifest.fingerprint(), "epochs": epochs,
        "learning_rate": learning_rate, "seed": seed,
    }  # fmt: skip
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        return _finished(out, request, aggregation)
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
            notes=_few(len(uses["train"]), len(uses["choose"])),
        )
        save(
            out,
            result.model,
            digests={use: [identity_digest(one) for one in those] for use, those in uses.items()},
            training={
                "data": manifest.name,
                **request,
                "embeddings": report.embeddings,
                "identities": report.identities,
                "losses": list(result.losses),
                "bcubed_f": result.bcubed_f,
            },
        )
        shutil.rmtree(work, ignore_errors=True)
    return report


def _finished(out: Path, request: dict[str, Any], aggregation: str) -> LinkageReport:
    """Return what an earlier training gave that was asked for in the same way.

    Raises:
        ArcwiseError: there is something else.
    """
    error = ArcwiseError(
        f"{out} exists, and is not the result of this training; name another place with --out, or "
        "remove it first"
    )
    if not (out / DESCRIPTION).is_file():
        raise error
    try:
        bundle = read_linkage(out)
    except BundleError:
        raise error from None
    about = bundle.training
    if bundle.aggregation != aggregation or any(about.get(k) != v for k, v in request.items()):
        raise error
    held_out = len(bundle.digests["choose"])
    return LinkageReport(
        path=out,
        embeddings=about["embeddings"],
        identities=about["identities"],
        held_out=held_out,
        threshold=bundle.threshold,
        bcubed_f=about["bcubed_f"],
        losses=tuple(about["losses"]),
        earlier=True,
        notes=_few(about["identities"], held_out),
    )


def _few(trained: int, held_out: int) -> tuple[str, ...]:
    """Return a note where a training rests on few identities."""
    if trained >= ENOUGH:
        return ()
    return (
        f"trained on {trained:,} identities, and the threshold chosen on {held_out:,}: too few to "
        "rely on; expected some hundred",
    )
