"""A trained linkage network: probabilities of links, clusters, and its model folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arcwise.bundle import LinkageBundle, read_linkage, write_linkage
from arcwise.clustering.constraints import Constraints, constrained
from arcwise.clustering.graph import Neighbours, nearest_neighbours
from arcwise.clustering.linkage.network import LinkageNetwork
from arcwise.clustering.linkage.propagation import propagate, symmetric_links
from arcwise.clustering.linkage.subgraphs import SubgraphShape, batches, subgraphs
from arcwise.errors import ArcwiseError, BundleError
from arcwise.evaluation import inputs

NO_CONSTRAINTS = Constraints()


@dataclass(frozen=True, eq=False)
class LinkageModel:
    """A linkage network and how it is used.

    Attributes:
        network: the weights.
        shape: of the sub-graphs that it sees.
        threshold: probability from which on a link joins two images.
        largest: images in the largest cluster.
        embeddings_of: fingerprint of the encoder whose embeddings it was trained on, where known.
    """

    network: LinkageNetwork
    shape: SubgraphShape
    threshold: float
    largest: int
    embeddings_of: str = ""

    def __str__(self) -> str:
        return f"linked: pairs of probability {self.threshold:.2f} and above; by {self.reason}"

    @property
    def reason(self) -> str:
        """Where the threshold comes from, for people."""
        return "a linkage model (L-GCN), on identities that its training held out"

    def probabilities(
        self,
        embeddings: np.ndarray,
        neighbours: Neighbours,
        *,
        progress: Callable[[int, int], object] | None = None,
    ) -> np.ndarray:
        """Return the (N, k₁) float32 probability that a neighbour is of the same identity.

        Any method that works on a graph can take them as the weights of its edges.

        Args:
            embeddings: (N, D), of any length.
            neighbours: of the embeddings, at least `shape.neighbours` of each where there are so
                many. The probability of one that is missing is 0.
            progress: called with (embeddings done, embeddings in all).

        Raises:
            ArcwiseError: D is not that of the network, or there are too few neighbours.
        """
        unit = inputs.embeddings("embeddings", embeddings)
        if unit.shape[1] != self.network.dim:
            raise ArcwiseError(
                f"embeddings have {unit.shape[1]} dimensions and the linkage model compares "
                f"{self.network.dim}: it was trained on those of another model"
            )
        index = neighbours.index
        if len(index) != len(unit) or index.shape[1] < min(self.shape.neighbours, len(unit) - 1):
            raise ArcwiseError(
                f"neighbours are {index.shape}, expected {self.shape.neighbours} of each of the "
                f"{len(unit)} embeddings"
            )
        result = np.zeros((len(unit), min(self.shape.hops[0], index.shape[1])), dtype=np.float32)
        features = torch.from_numpy(unit)
        self.network.eval()
        with torch.inference_mode():
            for part in batches(len(unit), self.shape):
                graphs = subgraphs(index, np.arange(part.start, part.stop), self.shape)
                same = self.network.logits(features, graphs).softmax(dim=1)[:, 1]
                result[part][graphs.of, graphs.rank] = same.numpy()
                if progress is not None:
                    progress(part.stop, len(unit))
        return result

    def links(
        self,
        embeddings: np.ndarray,
        neighbours: Neighbours,
        *,
        progress: Callable[[int, int], object] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs of neighbours, and the probability of each, as `symmetric_links` does.

        Args:
            embeddings: (N, D), of any length.
            neighbours: as `probabilities` needs.
            progress: called with (embeddings done, embeddings in all).

        Raises:
            ArcwiseError: as `probabilities` says.
        """
        probability = self.probabilities(embeddings, neighbours, progress=progress)
        return symmetric_links(neighbours.index[:, : probability.shape[1]], probability)

    def cluster(
        self,
        embeddings: np.ndarray,
        neighbours: Neighbours | None = None,
        *,
        constraints: Constraints = NO_CONSTRAINTS,
        progress: Callable[[int, int], object] | None = None,
    ) -> np.ndarray:
        """Return the cluster of each embedding, (N,) int64 from 0.

        Args:
            embeddings: (N, D), of any length.
            neighbours: as `probabilities` needs; searched exactly where they are not given.
            constraints: what is known of pairs; it holds in the result.
            progress: called with (embeddings done, embeddings in all).

        Raises:
            ArcwiseError: as `probabilities` and `constrained` say.
        """
        if neighbours is None:
            neighbours = nearest_neighbours(embeddings, self.shape.neighbours)
        links, score = self.links(embeddings, neighbours, progress=progress)
        cluster = propagate(
            links, score, len(neighbours), threshold=self.threshold, largest=self.largest
        )
        return constrained(cluster, constraints, links, score) if constraints else cluster


def save(
    folder: str | Path,
    model: LinkageModel,
    *,
    digests: Mapping[str, Iterable[str]] | None = None,
    training: Mapping[str, Any] | None = None,
    licence: str = "",
) -> LinkageBundle:
    """Write a linkage model as a model folder, and return it.

    Args:
        folder: where to; an older model there is replaced.
        model: the model.
        digests: identity digests by use ("train", "choose").
        training: a JSON object that summarises the training.
        licence: under which the weights may be used.

    Raises:
        BundleError: as `bundle.write_linkage` says.
    """
    network = model.network
    return write_linkage(
        folder,
        {key: value.detach().cpu().numpy() for key, value in network.state_dict().items()},
        dim=network.dim,
        widths=network.widths,
        aggregation=network.aggregation,
        hops=model.shape.hops,
        links=model.shape.links,
        threshold=model.threshold,
        largest=model.largest,
        embeddings_of=model.embeddings_of,
        digests=digests,
        training=training,
        licence=licence,
    )


def load(folder: str | Path) -> LinkageModel:
    """Return the linkage model in a model folder.

    Raises:
        BundleError: there is none, it is damaged, or the model is of another kind.
    """
    bundle = read_linkage(folder)
    network = LinkageNetwork(bundle.dim, bundle.widths, bundle.aggregation)
    state = {key: torch.from_numpy(value) for key, value in bundle.state().items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as problem:
        raise BundleError(
            f"{folder}: the weights are not those of the network it describes ({problem})"
        ) from None
    return LinkageModel(
        network.eval(),
        SubgraphShape(bundle.hops, bundle.links),
        bundle.threshold,
        bundle.largest,
        bundle.embeddings_of,
    )
