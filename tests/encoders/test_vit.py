"""A vision transformer is DINOv2's: its names, its numbers, its interpolation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arcwise import encoders
from arcwise.encoders.vit import resampling
from arcwise.encoders.weights import rebuild, to_numpy
from arcwise.errors import ArcwiseError
from arcwise.training import start_weights
from tests import vits
from tests.vits import tiny

State = dict[str, Tensor]


def images(size: tuple[int, int], count: int = 2) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(count))


def published(registers: int = 0) -> State:
    """`dinov2_vits14_pretrain.pth`, or with registers `dinov2_vits14_reg4_pretrain.pth`: shapes."""
    channels = 384
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, channels),
        "pos_embed": (1, 1370, channels),
        "mask_token": (1, channels),
        "patch_embed.proj.weight": (channels, 3, 14, 14),
        "patch_embed.proj.bias": (channels,),
        "norm.weight": (channels,),
        "norm.bias": (channels,),
    }
    if registers:
        shapes["register_tokens"] = (1, registers, channels)
    for number in range(12):
        shapes |= {
            f"blocks.{number}.{name}": shape
            for name, shape in {
                "norm1.weight": (channels,),
                "norm1.bias": (channels,),
                "attn.qkv.weight": (3 * channels, channels),
                "attn.qkv.bias": (3 * channels,),
                "attn.proj.weight": (channels, channels),
                "attn.proj.bias": (channels,),
                "ls1.gamma": (channels,),
                "norm2.weight": (channels,),
                "norm2.bias": (channels,),
                "mlp.fc1.weight": (4 * channels, channels),
                "mlp.fc1.bias": (4 * channels,),
                "mlp.fc2.weight": (channels, 4 * channels),
                "mlp.fc2.bias": (channels,),
                "ls2.gamma": (channels,),
            }.items()
        }
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def chunked(state: State) -> State:
    """The names of a network whose blocks are in one chunk, as DINOv2 trains it."""
    return {key.replace("blocks.", "blocks.0."): value for key, value in state.items()}


def by_timm(state: State) -> State:
    """The names of timm: no mask token; with registers, no position of the class token."""
    state = {**state}
    del state["mask_token"]
    if "register_tokens" in state:
        state["reg_token"] = state.pop("register_tokens")
        state["pos_embed"] = state["pos_embed"][:, 1:]
    return state | {"head.weight": torch.zeros(9, 384), "head.bias": torch.zeros(9)}


def by_transformers(state: State) -> State:
    """The names of `facebook/dinov2-small`: query, key and value apart."""
    out: State = {}
    for key, value in state.items():
        number, _, rest = key.removeprefix("blocks.").partition(".")
        at = f"dinov2.encoder.layer.{number}."
        if not key.startswith("blocks."):
            name = {
                "pos_embed": "embeddings.position_embeddings",
                "norm.weight": "layernorm.weight",
                "norm.bias": "layernorm.bias",
            }.get(key, f"embeddings.{key}")
            name = name.replace("patch_embed.proj", "patch_embeddings.projection")
            out[f"dinov2.{name}"] = value
        elif rest.startswith("attn.qkv"):
            kind = rest.removeprefix("attn.qkv.")
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                out[f"{at}attention.attention.{part}.{kind}"] = piece
        else:
            rest = rest.replace("attn.proj", "attention.output.dense")
            rest = rest.replace("ls1.gamma", "layer_scale1.lambda1")
            out[at + rest.replace("ls2.gamma", "layer_scale2.lambda1")] = value
    return out


LAYOUTS = [chunked, by_timm, by_transformers, lambda state: state]


@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_key_is_missing_or_left_over(layout: Callable[[State], State], registers: int) -> None:
    with torch.device("meta"):
        encoder = encoders.create(f"vit_small_14{'_reg4' if registers else ''}", dim=32)
    state = published(registers)
    assert len(state) == 175 + (registers > 0)
    renamed = encoders.in_our_names(encoder, layout(state))
    found, _ = encoders.completed(encoder, renamed)
    found = {key.removeprefix("dinov2."): value for key, value in found.items()}
    classifier = {key for key in found if key.startswith("classifier.")}
    assert classifier == ({"classifier.weight", "classifier.bias"} if layout is by_timm else set())
    own = encoder.state_dict()
    assert {key: value.shape for key, value in found.items() if key not in classifier} == {
        key: value.shape for key, value in own.items() if key.startswith("backbone.")
    }


@pytest.mark.parametrize("name", [name for name in encoders.NAMES if name.startswith("vit")])
def test_every_name_is_built(name: str) -> None:
    with torch.device("meta"):
        encoder = encoders.create(name, dim=32)
    backbone = encoder.backbone
    assert backbone.channels == (384 if "small" in name else 768)
    assert backbone.patch_embed.proj.kernel_size == ((14, 14) if "_14" in name else (16, 16))
    assert backbone.pos_embed.shape[1] == (1370 if "_14" in name else 197)
    assert hasattr(backbone, "register_tokens") == name.endswith("_reg4")
    assert len(encoder.layers) == 1 + 12 + 1


@pytest.fixture(scope="module")
def small() -> tuple[dict[str, np.ndarray], nn.Module]:
    """Random numbers in the published layout, and the ViT-S/14 of 56 × 56 pixels of them."""
    generator = torch.Generator().manual_seed(0)
    state = {
        key: torch.randn(value.shape, generator=generator) * 0.05 + (".gamma" in key)
        for key, value in published().items()
    }
    with torch.device("meta"):
        encoder = encoders.create("vit_small_14", dim=8, size=(56, 56))
    found = encoders.in_our_names(encoder, chunked(state))
    arrays = {key: value.numpy() for key, value in found.items()}
    for key, value in encoder.head.state_dict().items():
        arrays[f"head.{key}"] = np.zeros(value.shape, np.float32)
    made = rebuild(encoders.architecture(encoder), arrays)
    return {key: value.numpy() for key, value in state.items()}, made.eval()


@torch.no_grad()
def test_published_weights_give_the_published_features(
    small: tuple[dict[str, np.ndarray], nn.Module],
) -> None:
    state, encoder = small
    image = images((56, 56), 1)
    features = encoder.backbone(image)
    got = torch.cat((features.token[:, :, None], features.positions), dim=2)[0].T.numpy()
    expected = vits.features(state, image[0].numpy(), patch=14, heads=6)
    assert np.abs(got - expected).max() < 2e-5 * np.abs(expected).max()


def test_a_model_folder_has_the_published_tensors_word_for_word(
    small: tuple[dict[str, np.ndarray], nn.Module],
) -> None:
    state, encoder = small
    kept = to_numpy(encoder)
    assert all(np.array_equal(kept[f"backbone.{key}"], state[key]) for key in state)
    assert not any(one.is_meta for one in (*encoder.parameters(), *encoder.buffers()))


@pytest.mark.parametrize("registers", [0, 3])
@pytest.mark.parametrize(("size", "tolerance"), [((24, 24), 1e-12), ((16, 32), 1e-6)])
def test_features_are_the_oracles(size: tuple[int, int], tolerance: float, registers: int) -> None:
    """In float64; the weights of the interpolation are of float32."""
    backbone = tiny(size, registers=registers).double().backbone
    some = images(size).double()
    with torch.no_grad():
        token, positions = backbone(some)[::-1]
    state = to_numpy(backbone)
    for number, image in enumerate(some.numpy()):
        expected = vits.features(state, image, patch=4, heads=3)
        assert np.abs(token[number].numpy() - expected[0]).max() < tolerance
        patches = positions[number].T.numpy()
        assert np.abs(patches - expected[1 + registers :]).max() < tolerance


@pytest.mark.parametrize("target", [4, 16, 37, 50])
@pytest.mark.parametrize("antialias", [False, True])
def test_interpolation_is_the_oracles(target: int, antialias: bool) -> None:
    expected = vits.matrix(vits.filtered_taps if antialias else vits.plain_taps, 37, target)
    got = resampling(37, target, antialias=antialias).numpy()
    assert np.abs(got - expected).max() < 1e-12


@pytest.mark.parametrize("registers", [0, 3])
def test_positions_are_those_of_the_published_forward_pass(registers: int) -> None:
    """Torch's own interpolation of the grid, called as DINOv2 calls it."""
    backbone = tiny((16, 32), registers=registers).backbone
    grid = backbone.pos_embed[:, 1:].reshape(1, 6, 6, 12).permute(0, 3, 1, 2)
    options = {"scale_factor": (4.1 / 6, 8.1 / 6)}
    if registers:
        options = {"size": (4, 8), "antialias": True}
    expected = F.interpolate(grid, mode="bicubic", **options).flatten(2).transpose(1, 2)
    assert torch.allclose(backbone.positions()[:, 1:], expected, atol=1e-6)


