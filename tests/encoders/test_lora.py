"""Low-rank adapters start as nothing, are all that is trained below the head, and merge."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from arcwise import encoders
from arcwise.encoders import lora
from arcwise.encoders.backbone import BackboneEncoder
from arcwise.errors import ArcwiseError
from tests.vits import tiny


def images(count: int = 3) -> Tensor:
    return torch.randn(count, 3, 24, 24, generator=torch.Generator().manual_seed(count))


def adapted(dtype: torch.dtype = torch.float32) -> BackboneEncoder:
    """A network whose adapters are not at their start."""
    encoder = tiny()
    lora.add_adapters(encoder, 2)
    for name, parameter in encoder.named_parameters():
        if name.endswith("lora_b"):
            nn.init.normal_(parameter, std=0.3)
    return encoder.to(dtype)


def test_the_start_is_the_network_itself() -> None:
    encoder = tiny()
    before = encoder(images())
    state = copy.deepcopy(encoder.state_dict())
    lora.add_adapters(encoder, 2)
    assert torch.equal(encoder(images()), before)
    after = encoder.state_dict()
    assert all(torch.equal(after[key], one) for key, one in state.items())
    assert len(after) - len(state) == 2 * 2 * 2  # blocks, linear maps, A and B
    assert after["backbone.blocks.1.attn.qkv.lora_a"].shape == (2, 12)
    assert after["backbone.blocks.1.attn.qkv.lora_b"].shape == (36, 2)


def test_an_adapter_is_the_product_added_to_the_weight() -> None:
    """In float64, against the equation."""
    torch.manual_seed(0)
    plain = nn.Linear(5, 4).double()
    linear = lora.LowRankLinear(plain, 2)
    nn.init.normal_(linear.lora_b)
    x = torch.randn(3, 5, dtype=torch.float64)
    weight = plain.weight + linear.lora_b @ linear.lora_a
    expected = torch.stack([weight @ row + plain.bias for row in x])
    assert torch.allclose(linear(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@torch.no_grad()
def test_merged_equals_unmerged(dtype: torch.dtype, tolerance: float) -> None:
    encoder, some = adapted(dtype), images().to(dtype)
    before = encoder.backbone(some).token
    kept = copy.deepcopy(encoder.state_dict())
    plain = lora.merge(encoder)
    after = plain.backbone(some).token
    assert (after - before).abs().max() <= tolerance * before.abs().max()
    assert not torch.allclose(before, tiny().to(dtype).backbone(some).token, atol=1e-2)
    assert plain.state_dict().keys() == tiny().state_dict().keys()
    assert all(torch.equal(one, kept[key]) for key, one in encoder.state_dict().items())
    assert encoders.architecture(plain) == encoders.architecture(encoder)


def test_a_plain_network_is_merged_already() -> None:
    encoder = tiny()
    assert lora.merge(encoder) is encoder
    plain = lora.merge(adapted())
    assert lora.merge(plain) is plain


def test_only_adapters_and_head_move() -> None:
    encoder = adapted().train()
    before = copy.deepcopy(encoder.state_dict())
    trained = [one for one in encoder.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(trained, 0.01)
    (encoder(images(4)) ** 3).sum().backward()
    optimiser.step()
    names = {name for name, _ in encoder.named_parameters()}
    moved = {name for name in names if not torch.equal(encoder.state_dict()[name], before[name])}
    assert moved == {name for name in names if "lora" in name or name.startswith("head.")}


def test_freezing_again_leaves_the_adapters() -> None:
    encoder = adapted()
    encoder.requires_grad_(True)
    encoder.backbone.blocks[0].requires_grad_(False)
    lora.freeze_base(encoder)
    names = {name for name, one in encoder.named_parameters() if one.requires_grad}
    assert {name.split(".")[2] for name in names if "lora" in name} == {"1"}
    assert all("lora" in name or name.startswith("head.") for name in names)
    plain = tiny()
    lora.freeze_base(plain)
    assert all(one.requires_grad for one in plain.parameters())


def test_copies_and_states_carry_adapters() -> None:
    encoder = adapted()
    twin = copy.deepcopy(encoder)
    assert torch.equal(twin(images()), encoder(images()))
    other = tiny()
    lora.add_adapters(other, 2)
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(images()), encoder(images()))
    nn.init.zeros_(encoder.backbone.blocks[0].attn.qkv.lora_a)
    assert not torch.equal(twin(images()), encoder(images()))


def test_an_encoder_without_attention_is_refused() -> None:
    encoder = encoders.create("small", dim=8)
    with pytest.raises(ArcwiseError, match="small has none"):
        lora.add_adapters(encoder, 2)
    assert lora.merge(encoder) is encoder


@pytest.mark.parametrize("rank", [0, 13])
def test_a_rank_out_of_range(rank: int) -> None:
    with pytest.raises(ArcwiseError, match="expected 1 to 12"):
        lora.add_adapters(tiny(), rank)


def test_adapters_are_put_on_once() -> None:
    with pytest.raises(ArcwiseError, match="merge them"):
        lora.add_adapters(adapted(), 2)
