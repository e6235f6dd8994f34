"""Packed graph layers against dense matrices, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from arcwise.bundle.linkage import AGGREGATIONS
from arcwise.clustering.linkage.network import (
    GraphLayer,
    GraphLinks,
    LinkageNetwork,
    aggregate,
    link_weights,
    softmax_by_row,
)
from arcwise.clustering.linkage.subgraphs import SubgraphShape, subgraphs
from arcwise.errors import ArcwiseError
from tests.clustering.linkage.test_subgraphs import random_index

FIXED = [one for one in AGGREGATIONS if one != "attention"]


def graph(seed: int = 0, nodes: int = 9) -> tuple[Tensor, GraphLinks]:
    """A symmetric adjacency matrix without loops, of which node 4 has no link; and its links."""
    rng = np.random.default_rng(seed)
    dense = np.triu(rng.random((nodes, nodes)) < 0.4, 1)
    dense[4], dense[:, 4] = False, False
    adjacency = torch.from_numpy(dense | dense.T).double()
    row, column = adjacency.nonzero().T
    start = torch.cat([torch.zeros(1), adjacency.sum(1).cumsum(0)]).long()
    return adjacency, GraphLinks(row, column, start)


def unit_rows(count: int, dim: int, seed: int = 0) -> Tensor:
    rows = torch.randn(count, dim, dtype=torch.float64, generator=torch.manual_seed(seed))
    return torch.nn.functional.normalize(rows)


def dense_weights(aggregation: str, features: Tensor, adjacency: Tensor) -> Tensor:
    """G as its definition says, (V, V)."""
    degree = adjacency.sum(1)
    if aggregation == "mean":
        return torch.diag(1 / degree.clamp(min=1)) @ adjacency
    if aggregation == "symmetric":
        root = torch.diag(degree.clamp(min=1).rsqrt())
        return root @ adjacency @ root
    cosine = features @ features.T  # of embeddings of unit length, not relative to a pivot
    power = torch.where(adjacency > 0, cosine.exp(), 0.0)
    return power / power.sum(1, keepdim=True).clamp(min=1e-300)


@pytest.mark.parametrize("aggregation", FIXED)
def test_link_weights_are_those_of_the_dense_matrix(aggregation: str) -> None:
    adjacency, links = graph()
    embeddings = unit_rows(9, 5)
    expected = dense_weights(aggregation, embeddings, adjacency)
    weight = link_weights(aggregation, embeddings - embeddings[2], links)
    assert torch.allclose(weight, expected[links.row, links.column], atol=1e-12)
    if aggregation != "symmetric":
        rows = torch.zeros(9, dtype=torch.float64).index_add(0, links.row, weight)
        assert torch.allclose(rows, (adjacency.sum(1) > 0).double())


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_layer_equals_the_dense_one(aggregation: str) -> None:
    adjacency, links = graph()
    features = unit_rows(9, 5)
    layer = GraphLayer(5, 3, attention=aggregation == "attention").double()
    if aggregation == "attention":
        weight, attention, score = None, layer.attention, layer.score
        pairs = torch.cat([features.repeat_interleave(9, 0), features.repeat(9, 1)], 1)
        logit = score(torch.relu(attention(pairs))).reshape(9, 9)
        masked = torch.where(adjacency > 0, logit, -torch.inf)
        dense = masked.softmax(1).nan_to_num(0.0)
    else:
        weight = link_weights(aggregation, features, links)
        dense = dense_weights(aggregation, features, adjacency)
    both = torch.cat([features, dense @ features], 1)
    expected = torch.relu(both @ layer.linear.weight.T + layer.linear.bias)
    assert torch.allclose(layer(features, links, weight), expected, atol=1e-12)


def test_gradients_of_the_weighted_sum_and_of_the_softmax() -> None:
    _, links = graph()
    features = unit_rows(9, 3).requires_grad_()
    score = torch.linspace(-2, 2, len(links.row), dtype=torch.float64).requires_grad_()

    def both(features: Tensor, score: Tensor) -> Tensor:
        return aggregate(features, links, softmax_by_row(score, links))

    assert torch.autograd.gradcheck(both, (features, score))


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_gradients_of_the_whole_network(aggregation: str) -> None:
    torch.manual_seed(1)
    _, links = graph()
    network = LinkageNetwork(3, (4, 2), aggregation).double().eval()
    features = unit_rows(9, 3).requires_grad_()
    first_hop = torch.tensor([0, 3, 4])
    assert torch.autograd.gradcheck(lambda x: network(x, links, first_hop), (features,))


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_logits_know_neither_place_nor_order(aggregation: str) -> None:
    """Translation of all embeddings and renumbering of all rows change nothing."""
    torch.manual_seed(0)
    size, shape = 30, SubgraphShape((6, 2), 3)
    network = LinkageNetwork(4, aggregation=aggregation).double().eval()
    index = random_index(size, 6, seed=1)
    embeddings = unit_rows(size, 4)
    logits = network.logits(embeddings, subgraphs(index, np.arange(size), shape))
    moved = embeddings + torch.tensor([3.0, -1.0, 0.0, 2.0], dtype=torch.float64)
    again = network.logits(moved, subgraphs(index, np.arange(size), shape))
    assert torch.allclose(logits, again, atol=1e-9)
    order = np.random.default_rng(0).permutation(size)
    place = np.argsort(order)
    renumbered = np.where(index[order] >= 0, place[index[order]], -1)
    other = network.logits(embeddings[order], subgraphs(renumbered, place, shape))
    assert torch.allclose(logits, other, atol=1e-9)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("training", [True, False])
def test_no_nan_for_lonely_nodes_zeros_and_duplicates(aggregation: str, training: bool) -> None:
    _, links = graph()
    features = torch.zeros(9, 4)
    features[3:6] = 1.0
    network = LinkageNetwork(4, aggregation=aggregation).train(training)
    logits = network(features.requires_grad_(), links, torch.arange(9))
    logits.logsumexp(1).sum().backward()
    assert logits.isfinite().all()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert all(one.grad.isfinite().all() for one in network.parameters() if one.grad is not None)


def test_widths_of_the_paper() -> None:
    assert LinkageNetwork(512).widths == (512, 512, 256, 256)
    weights = [tuple(layer.linear.weight.shape) for layer in LinkageNetwork(8).layers]
    assert weights == [(8, 16), (8, 16), (4, 16), (4, 8)]
    with pytest.raises(ArcwiseError, match="'sum'"):
        LinkageNetwork(8, aggregation="sum")