def test_the_original_grid_takes_its_positions_as_they_are() -> None:
    with torch.device("meta"):
        published_size = encoders.create("vit_small_14", dim=8, size=(518, 518)).backbone
    for backbone in (published_size, tiny().backbone):
        assert backbone.positions() is backbone.pos_embed


def test_positions_of_another_grid_are_kept_and_trained() -> None:
    backbone = tiny((16, 32)).backbone
    assert backbone.pos_embed.shape == (1, 1 + 36, 12)
    assert set(backbone.state_dict()) == set(tiny().backbone.state_dict())
    backbone(images((16, 32))).token.sum().backward()
    assert (backbone.pos_embed.grad != 0).all()


def test_a_size_that_is_no_multiple_of_the_patch() -> None:
    with pytest.raises(ArcwiseError, match="such as 224 x 98"):
        encoders.create("vit_small_14", dim=8, size=(224, 100))


def test_attention_is_scaled_dot_product_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        calls.append(query.shape)
        return torch.zeros_like(value)

    encoder = tiny(registers=3)
    before = encoder(images((24, 24)))
    monkeypatch.setattr(F, "scaled_dot_product_attention", attention)
    assert not torch.allclose(encoder(images((24, 24))), before)
    assert calls == [(2, 3, 1 + 3 + 36, 4)] * 2  # a block each: images, heads, tokens, channels


