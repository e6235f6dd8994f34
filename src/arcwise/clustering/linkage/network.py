"""The network of L-GCN: graph layers over packed sub-graphs, a classifier of first-hop nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arcwise.bundle.linkage import AGGREGATIONS
from arcwise.clustering.linkage.subgraphs import Subgraphs
from arcwise.errors import ArcwiseError

_ATTENTION = 32  # hidden units of the attention; the paper does not say how many


@dataclass(frozen=True, eq=False)
class GraphLinks:
    """The links of V nodes, sorted by the node that they come from.

    Attributes:
        row: (E,) the node a link comes from.
        column: (E,) the node it goes to.
        start: (V + 1,) where the links of each node begin.
    """

    row: Tensor
    column: Tensor
    start: Tensor

    @classmethod
    def of(cls, graphs: Subgraphs) -> GraphLinks:
        """Return the links of packed sub-graphs."""
        start = torch.from_numpy(graphs.start)
        row = torch.repeat_interleave(torch.arange(len(graphs.node)), start.diff())
        return cls(row, torch.from_numpy(graphs.column), start)


class LinkageNetwork(nn.Module):
    """The probability that a pivot and its neighbours are one identity.

    Attributes:
        dim: D.
        widths: outputs of each graph layer.
        aggregation: of `AGGREGATIONS`: "mean" weighs the d neighbours of a node by 1/d, as the
            authors' code does, "symmetric" by 1/√(d·d'), which is what their paper writes,
            "weighted" by the softmax of their cosines, "attention" by the softmax of what a small
            network makes of both nodes.
    """

    def __init__(
        self, dim: int, widths: Sequence[int] | None = None, aggregation: str = "mean"
    ) -> None:
        """Make a network of new weights.

        Args:
            dim: D, the size of an embedding.
            widths: by default D, D, D/2, D/2: the 512, 512, 256, 256 of the paper at its D of 512.
            aggregation: as above.
        """
        super().__init__()
        if aggregation not in AGGREGATIONS:
            raise ArcwiseError(f"aggregation is {aggregation!r}, expected one of {AGGREGATIONS}")
        half = max(1, dim // 2)
        self.dim, self.aggregation = dim, aggregation
        self.widths = (dim, dim, half, half) if widths is None else tuple(widths)
        self.normalise = nn.BatchNorm1d(dim, affine=False)
        self.layers = nn.ModuleList(
            GraphLayer(inputs, outputs, attention=aggregation == "attention")
            for inputs, outputs in zip((dim, *self.widths), self.widths, strict=False)
        )
        last = self.widths[-1]
        self.classifier = nn.Sequential(nn.Linear(last, last), nn.PReLU(last), nn.Linear(last, 2))

    def forward(self, features: Tensor, links: GraphLinks, first_hop: Tensor) -> Tensor:
        """Return the logits of "another identity" and "the same one", (M, 2).

        Args:
            features: (V, D) of each node, relative to its pivot: x_q - x_p.
            links: between the nodes.
            first_hop: (M,) the nodes to classify.
        """
        weight = None
        if self.aggregation != "attention":
            weight = link_weights(self.aggregation, features, links)
        hidden = self.normalise(features)
        for layer in self.layers:
            hidden = layer(hidden, links, weight)
        return self.classifier(hidden[first_hop])

    def logits(self, embeddings: Tensor, graphs: Subgraphs) -> Tensor:
        """Return the logits (M, 2) of packed sub-graphs of (N, D) embeddings of unit length."""
        node, pivot = torch.from_numpy(graphs.node), torch.from_numpy(graphs.pivot)
        features = embeddings[node] - embeddings[pivot]
        return self(features, GraphLinks.of(graphs), torch.from_numpy(graphs.first_hop))


class GraphLayer(nn.Module):
    """Y = relu([X || G X] W + b) (equation 2 of L-GCN), G being the weights of the links."""

    def __init__(self, inputs: int, outputs: int, *, attention: bool = False) -> None:
        """Make a layer.

        Args:
            inputs: of each node.
            outputs: of each node.
            attention: whether G is made from X, by a network of two layers.
        """
        super().__init__()
        self.linear = nn.Linear(2 * inputs, outputs)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.attention = nn.Linear(2 * inputs, _ATTENTION) if attention else None
        self.score = nn.Linear(_ATTENTION, 1, bias=False) if attention else None

    def forward(self, features: Tensor, links: GraphLinks, weight: Tensor | None) -> Tensor:
        """Return (V, outputs).

        Args:
            features: (V, inputs).
            links: between the V nodes.
            weight: (E,) of each link; None where the layer makes it.
        """
        if weight is None:
            weight = self._attention(features, links)
        return F.relu(self.linear(torch.cat([features, aggregate(features, links, weight)], 1)))

    def _attention(self, features: Tensor, links: GraphLinks) -> Tensor:
        attention, score = cast(nn.Linear, self.attention), cast(nn.Linear, self.score)
        # The first layer of [x_row || x_column], made of its two halves a node and not a link.
        own, other = attention.weight.chunk(2, dim=1)
        from_row, from_column = features @ own.T + attention.bias, features @ other.T
        hidden = F.relu(from_row[links.row] + from_column[links.column])
        return softmax_by_row(score(hidden)[:, 0], links)


def aggregate(features: Tensor, links: GraphLinks, weight: Tensor) -> Tensor:
    """Return G X, (V, D): the weighted sum of each node's neighbours; 0 for one without links."""
    start = links.start[:-1]
    return F.embedding_bag(links.column, features, start, mode="sum", per_sample_weights=weight)


def link_weights(aggregation: str, features: Tensor, links: GraphLinks) -> Tensor:
    """Return the (E,) weights of links that need no learning.

    Args:
        aggregation: "mean", "symmetric" or "weighted".
        features: (V, D) relative to a pivot, of embeddings of unit length: differences of nodes
            give their cosines.
        links: between the nodes.
    """
    if aggregation == "weighted":
        apart = (features[links.row] - features[links.column]).square().sum(dim=1)
        return softmax_by_row(1 - apart / 2, links)
    degree = links.start.diff().to(features.dtype)  # 1 or more where there is a link
    if aggregation == "symmetric":
        return (degree[links.row] * degree[links.column]).rsqrt()
    return degree[links.row].reciprocal()


def softmax_by_row(score: Tensor, links: GraphLinks) -> Tensor:
    """Return the (E,) softmax of the links' scores among the links of one node."""
    count = len(links.start) - 1
    highest = score.new_full((count,), -torch.inf)
    highest = highest.scatter_reduce(0, links.row, score.detach(), "amax")
    power = (score - highest[links.row]).exp()
    total = score.new_zeros(count).index_add(0, links.row, power)
    return power / total[links.row]
