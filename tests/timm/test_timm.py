"""Models of timm as backbones, in the environment that `make test-timm` makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from arcwise import encoders, runtime
from arcwise.encoders import timm_backbone
from arcwise.encoders.weights import to_numpy
from arcwise.errors import ArcwiseError
from arcwise.images import Preparation
from arcwise.training import build, finetuning, start_weights
from arcwise.training.config import EncoderConfig, OptimConfig
from arcwise.training.weight_sources import resolve
from arcwise.verbs.export import export
from tests.hub_server import COMMIT, Hub, running

timm: Any = pytest.importorskip("timm", reason="`make test-timm` tests this elsewhere")

MODELS = {
    "resnet18": (48, 512, False, 10),
    "convnext_atto": (48, 320, False, 14),
    "vit_small_patch14_dinov2": (42, 384, True, 14),
    "vit_small_patch14_reg4_dinov2": (42, 384, True, 14),
    "mobilenetv3_small_050": (48, 288, False, 14),
    "swin_tiny_patch4_window7_224": (64, 768, False, 14),
}
"""Size of image, channels, whether there is a class token, and layers with the embedding head."""


def create(name: str, **arguments: str) -> Any:
    torch.manual_seed(0)
    size = MODELS[name][0]
    return encoders.create(f"timm:{name}", dim=8, size=(size, size), arguments=arguments)


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_features_are_those_of_timm(name: str) -> None:
    size, channels, token, _ = MODELS[name]
    encoder = create(name).eval()
    sized = {"img_size": size} if name.startswith(("vit", "swin")) else {}
    plain = timm.create_model(name, num_classes=0, **sized).eval()
    own = encoder.backbone.model.state_dict()
    plain.load_state_dict(own, strict=False)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        features = encoder.backbone(images)
        expected = plain.forward_features(images)
    assert features.positions.shape[:2] == (2, channels)
    assert (features.token is not None) == token
    if token:
        prefix = plain.num_prefix_tokens
        assert torch.allclose(features.token, expected[:, 0], atol=1e-5)
        assert torch.allclose(features.positions, expected[:, prefix:].mT, atol=1e-5)
    else:
        maps = expected.permute(0, 3, 1, 2) if name.startswith("swin") else expected
        assert torch.allclose(features.positions, maps.flatten(2), atol=1e-5)


def test_every_weight_is_in_one_layer_and_is_trained(name: str) -> None:
    encoder = create(name)
    layers = encoder.layers
    assert len(layers) == MODELS[name][3]
    inside = [id(p) for layer in layers for p in layer.parameters()]
    assert sorted(inside) == sorted({id(p) for p in encoder.parameters()})
    size = MODELS[name][0]
    encoder(torch.randn(3, 3, size, size)).square().sum().backward()
    assert [key for key, p in encoder.named_parameters() if p.grad is None] == []


def test_frozen_layers_do_not_move(name: str) -> None:
    encoder, size = create(name), MODELS[name][0]
    config = OptimConfig(trained_layers=2, lr=0.01, backbone_lr=0.1, layer_decay=0.5)
    finetuning.freeze(encoder, config)
    finetuning.training_mode(encoder, config)
    frozen = [p for layer in encoder.layers[:-3] for p in layer.parameters()]
    trained = [p for layer in encoder.layers[-3:] for p in layer.parameters()]
    buffers = [b for layer in encoder.layers[:-3] for b in layer.buffers()]
    before = [one.detach().clone() for one in (*frozen, *buffers, *trained)]
    optimiser = torch.optim.SGD(finetuning.parameter_groups(encoder, config), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        encoder(torch.randn(4, 3, size, size)).square().mean().backward()
        optimiser.step()
    after = [one.detach() for one in (*frozen, *buffers, *trained)]
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    still = len(frozen) + len(buffers)
    assert not any(moved[:still])
    assert sum(moved[still:]) > len(trained) / 2


@pytest.mark.parametrize("name", [one for one in MODELS if "swin" not in one and "reg4" not in one])
def test_a_model_folder_and_its_export(name: str, tmp_path: Path) -> None:
    """Swin's and the registers' export agree too; they take a minute each."""
    encoder, size = create(name), MODELS[name][0]
    preparation = Preparation(size, size, "crop")
    runtime.save(tmp_path / "model", encoder.eval(), preparation)
    model = runtime.load(tmp_path / "model", runtime="torch")
    assert model.bundle is not None
    assert model.bundle.architecture["arguments"] == {"timm": timm.__version__}
    images = list(np.random.default_rng(0).integers(0, 255, (5, 60, 50, 3), np.uint8))
    report = export(tmp_path / "model")
    assert report.cosine < 1e-5
    served = runtime.load(tmp_path / "model", runtime="onnx")
    for count in (1, 2, 5):
        some = images[:count]
        assert np.allclose(served.embed(some), model.embed(some), atol=1e-4)


def test_other_sizes_of_a_vit_in_training() -> None:
    encoder = create("vit_small_patch14_dinov2")
    assert encoder(torch.randn(2, 3, 28, 28)).shape == (2, 8)


def test_class_tokens_are_pooled() -> None:
    encoder = create("vit_small_patch14_dinov2", pooling="cls+mean")
    assert encoder(torch.randn(2, 3, 42, 42)).shape == (2, 8)
    with pytest.raises(ArcwiseError, match="no class token"):
        create("resnet18", pooling="cls")(torch.randn(2, 3, 48, 48))


def test_the_preparation_of_pretrained_weights() -> None:
    prepared = timm_backbone.preparation("timm:resnet18.a1_in1k")
    assert (prepared.height, prepared.width, prepared.resize) == (224, 224, "crop")
    assert np.allclose(prepared.mean, (123.675, 116.28, 103.53))
    assert np.allclose(prepared.std, (58.395, 57.12, 57.375))
    assert timm_backbone.preparation("timm:vit_small_patch14_dinov2").height == 518


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    constants = pytest.importorskip("huggingface_hub.constants")
    with running(Hub()) as hub:
        template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield hub


@pytest.mark.parametrize("tagged", ["resnet18.a1_in1k", "vit_small_patch14_dinov2.lvd142m"])
def test_pretrained_weights(tagged: str, hub: Hub) -> None:
    torch.manual_seed(7)
    size, classes = MODELS[tagged.partition(".")[0]][0], 1000 if "resnet" in tagged else 0
    published = timm.create_model(
        tagged, num_classes=classes, **({} if classes else {"img_size": 70})
    )
    state = published.state_dict()
    hub.files[f"timm/{tagged}", "model.safetensors"] = save(state)
    config = EncoderConfig(name=f"timm:{tagged}", dim=8, size=size, init="pretrained")
    encoder = build.encoder(config, torch.device("cpu"))
    own = encoder.backbone.model.state_dict()  # type: ignore[union-attr]
    same = [key for key in own if key != "pos_embed"]
    assert all(torch.equal(own[key], state[key]) for key in same)
    assert encoder.spec.weights.startswith(f"hf://timm/{tagged}")  # type: ignore[union-attr]
    if not classes:
        assert own["pos_embed"].shape[1] == 1 + (size // 14) ** 2  # interpolated
    assert resolve("pretrained", f"timm:{tagged}").licence == "apache-2.0"

    by_file = f"hf://timm/{tagged}/model.safetensors@{COMMIT}"
    if classes:
        again = build.encoder(EncoderConfig(name=f"timm:{tagged}", dim=8, size=size, init=by_file),
                              torch.device("cpu"))  # fmt: skip
        assert torch.equal(again.backbone.model.conv1.weight, state["conv1.weight"])  # type: ignore


def test_pretrained_weights_that_cannot_be_had(hub: Hub) -> None:
    config = EncoderConfig(name="timm:resnet18.a1_in1k", dim=8, size=32, init="pretrained")
    with pytest.raises(ArcwiseError, match=r"cannot load the weights of timm:resnet18") as caught:
        build.encoder(config, torch.device("cpu"))
    assert "\n" not in str(caught.value)
    with pytest.raises(ArcwiseError, match="has no pretrained weights"):
        resolve("pretrained", "timm:mobilenetv3_large_075")


@pytest.mark.parametrize("plain", ["resnet18", "convnext_atto", "mobilenetv3_small_050"])
def test_a_state_dict_in_the_names_of_timm(plain: str, tmp_path: Path) -> None:
    torch.manual_seed(9)
    state = timm.create_model(plain, num_classes=12).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    encoder = create(plain)
    said = str(start_weights.start(encoder, tmp_path / "weights.pth"))
    own = encoder.backbone.model.state_dict()
    assert all(torch.equal(own[key], state[key]) for key in own)
    left = len(state) - len(own)
    assert f"{left} others left out (classifier." in said
    own_names = to_numpy(encoder)
    assert encoders.in_our_names(encoder, own_names).keys() == own_names.keys()


@pytest.mark.parametrize(
    ("plain", "size", "said"),
    [
        ("resnet81", 48, "no model 'resnet81'; did you mean 'resnet"),
        ("hf-hub:people/network", 48, "no model 'hf-hub:people/network'"),
        ("resnet18.no_such_tag", 48, "timm:resnet18.no_such_tag: Invalid pretrained tag"),
        ("vit_small_patch14_dinov2", 41, "takes no images of 41 x 41"),
    ],
)
def test_names_and_sizes_that_timm_has_not(plain: str, size: int, said: str) -> None:
    with pytest.raises(ArcwiseError, match=said) as caught:
        encoders.create(f"timm:{plain}", dim=8, size=(size, size))
    assert "\n" not in str(caught.value)


def test_a_folder_of_another_version_names_it() -> None:
    arguments = {"timm": "0.0.1"}
    with pytest.raises(ArcwiseError, match=r"made with timm 0\.0\.1"):
        encoders.create("timm:gone_net", dim=8, size=(48, 48), arguments=arguments)


def test_its_copy_draws_nothing_from_the_generator() -> None:
    from arcwise.encoders.weights import rebuild

    encoder = create("resnet18")
    before = torch.get_rng_state()
    twin = rebuild(encoders.architecture(encoder), to_numpy(encoder))
    assert torch.equal(torch.get_rng_state(), before)
    assert isinstance(twin, nn.Module)