def test_layers_share_the_parameters_and_have_each_once() -> None:
    encoder = tiny(registers=3)
    layers = encoder.layers
    assert len(layers) == 1 + 2 + 1
    own = [id(parameter) for parameter in encoder.parameters()]
    assert sorted(own) == sorted(id(one) for layer in layers for one in layer.parameters())
    layers[0].requires_grad_(False)
    assert not encoder.backbone.cls_token.requires_grad
    assert not encoder.backbone.patch_embed.proj.weight.requires_grad
    names = {name for name, one in encoder.backbone.named_parameters() if not one.requires_grad}
    assert not any(name.startswith(("blocks", "norm")) for name in names)
    assert encoder.backbone.norm.weight in set(layers[2].parameters())


def test_gradient_reaches_every_parameter() -> None:
    encoder = tiny((16, 32), registers=3, pooling="cls+mean").train()
    out = encoder(images((16, 32), 4))
    (out * torch.randn(out.shape)).sum().backward()
    assert all(one.grad is not None and one.grad.any() for one in encoder.parameters())


@pytest.mark.parametrize("size", [(24, 24), (16, 32)])
def test_channels_last_and_bf16(size: tuple[int, int]) -> None:
    encoder = tiny(size, registers=3)
    some = images(size)
    with torch.no_grad():
        exact = encoder(some)
        encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        some = some.contiguous(memory_format=torch.channels_last)
        assert torch.allclose(encoder(some), exact, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            half = encoder(some)
    assert half.dtype == torch.float32
    assert torch.cosine_similarity(half, exact).min() > 0.99


def test_layer_scale_is_one_where_a_file_has_none() -> None:
    encoder = tiny()
    state = encoder.backbone.state_dict()
    plain = {key: one for key, one in state.items() if ".ls" not in key and key != "mask_token"}
    found, notes = encoders.completed(encoder, encoders.in_our_names(encoder, plain))
    assert {key for key in found if key.startswith("backbone.")} == {
        f"backbone.{key}" for key in state
    }
    assert all((found[key] == 1).all() for key in found if key.endswith("gamma"))
    assert ["layer scale" in note for note in notes] == [True]


def test_some_layer_scales_are_not_made_up() -> None:
    encoder = tiny()
    state = encoder.state_dict()
    del state["backbone.blocks.1.ls2.gamma"]
    found, notes = encoders.completed(encoder, state)
    assert "backbone.blocks.1.ls2.gamma" not in found
    assert not notes


def test_a_position_of_the_class_token_is_zero_where_a_file_has_none() -> None:
    encoder = tiny()
    state = encoder.state_dict()
    patches = state["backbone.pos_embed"][:, 1:]
    found, notes = encoders.completed(encoder, {**state, "backbone.pos_embed": patches})
    assert torch.equal(found["backbone.pos_embed"][:, 1:], patches)
    assert not found["backbone.pos_embed"][:, 0].any()
    assert len(notes) == 1


def test_a_network_that_pools_before_its_last_norm_is_refused() -> None:
    encoder = tiny()
    state = encoder.backbone.state_dict()
    state = {
        key.replace("norm.", "fc_norm.") if key.startswith("norm.") else key: one
        for key, one in state.items()
    }
    with pytest.raises(ArcwiseError, match="fc_norm"):
        encoders.completed(encoder, encoders.in_our_names(encoder, state))


@pytest.mark.parametrize("prefix", ["module.", "teacher.backbone.", "model.encoder."])
def test_a_prefix_is_kept_for_the_report(prefix: str, tmp_path: Path) -> None:
    encoder, other = tiny(), tiny()
    nn.init.normal_(other.backbone.blocks[1].mlp.fc1.weight)
    state = {f"{prefix}{key}": one for key, one in other.backbone.state_dict().items()}
    torch.save({**state, f"{prefix}head.weight": torch.ones(3, 12)}, tmp_path / "weights.pth")
    said = str(start_weights.start(encoder, tmp_path / "weights.pth"))
    assert f"without {prefix.removesuffix('backbone.')!r}" in said
    assert "1 others left out" in said
    own = encoder.backbone.state_dict()
    assert all(torch.equal(own[key], one) for key, one in other.backbone.state_dict().items())


def test_weights_of_another_grid_are_named(tmp_path: Path) -> None:
    encoder = tiny()
    state = encoder.backbone.state_dict() | {"pos_embed": torch.zeros(1, 50, 12)}
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ArcwiseError, match=r"pos_embed \(1, 50, 12\) instead of \(1, 37, 12\)"):
        start_weights.start(encoder, tmp_path / "weights.pth")
