"""The phases of a step, between which centres that are divided among processes are reduced."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from arcwise.margins import ArcFace, SupportVector
from arcwise.softmax import Streaming
from arcwise.softmax.loss import SoftmaxStatistics, embedding_gradient
from arcwise.softmax.problem import Problem, prepare
from tests.softmax.exact import exact
from tests.softmax.problems import draw


def part_of(problem: Problem, first: int, last: int) -> Problem:
    """The problem over classes first..last-1, with the target terms of the whole."""
    k = problem.subcentres
    return replace(
        problem,
        centres=problem.centres[first * k : last * k],
        labels=problem.labels - first,
        host_labels=problem.host_labels - first,
        target=replace(problem.target, row=problem.target.row - first * k),
    )


@pytest.mark.parametrize("subcentres", [None, 2])
@pytest.mark.parametrize("scale", [16.0, 500.0])  # a fixed maximum, and a running one
@pytest.mark.parametrize("margin", [ArcFace(), SupportVector(ArcFace())], ids=["arc", "support"])
@pytest.mark.parametrize("edges", [(0, 23), (0, 7, 23), (0, 1, 12, 23)], ids=len)
def test_parts_of_the_classes_reduced_between_phases_are_the_whole(
    edges, margin, scale, subcentres
):
    x, w, y = draw(6, 23, 5, 0, subcentres=subcentres)
    y[2] = -1
    whole = prepare(x, w, y, margin, scale, {})
    parts = [part_of(whole, *pair) for pair in itertools.pairwise(edges)]

    passes = [Streaming(keep="fp32", chunk=4).first_pass(part) for part in parts]
    log_negatives = torch.logsumexp(torch.stack([each.log_negatives for each in passes]), 0)
    softmax = SoftmaxStatistics.of(whole, log_negatives)
    accumulator = sum(each.accumulator(softmax) for each in passes)
    dx = embedding_gradient(whole, softmax, accumulator)
    dw = torch.cat([
        chunk.clone() for each in passes for _, chunk in each.centre_gradients(softmax)
    ])  # fmt: skip

    expected = exact(x, w, y, margin, scale)
    torch.testing.assert_close(softmax.loss, expected.loss)
    torch.testing.assert_close(dx, expected.dx)
    torch.testing.assert_close(dw.view_as(w), expected.dw)
