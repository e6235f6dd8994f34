"""A user's own network, by the name of a function that returns it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from arcwise import encoders, runtime
from arcwise.encoders import python_backbone
from arcwise.errors import ArcwiseError
from arcwise.images import Preparation

CODE = """
import os
from os import getcwd
import torch
from torch import nn
from arcwise.encoders.embedding_head import Features

class Net(nn.Module):
    def __init__(self, form="map", channels=6):
        super().__init__()
        self.stem, self.form = nn.Conv2d(3, channels, 4, 4), form
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        x = self.norm(self.stem(x))
        tokens = x.flatten(2).transpose(1, 2)
        return {
            "map": x, "tokens": tokens, "pooled": tokens.mean(1),
            "features": Features(x.flatten(2), tokens[:, 0]),
            "list": [x], "numbers": x.long(), "five": x[:, None], "one": x[:1],
        }[self.form]

def net(form="map", channels=6):
    return Net(form, channels)

def slow():
    raise OSError("no such\\ncheckpoint")

def something():
    return 3

class Fails(nn.Module):
    def forward(self, x):
        return x @ torch.zeros(7, 7)

number, instance = 3, Net()
"""

NAME = "torch:users_nets.own:net"
SIZE = (16, 24)


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_backbone, "_named", set())
    if not (tmp_path / "users_nets").exists():
        (tmp_path / "users_nets").mkdir()
        (tmp_path / "users_nets" / "own.py").write_text(CODE)
        (tmp_path / "users_nets" / "broken.py").write_text("import not_installed_anywhere")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [one for one in sys.modules if one.startswith("users_nets")]:
        monkeypatch.delitem(sys.modules, name)


def create(name: str = NAME, **arguments: object) -> nn.Module:
    return encoders.create(name, dim=4, size=SIZE, arguments=arguments)


@pytest.mark.parametrize("form", ["map", "tokens", "pooled", "features"])
def test_forms_of_output(form: str) -> None:
    torch.manual_seed(0)
    encoder = create(form=form, channels=5, pooling="mean", projection="linear").eval()
    images = torch.randn(3, 3, *SIZE)
    module = encoder.backbone.module  # type: ignore[union-attr]
    maps = module.norm(module.stem(images))  # type: ignore[operator, union-attr]
    expected = encoder.head.project(maps.mean((2, 3)))  # type: ignore[operator, union-attr]
    assert torch.allclose(encoder(images), expected, atol=1e-6)
    assert encoder.training is False


def test_a_class_token_can_be_pooled() -> None:
    assert create(form="features", pooling="cls")(torch.randn(2, 3, *SIZE)).shape == (2, 4)


def test_it_is_made_in_training_mode_with_statistics_of_a_new_network() -> None:
    encoder = create()
    assert all(part.training for part in encoder.modules())
    assert int(encoder.backbone.module.norm.num_batches_tracked) == 0  # type: ignore


def test_layers_are_the_children() -> None:
    encoder = create()
    layers = encoder.layers
    assert [type(one).__name__ for one in layers] == ["Conv2d", "BatchNorm2d", "EmbeddingHead"]  # type: ignore
    counted = sum(p.numel() for layer in layers for p in layer.parameters())  # type: ignore
    assert counted == sum(p.numel() for p in encoder.parameters())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torch:users_nets", "names no function"),
        ("torch:users_nets.own:net()", "names no function"),
        ("torch:not_there.nets:net", "no module not_there; .* PYTHONPATH"),
        ("torch:users_nets.other:net", r"no module users_nets\.other"),
        ("torch:users_nets.broken:net", r"importing users_nets\.broken failed .*not_installed"),
        ("torch:users_nets.own:nett", "no 'nett'; did you mean 'net'"),
        ("torch:users_nets.own:number", "is a int; expected a function"),
        ("torch:users_nets.own:instance", "is a Net; expected a function"),
        ("torch:users_nets.own:getcwd", "is defined in posix"),
        ("torch:users_nets.own:slow", r"failed \(OSError: no such checkpoint\)"),
        ("torch:users_nets.own:something", "returned a int; expected a torch.nn.Module"),
        ("torch:users_nets.own:Fails", r"fails on two images of 16 x 24 \(RuntimeError"),
    ],
)
def test_names_of_no_network(name: str, said: str) -> None:
    with pytest.raises(ArcwiseError, match=said) as caught:
        create(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("list", "returned a list; expected"),
        ("numbers", "torch.int64 of shape"),
        ("five", r"shape \(2, 1, 6, 4, 6\)"),
        ("one", r"shape \(1, 6, 4, 6\) for 2 images"),
    ],
)
def test_outputs_of_no_backbone(form: str, said: str) -> None:
    with pytest.raises(ArcwiseError, match=said):
        create(form=form)


def test_an_argument_that_the_function_has_not() -> None:
    with pytest.raises(ArcwiseError, match=r"TypeError: .*depth"):
        create(depth=3)


def test_a_state_dict_of_the_users_module() -> None:
    encoder = create()
    own = encoder.backbone.module.state_dict()  # type: ignore[union-attr]
    named = encoders.in_our_names(encoder, {**own, "fc.weight": torch.zeros(2)})
    assert set(named) - {"fc.weight"} <= set(encoder.state_dict())
    assert "fc.weight" in named


def test_a_model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    encoder = create(channels=5).eval()
    runtime.save(tmp_path / "model", encoder, Preparation(*SIZE))
    image = np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8)
    own = runtime.load(tmp_path / "model", runtime="torch").embed([image])  # this process made it

    monkeypatch.setattr(python_backbone, "_named", set())  # as in another process
    for trusted in ("", "users", "users_nets.other"):
        monkeypatch.setenv(python_backbone.TRUSTED, trusted)
        with pytest.raises(ArcwiseError, match=r"ARCWISE_TRUSTED_MODULES=users_nets\.own"):
            runtime.load(tmp_path / "model", runtime="torch")
    for trusted in ("users_nets.own", "other, users_nets"):
        monkeypatch.setenv(python_backbone.TRUSTED, trusted)
        before = torch.get_rng_state()
        again = runtime.load(tmp_path / "model", runtime="torch").embed([image])
        assert torch.equal(torch.get_rng_state(), before)
        assert np.array_equal(again, own)
        monkeypatch.setattr(python_backbone, "_named", set())
