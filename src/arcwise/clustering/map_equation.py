"""The two-level map equation: communities that make a random walk on a graph short to describe.

A walk is described by the names of the nodes it visits, from a codebook for each module, and the
names of the modules that it enters (Rosvall and Bergstrom, PNAS 105, 2008). With node flows p,
module enter flows q and exit flows r, in bits,

    L = plogp(Σ q) - Σ plogp(q) - Σ plogp(r) + Σ plogp(r + Σ p) - Σ plogp(p),  plogp(x) = x log₂ x.

Modules of low L are searched for as Louvain does: every node moves to the neighbouring module that
lowers L most, until none does; modules become nodes; and so on. Then single nodes, and parts of
modules, move again between the modules found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.sparse import coo_array

from arcwise.errors import ArcwiseError

TELEPORTATION = 0.15
"""Chance that a directed walk starts anew at a random link; such steps are not described."""

_PASSES = 50  # over the nodes of one level, at most
_ROUNDS = 20  # of moving nodes and parts of modules, at most
_LEAST = 1e-12  # bits that a move has to save, above the rounding of the sums
_LEAST_RELATIVE = 1e-7  # of the code length, that another round has to save


@dataclass(frozen=True, eq=False)
class Flow:
    """The flow of a random walk over N nodes, in compressed rows.

    Attributes:
        start: (N + 1,) int64; the links of node i are from `start[i]` to `start[i + 1]`.
        other: (E,) int32 the node at the other end. Each link is in the rows of both its ends.
        out: (E,) flow to the other end.
        into: (E,) flow from it.
        node: (N,) flow through each node; 0 for one without links.
    """

    start: np.ndarray
    other: np.ndarray
    out: np.ndarray
    into: np.ndarray
    node: np.ndarray

    def __len__(self) -> int:
        return len(self.node)

    @property
    def row(self) -> np.ndarray:
        """(E,) the node whose row a link is in."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.start))


def undirected_flow(pairs: np.ndarray, weight: np.ndarray, count: int) -> Flow:
    """Return the flow over an undirected graph: of each node, its share of the weight.

    Args:
        pairs: (E, 2) nodes, each pair once; loops are left out.
        weight: (E,) above 0.
        count: nodes, N.
    """
    source, target, weight = _links(pairs, weight, count)
    half = weight / (2 * weight.sum()) if len(weight) else weight
    start, other, out, into = _rows(source, target, half, half, count)
    return Flow(start, other, out, into, _sums(start, out))


def directed_flow(pairs: np.ndarray, weight: np.ndarray, count: int) -> Flow:
    """Return the flow over a directed graph: PageRank's, with unrecorded teleportation to links.

    The walk follows a link of its node in proportion to the weights. With chance 0.15, or where
    there is no link to follow, it goes on from the source of a random link (Lambiotte and Rosvall,
    Physical Review E 85, 2012). The flow is that of the followed links alone.

    Args:
        pairs: (E, 2) source and target, each link once; loops are left out.
        weight: (E,) above 0.
        count: nodes, N.
    """
    source, target, weight = _links(pairs, weight, count)
    leaving = np.bincount(source, weight, count)
    if not len(weight):
        return Flow(*_rows(source, target, weight, weight, count), leaving)
    again = leaving / leaving.sum()
    step = weight / leaving[source]
    visits = again
    for _ in range(200):
        lost = visits[leaving == 0].sum()
        followed = np.bincount(target, step * visits[source], count)
        after = (TELEPORTATION + (1 - TELEPORTATION) * lost) * again
        after += (1 - TELEPORTATION) * followed
        change, visits = np.abs(after - visits).sum(), after / after.sum()
        if change < 1e-15:
            break
    flow = step * visits[source]
    flow /= flow.sum()
    rows = _rows(source, target, flow, np.zeros_like(flow), count)
    return Flow(*rows, np.bincount(target, flow, count))


def code_length(flow: Flow, labels: np.ndarray) -> float:
    """Return the bits that one step of the walk takes with these modules.

    Args:
        flow: over N nodes.
        labels: (N,) int64 module of each.
    """
    modules = int(labels.max(initial=-1)) + 1
    row = flow.row
    leaves = labels[row] != labels[flow.other]
    exits = np.bincount(labels[row[leaves]], flow.out[leaves], modules)
    enters = np.bincount(labels[row[leaves]], flow.into[leaves], modules)
    inside = np.bincount(labels, flow.node, modules)
    return float(
        _plogp(enters.sum()) - _plogp(enters).sum() - _plogp(exits).sum()
        + _plogp(exits + inside).sum() - _plogp(flow.node).sum()
    )  # fmt: skip


