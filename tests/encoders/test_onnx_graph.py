"""An imported network as an encoder: frozen, copied and kept like any other."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from arcwise import encoders
from arcwise.encoders.onnx_session import GRAPH, OnnxSession
from arcwise.encoders.weights import rebuild, to_numpy
from arcwise.errors import ArcwiseError
from tests.onnx_networks import SIZE, D, network


def encoder(file: Path, *, dim: int = D, projection: str = "none") -> nn.Module:
    content = file.read_bytes()
    arguments = {"width": D, "file_bytes": len(content), "projection": projection}
    made = encoders.create("onnx", dim=dim, size=SIZE, arguments=arguments)
    made.load_state_dict(
        {GRAPH: torch.frombuffer(bytearray(content), dtype=torch.uint8)}, strict=False
    )
    return made


IMAGES = torch.randn(4, 3, *SIZE, generator=torch.Generator().manual_seed(0))


def test_it_computes_the_network(tmp_path: Path) -> None:
    file = network(tmp_path / "n.onnx", batch=1)
    expected = OnnxSession(file, SIZE, threads=1)(IMAGES.numpy())
    made = encoder(file)
    assert made(IMAGES).numpy() == pytest.approx(expected, abs=1e-6)
    assert list(made.parameters()) == []
    again = rebuild(encoders.architecture(made), to_numpy(made))
    assert np.array_equal(again(IMAGES).numpy(), made(IMAGES).numpy())


def test_a_head_is_trained_on_it(tmp_path: Path) -> None:
    made = encoder(network(tmp_path / "n.onnx"), dim=3, projection="linear")
    before = to_numpy(made)
    optimiser = torch.optim.SGD(made.parameters(), lr=0.1)
    made.train()(IMAGES).square().sum().backward()
    optimiser.step()
    moved = [name for name, one in to_numpy(made).items() if not np.array_equal(one, before[name])]
    assert moved == ["head.project.weight"]
    assert made.layers[-1] is made.head
    assert torch.equal(made.head(made.pooled(IMAGES)), made(IMAGES))


def test_copies_and_new_weights(tmp_path: Path) -> None:
    one, other = (
        encoder(network(tmp_path / "a.onnx")),
        encoder(network(tmp_path / "b.onnx", weight=2)),
    )
    first = one(IMAGES)
    copied = copy.deepcopy(one)
    assert torch.equal(copied(IMAGES), first)
    assert one.backbone.graph.shape == other.backbone.graph.shape
    copied.load_state_dict(other.state_dict())  # the network that was opened is another now
    assert torch.allclose(copied(IMAGES), 2 * first)
    assert torch.equal(one(IMAGES), first)


def test_it_needs_the_imported_file() -> None:
    with pytest.raises(ArcwiseError, match="arcwise import"):
        encoders.create("onnx", dim=D, size=SIZE)
    empty = encoders.create("onnx", dim=D, size=SIZE, arguments={"width": D, "file_bytes": 9})
    with pytest.raises(ArcwiseError, match="arcwise import"):
        empty(IMAGES)
