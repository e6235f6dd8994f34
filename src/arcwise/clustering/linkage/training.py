"""A linkage network, trained on embeddings whose identities are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from arcwise.clustering.graph import nearest_neighbours
from arcwise.clustering.linkage.model import LinkageModel
from arcwise.clustering.linkage.network import LinkageNetwork
from arcwise.clustering.linkage.propagation import propagate
from arcwise.clustering.linkage.subgraphs import SubgraphShape, subgraphs
from arcwise.clustering.linkage.training_state import TrainingState, request_of
from arcwise.errors import ArcwiseError, NonFiniteError
from arcwise.evaluation import inputs

_SMALL = SubgraphShape((10, 5), 5)
_THRESHOLDS = np.linspace(0.02, 0.98, 49)
_SAVE_EVERY = 200  # steps


@dataclass(frozen=True)
class LinkageTraining:
    """How a linkage network is trained.

    The defaults are what was best on some thousand faces, with identities of one to a few hundred
    images. `PUBLISHED` are those of the paper, for a hundred times as many.

    Attributes:
        training_shape: of the sub-graphs in training.
        shape: of the sub-graphs when they are clustered.
        aggregation: of `bundle.linkage.AGGREGATIONS`.
        epochs: passes over the embeddings, each of them once the pivot.
        batch: pivots a step.
        learning_rate: of SGD in the first epoch.
        last_rate: learning rate in the last epoch, as a share of the first; it falls by the same
            factor in each.
        momentum: of SGD.
        weight_decay: of SGD.
        held_out: share of the identities that the threshold is chosen on.
        largest: images in the largest cluster.
    """

    training_shape: SubgraphShape = _SMALL
    shape: SubgraphShape = _SMALL
    aggregation: str = "mean"
    epochs: int = 12
    batch: int = 16
    learning_rate: float = 0.05
    last_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    held_out: float = 0.2
    largest: int = 900

    def __post_init__(self) -> None:
        inputs.fraction("held_out", self.held_out)
        inputs.fraction("last_rate", self.last_rate)
        for name in ("epochs", "batch", "largest"):
            inputs.positive(name, getattr(self, name))


PUBLISHED = LinkageTraining(
    training_shape=SubgraphShape((200, 10), 10),
    shape=SubgraphShape((80, 5), 5),
    epochs=4,
    learning_rate=1e-2,
    last_rate=1e-3,
)
"""The paper and its code: by ten in each of four epochs, trained on 200,000 faces."""


@dataclass(frozen=True, eq=False)
class TrainedLinkage:
    """What a training gave.

    Attributes:
        model: the linkage model.
        losses: mean cross-entropy in each epoch.
        train: (N,) bool the embeddings trained on; the threshold was chosen on the others.
        bcubed_f: of the held-out images at the threshold, which was chosen for that.
    """

    model: LinkageModel
    losses: tuple[float, ...]
    train: np.ndarray
    bcubed_f: float


def train_linkage(
    embeddings: np.ndarray,
    identities: inputs.Identities,
    settings: LinkageTraining = LinkageTraining(),
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    embeddings_of: str = "",
    progress: Callable[[int, int], object] | None = None,
) -> TrainedLinkage:
    """Return a linkage model; what it clusters must be of other identities than these.

    Args:
        embeddings: (N, D), of any length.
        identities: (N,).
        settings: how it is trained.
        seed: of the weights, the order and the identities held out.
        folder: where the training is kept every 200 steps. One that was stopped goes on from there,
            to the same result.
        embeddings_of: fingerprint of the encoder that made the embeddings.
        progress: called with (pivots done, pivots in all).

    Raises:
        ArcwiseError: a value is NaN or infinite, or there are fewer than two identities with two
            images to train on or to choose on.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    identity = inputs.codes("identities", identities, len(unit))
    train = _trained_on(identity, settings.held_out, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LinkageNetwork(unit.shape[1], aggregation=settings.aggregation)
    losses = _fit(network, unit[train], identity[train], settings, seed, folder, progress)
    model = LinkageModel(network, settings.shape, 0.5, settings.largest, embeddings_of)
    threshold, bcubed_f = _best_threshold(model, unit, identity, ~train)
    model = LinkageModel(network, settings.shape, threshold, settings.largest, embeddings_of)
    return TrainedLinkage(model, losses, train, bcubed_f)


def _trained_on(identity: np.ndarray, held_out: float, seed: int) -> np.ndarray:
    """Return (N,) bool: a share of the identities is held out, of those with one image too."""
    draw, count = inputs.generator(seed), np.bincount(identity)
    held = np.zeros(len(count), dtype=bool)
    for several in (True, False):
        those = draw.permutation(np.flatnonzero((count >= 2) == several))
        held[those[: round(held_out * len(those))]] = True
    for use, part in (("train on", ~held), ("hold out", held)):
        found = np.count_nonzero(count[part] >= 2)
        if found < 2:
            raise ArcwiseError(
                f"{found} identities with two images or more to {use}, expected two at least: "
                "bring more identities, or hold out another share"
            )
    return ~held[identity]


def _fit(
    network: LinkageNetwork,
    unit: np.ndarray,
    identity: np.ndarray,
    settings: LinkageTraining,
    seed: int,
    folder: str | Path | None,
    progress: Callable[[int, int], object] | None,
) -> tuple[float, ...]:
    """Train a network, and return the mean loss of each epoch."""
    shape, size = settings.training_shape, len(unit)
    index = nearest_neighbours(unit, shape.neighbours).index
    features = torch.from_numpy(unit)
    optimiser = torch.optim.SGD(
        network.parameters(),
        settings.learning_rate,
        settings.momentum,
        weight_decay=settings.weight_decay,
    )
    kept = None
    if folder is not None:
        request = request_of(unit, identity, asdict(settings), seed)
        kept = TrainingState(Path(folder), request, network, optimiser)
    sums = [0.0] * settings.epochs
    done = 0 if kept is None else kept.load(sums)
    steps = -(-size // settings.batch)
    network.train()
    for epoch in range(done // steps, settings.epochs):
        order = np.random.default_rng([seed, epoch]).permutation(size)
        rate = settings.learning_rate * settings.last_rate ** (epoch / max(1, settings.epochs - 1))
        for group in optimiser.param_groups:
            group["lr"] = rate
        for step in range(done - epoch * steps, steps):
            pivots = order[step * settings.batch : (step + 1) * settings.batch]
            graphs = subgraphs(index, pivots, shape)
            same = identity[graphs.node[graphs.first_hop]] == identity[pivots[graphs.of]]
            logits = network.logits(features, graphs)
            loss = F.cross_entropy(logits, torch.from_numpy(same.astype(np.int64)))
            if not loss.isfinite():
                raise NonFiniteError(
                    f"the loss is {loss.item()} in epoch {epoch + 1} of {settings.epochs}: the "
                    f"training diverged at a learning rate of {rate:g}; lower it"
                )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            sums[epoch] += loss.item() * len(pivots)
            done += 1
            if kept is not None and (done % _SAVE_EVERY == 0 or done == steps * settings.epochs):
                kept.save(sums, done)
            if progress is not None:
                progress(min(done * settings.batch, size * settings.epochs), size * settings.epochs)
    return tuple(total / size for total in sums)


def _best_threshold(
    model: LinkageModel, unit: np.ndarray, identity: np.ndarray, held: np.ndarray
) -> tuple[float, float]:
    """Return the threshold of the highest BCubed F of the held-out images, and that.

    All images are clustered: among few, a threshold that joins too much would do no harm. Of equal
    thresholds it is the middle one.
    """
    near = nearest_neighbours(unit, model.shape.neighbours)
    links, score = model.links(unit, near)
    found = []
    for threshold in _THRESHOLDS:
        cluster = propagate(links, score, len(unit), threshold=threshold, largest=model.largest)
        found.append(_bcubed_f(identity, cluster, held))
    best = np.flatnonzero(np.array(found) == max(found))
    return float(_THRESHOLDS[best[len(best) // 2]]), max(found)


def _bcubed_f(identity: np.ndarray, cluster: np.ndarray, images: np.ndarray) -> float:
    """Return BCubed F where the means are over some of the images alone."""
    cell = identity * (cluster.max() + 1) + cluster
    _, place, count = np.unique(cell, return_inverse=True, return_counts=True)
    common = count[place][images]
    precision = (common / np.bincount(cluster)[cluster][images]).mean()
    recall = (common / np.bincount(identity)[identity][images]).mean()
    return float(2 * precision * recall / (precision + recall))