def modules(flow: Flow, *, seed: int = 0, trials: int = 1) -> np.ndarray:
    """Return (N,) int64 modules, numbered by their first node, of the lowest code length found.

    A node without links is a module of its own.

    Args:
        flow: over N nodes.
        seed: of the orders in which nodes are tried.
        trials: searches, of which the best counts.
    """
    draw = np.random.default_rng(seed)
    best, shortest = np.arange(len(flow)), np.inf
    for _ in range(trials):
        labels = _searched(flow, draw)
        if (length := code_length(flow, labels)) < shortest:
            best, shortest = labels, length
    return numbered_by_first(best)


def numbered_by_first(labels: np.ndarray) -> np.ndarray:
    """Return (N,) int64 labels 0 … M - 1, in the order in which each first occurs."""
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[place]


def _searched(flow: Flow, draw: np.random.Generator) -> np.ndarray:
    labels = _climbed(flow, np.arange(len(flow)), draw)
    length = code_length(flow, labels)
    for _ in range(_ROUNDS):
        moved = _climbed(flow, labels, draw)
        parts = _moved(flow, np.arange(len(flow)), draw, moved)
        of_part = np.empty(parts.max(initial=-1) + 1, dtype=np.int64)
        of_part[parts] = moved
        moved = _climbed(_joined(flow, parts), of_part, draw)[parts]
        before, length = length, min(length, shorter := code_length(flow, moved))
        if shorter >= before * (1 - _LEAST_RELATIVE):
            return moved if shorter < before else labels
        labels = moved
    return labels


