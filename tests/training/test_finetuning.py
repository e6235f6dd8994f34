from __future__ import annotations

import pytest
import torch
from torch import nn

from arcwise import encoders
from arcwise.training import checkpoint
from arcwise.training.config import OptimConfig
from arcwise.training.finetuning import freeze, parameter_groups, training_mode
from arcwise.training.run import Run
from tests.training import runs

LITE = {"name": "efficientnet_lite0", "size": 32, "dim": 8}
LAYERS = 5  # stem, two blocks, last convolution, embedding head

pytestmark = pytest.mark.usefixtures("few_layers")


def encoder() -> nn.Module:
    torch.manual_seed(0)
    return encoders.create("efficientnet_lite0", dim=8, size=(32, 32))


def numbers(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(layers: int, patterns, folder, **changes) -> set[int]:
    """Which layers' numbers two steps change."""
    starts: list[nn.Module] = []
    kept: list[nn.Module] = []
    config = runs.config(
        steps=2, encoder=LITE, trained_layers=layers, ema_decay=0.0, validate_every=100, **changes
    )
    torch.manual_seed(config.run.seed)
    starts.append(encoders.create("efficientnet_lite0", dim=8, size=(32, 32)))
    runs.train(config, patterns, folder, on_best=lambda network, *rest: kept.append(network))
    pairs = zip(starts[0].layers, kept[-1].layers, strict=True)
    return {
        number
        for number, (before, after) in enumerate(pairs)
        if any(not torch.equal(numbers(before)[k], v) for k, v in numbers(after).items())
    }


@pytest.mark.parametrize(("layers", "first"), [(-1, 0), (3, LAYERS - 4), (0, LAYERS - 1)])
def test_what_is_frozen_does_not_move(layers: int, first: int, patterns, tmp_path) -> None:
    assert moved(layers, patterns, tmp_path) == set(range(first, LAYERS))


def test_kept_statistics_do_not_move(patterns, tmp_path) -> None:
    kept: list[nn.Module] = []
    config = runs.config(steps=2, encoder=LITE, batch_norm="kept", ema_decay=0.0)
    runs.train(config, patterns, tmp_path, on_best=lambda network, *rest: kept.append(network))
    statistics = {
        name: value
        for name, value in kept[-1].backbone.state_dict().items()
        if name.endswith(("running_mean", "running_var"))
    }
    assert statistics
    assert all(bool((v == ("var" in name)).all()) for name, v in statistics.items())
    assert not (kept[-1].head.project[0].running_mean == 0).all()  # the new head's do


def test_rates_fall_from_the_embedding_to_the_image() -> None:
    network = encoder()
    config = OptimConfig(backbone_lr=0.5, layer_decay=0.5)
    rates = {
        id(p): group["lr_multiple"]
        for group in parameter_groups(network, config)
        for p in group["params"]
    }
    for number, layer in enumerate(network.layers):
        expected = 1.0 if number == LAYERS - 1 else 0.5 * 0.5 ** (LAYERS - 2 - number)
        assert {rates[id(p)] for p in layer.parameters()} == {expected}
    assert set(rates) == {id(p) for p in network.parameters()}


def test_vectors_have_no_weight_decay() -> None:
    for group in parameter_groups(encoder(), OptimConfig(layer_decay=0.9)):
        assert (group.get("weight_decay") == 0) == all(p.ndim <= 1 for p in group["params"])


def test_a_later_stage_may_train_more() -> None:
    network = encoder()
    freeze(network, OptimConfig(trained_layers=0))
    assert not any(p.requires_grad for p in network.backbone.parameters())
    freeze(network, OptimConfig(trained_layers=-1))
    assert all(p.requires_grad for p in network.backbone.parameters())


def test_adapters_are_trained_and_nothing_else_of_the_backbone(patterns, tmp_path) -> None:
    kept: list[nn.Module] = []
    config = runs.config(
        steps=2, encoder={"name": "vit_small_16", "size": 32, "dim": 8, "lora_rank": 2}
    )
    runs.train(config, patterns, tmp_path, on_best=lambda network, *rest: kept.append(network))
    adapted = [name for name, p in kept[-1].named_parameters() if "lora_" in name]
    assert adapted
    _, state = checkpoint.load(tmp_path / "checkpoints")
    assert set(adapted) <= set(state["encoder"])
    start = Run(config, patterns, torch.device("cpu")).encoder.state_dict()
    moved = {
        name for name, value in state["encoder"].items() if not torch.equal(value, start[name])
    }
    below = {name for name in moved if not name.startswith("head.")}
    assert {name.rpartition(".")[2] for name in below} == {"lora_a", "lora_b"}


def test_a_frozen_layer_computes_as_it_embeds() -> None:
    network = encoder()
    training_mode(network, OptimConfig(trained_layers=2))
    modes = [layer.training for layer in network.layers]
    assert modes == [False] * (LAYERS - 3) + [True] * 3
