"""What every encoder promises, whatever its family."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from arcwise import encoders
from arcwise.encoders.weights import load_numpy, to_numpy
from arcwise.errors import ArcwiseError

QUICK = ("small", "mobilefacenet", "iresnet18", "efficientnet_lite0")
ANY_SIZE = ("small", "efficientnet_lite0")
SIZE = (48, 40)  # neither square nor a multiple of 32: nothing may rely on that


@pytest.fixture(scope="module", params=QUICK)
def encoder(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    made = encoders.create(request.param, dim=24, size=SIZE)
    for module in made.modules():  # statistics and scales that are not the identity
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine and module.weight.requires_grad:
                nn.init.uniform_(module.weight, 0.5, 1.5)
    return made


def images(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, *SIZE, generator=torch.Generator().manual_seed(count))


def test_shape_and_attributes(encoder: nn.Module) -> None:
    out = encoder.eval()(images())
    assert out.shape == (3, 24)
    assert out.dtype == torch.float32
    assert not torch.allclose(out.norm(dim=1), torch.ones(3), atol=1e-2)  # not normalised
    assert encoders.architecture(encoder) == {
        "name": encoder.spec.name,
        "dim": 24,
        "size": [48, 40],
    }
    twin = encoders.create(encoder.spec.name, dim=24, size=SIZE)
    assert twin.state_dict().keys() == encoder.state_dict().keys()


def test_deterministic_and_independent_of_the_batch_in_eval(encoder: nn.Module) -> None:
    encoder.eval()
    with torch.no_grad():
        batch = encoder(images())
        assert torch.equal(batch, encoder(images()))
        alone = encoder(images()[1:2])
    assert torch.allclose(alone, batch[1:2], rtol=1e-4, atol=1e-4 * float(batch.abs().max()))


def test_gradient_reaches_every_parameter(encoder: nn.Module) -> None:
    encoder.train().zero_grad()
    out = encoder(images(4))
    (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    for key, parameter in encoder.named_parameters():
        if not parameter.requires_grad:
            assert key == "features.weight"
            continue
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().max() > 0, key


def test_last_layers_are_float32_under_autocast(encoder: nn.Module) -> None:
    encoder.eval()
    fast = copy.deepcopy(encoder).to(memory_format=torch.channels_last)
    with torch.no_grad():
        exact = fast(images())
        with torch.autocast("cpu", torch.bfloat16):
            half = fast(images().contiguous(memory_format=torch.channels_last))
    assert half.dtype == torch.float32
    assert torch.cosine_similarity(exact, half).min() > 0.99


def test_one_image_cannot_be_trained_on(encoder: nn.Module) -> None:
    encoder.train()
    with pytest.raises(ArcwiseError, match="at least two"):
        encoder(images(1))
    assert encoder.eval()(images(1)).shape == (1, 24)


def test_wrong_images_are_named(encoder: nn.Module) -> None:
    encoder.eval()
    with pytest.raises(ArcwiseError, match=r"shape \(2, 1, 48, 40\)"):
        encoder(torch.zeros(2, 1, 48, 40))
    if encoder.spec.name not in ANY_SIZE:
        with pytest.raises(ArcwiseError, match=r"takes \(N, 3, 48, 40\)"):
            encoder(torch.zeros(2, 3, 64, 64))


def test_weights_travel_through_numpy(encoder: nn.Module) -> None:
    state = to_numpy(encoder)
    assert all(isinstance(value, np.ndarray) for value in state.values())
    twin = encoders.create(encoder.spec.name, dim=24, size=SIZE)
    load_numpy(twin, state)
    with torch.no_grad():
        assert torch.equal(twin.eval()(images()), encoder.eval()(images()))
    key = next(iter(state))
    state[key][...] = 7  # copies, both ways
    assert not (encoder.state_dict()[key] == 7).all()
    assert not (twin.state_dict()[key] == 7).all()


def test_weights_of_another_encoder_are_refused() -> None:
    state = to_numpy(encoders.create("small", dim=8))
    with pytest.raises(ArcwiseError, match=r"1 of another shape \(projection \(8, 704\)"):
        load_numpy(
            encoders.create("small", dim=9, size=(64, 64)),
            {
                **state,
                "embedding.running_mean": np.zeros(9),
                "embedding.running_var": np.ones(9),
            },
        )
    state["head.weight"] = state.pop("projection")
    with pytest.raises(ArcwiseError, match=r"1 missing \(projection\); 1 too many"):
        load_numpy(encoders.create("small", dim=8), state)


def test_same_seed_same_weights() -> None:
    torch.manual_seed(5)
    first = to_numpy(encoders.create("small", dim=8))
    torch.manual_seed(5)
    second = to_numpy(encoders.create("small", dim=8))
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(ArcwiseError, match="did you mean 'iresnet50'"):
        encoders.create("iresnet_50")
    with pytest.raises(ArcwiseError, match="known: small, mobilefacenet"):
        encoders.create("zzz")


@pytest.mark.parametrize("fields", [{"dim": 0}, {"size": (0, 112)}, {"size": (112,)}])
def test_impossible_sizes(fields: dict) -> None:
    with pytest.raises(ArcwiseError, match="cannot be"):
        encoders.create("small", **fields)


def test_names_import_no_torch() -> None:
    code = "import sys, arcwise.encoders as e; e.NAMES; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