def _climbed(flow: Flow, labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return modules from moving nodes, then the modules as nodes, until nothing moves."""
    labels = _moved(flow, labels, draw)
    while True:
        level = _joined(flow, labels)
        above = _moved(level, np.arange(len(level)), draw)
        if above.max(initial=-1) + 1 == len(level):
            return labels
        labels = above[labels]


def _moved(
    flow: Flow, labels: np.ndarray, draw: np.random.Generator, within: np.ndarray | None = None
) -> np.ndarray:
    """Return modules, 0 … M - 1, from moving single nodes until none moves.

    Args:
        flow: over N nodes.
        labels: (N,) the modules at first.
        draw: the orders of the nodes.
        within: (N,) larger modules, which none leaves; None for no limit.
    """
    count = len(flow)
    module = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    limit = np.zeros(count, dtype=np.int64) if within is None else within
    row = flow.row
    leaves = module[row] != module[flow.other]
    of_modules = np.stack(
        [
            np.bincount(module, flow.node, count),
            np.bincount(module[row[leaves]], flow.out[leaves], count),
            np.bincount(module[row[leaves]], flow.into[leaves], count),
        ]
    )
    size = np.bincount(module, minlength=count)
    of_nodes = np.stack([flow.node, _sums(flow.start, flow.out), _sums(flow.start, flow.into)])
    waiting = np.diff(flow.start) > 0
    for _ in range(_PASSES):
        order = draw.permutation(np.flatnonzero(waiting))
        if not _pass(
            order, flow.start, flow.other, flow.out, flow.into, of_nodes,
            module, of_modules, size, limit, waiting,
        ):  # fmt: skip
            break
    return np.unique(module, return_inverse=True)[1].astype(np.int64)


@njit(cache=True, nogil=True)
def _pass(  # noqa: PLR0912, PLR0915  # one compiled loop
    order: np.ndarray, start: np.ndarray, other: np.ndarray, out: np.ndarray, into: np.ndarray,
    of_nodes: np.ndarray, module: np.ndarray, of_modules: np.ndarray, size: np.ndarray,
    limit: np.ndarray, waiting: np.ndarray,
) -> int:  # fmt: skip
    """Move each node to the best module next to it, in place; return how many moved."""
    flow, exits, enters = of_modules
    to = np.zeros(len(size))
    back = np.zeros(len(size))
    touched = np.empty(len(size), np.int64)
    free = np.empty(len(size) + 1, np.int64)
    frees, moves, total = 0, 0, enters.sum()
    for m in range(len(size)):
        if size[m] == 0:
            free[frees] = m
            frees += 1
    for i in order:
        waiting[i] = False
        old, seen = module[i], 0
        for e in range(start[i], start[i + 1]):
            if limit[other[e]] == limit[i]:
                m = module[other[e]]
                if to[m] == 0 and back[m] == 0:
                    touched[seen] = m
                    seen += 1
                to[m] += out[e]
                back[m] += into[e]
        p, leaving, entering = of_nodes[0, i], of_nodes[1, i], of_nodes[2, i]
        left_exit = max(0.0, exits[old] - leaving + to[old] + back[old])
        left_enter = max(0.0, enters[old] - entering + to[old] + back[old])
        left_flow = max(0.0, flow[old] - p)
        if size[old] == 1:
            left_exit = left_enter = left_flow = 0.0
        gone = _term(left_flow, left_exit, left_enter) - _term(flow[old], exits[old], enters[old])
        best, change = old, -_LEAST
        for place in range(seen + 1):
            if place < seen:
                m = touched[place]
            elif size[old] > 1 and frees:
                m = free[frees - 1]
            else:
                continue
            if m == old:
                continue
            new_exit = max(0.0, exits[m] + leaving - to[m] - back[m])
            new_enter = max(0.0, enters[m] + entering - to[m] - back[m])
            after = total - enters[old] + left_enter - enters[m] + new_enter
            saved = (
                gone + _term(flow[m] + p, new_exit, new_enter) - _term(flow[m], exits[m], enters[m])
                + _xlog(after) - _xlog(total)
            )  # fmt: skip
            if saved < change:
                best, change = m, saved
        if best != old:
            new_exit = max(0.0, exits[best] + leaving - to[best] - back[best])
            new_enter = max(0.0, enters[best] + entering - to[best] - back[best])
            total = max(0.0, total - enters[old] + left_enter - enters[best] + new_enter)
            flow[old], exits[old], enters[old] = left_flow, left_exit, left_enter
            flow[best] += p
            exits[best], enters[best] = new_exit, new_enter
            if size[best] == 0:
                frees -= 1
            size[old] -= 1
            size[best] += 1
            if size[old] == 0:
                free[frees] = old
                frees += 1
            module[i] = best
            moves += 1
            for e in range(start[i], start[i + 1]):
                waiting[other[e]] = True
        for place in range(seen):
            to[touched[place]] = back[touched[place]] = 0.0
    return moves


@njit(cache=True, nogil=True, inline="always")
def _xlog(x: float) -> float:
    return x * np.log2(x) if x > 0 else 0.0


@njit(cache=True, nogil=True, inline="always")
def _term(flow: float, exits: float, enters: float) -> float:
    """Return what a module adds to the code length, but for the sum of the enter flows."""
    return _xlog(exits + flow) - _xlog(exits) - _xlog(enters)


def _joined(flow: Flow, labels: np.ndarray) -> Flow:
    """Return the flow between modules 0 … M - 1, as nodes."""
    count = int(labels.max(initial=-1)) + 1
    row, other = labels[flow.row], labels[flow.other]
    between = row != other
    row, other, out, into = (one[between] for one in (row, other, flow.out, flow.into))
    links = _summed(row, other, out, into, count)
    return Flow(*links, np.bincount(labels, flow.node, count))


def _links(
    pairs: np.ndarray, weight: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return source, target and weight of the links; raise where they are none."""
    pairs, weight = np.asarray(pairs).reshape(-1, 2), np.asarray(weight, dtype=np.float64)
    if len(pairs) != len(weight) or not (np.isfinite(weight) & (weight > 0)).all():
        raise ArcwiseError(f"{len(pairs)} links, expected as many weights, all above 0")
    if len(pairs) and not (pairs.min() >= 0 and pairs.max() < count):
        raise ArcwiseError(f"links name nodes {pairs.min()} to {pairs.max()}, expected {count}")
    other = pairs[:, 0] != pairs[:, 1]
    return pairs[other, 0], pairs[other, 1], weight[other]


def _rows(
    source: np.ndarray, target: np.ndarray, there: np.ndarray, back: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return links in compressed rows, each in the rows of both its ends."""
    rows, columns = np.concatenate([source, target]), np.concatenate([target, source])
    out, into = np.concatenate([there, back]), np.concatenate([back, there])
    return _summed(rows, columns, out, into, count)


def _summed(
    row: np.ndarray, other: np.ndarray, out: np.ndarray, into: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return links in compressed rows, those of one row and one other end added."""
    place = row.astype(np.int32), other.astype(np.int32)
    first = coo_array((out, place), shape=(count, count)).tocsr()
    second = coo_array((into, place), shape=(count, count)).tocsr()
    return first.indptr.astype(np.int64), first.indices, first.data, second.data


def _sums(start: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the sum of each row."""
    rows = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return np.bincount(rows, values, len(start) - 1)


def _plogp(x: np.ndarray | float) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    return x * np.log2(np.where(x > 0, x, 1.0))
