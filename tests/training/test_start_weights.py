"""Weights to start from, as people have them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from arcwise import encoders
from arcwise.errors import ArcwiseError
from arcwise.training.start_weights import start
from arcwise.verbs.train import TrainResult

State = dict[str, Tensor]
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


def encoder(dim: int = 8) -> nn.Module:
    return encoders.create("small", dim=dim, size=(32, 32))


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(1)
    return dict(encoder().state_dict())


def saved(folder: Path, content: Any) -> Path:
    torch.save(content, folder / "weights.pth")
    return folder / "weights.pth"


def named(state: State, prefix: str) -> State:
    return {prefix + name: one for name, one in state.items()}


WRAPPED: dict[str, Callable[[State], Any]] = {
    "as it is": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"state": {}}},
    "model": lambda state: {"model": state, "args": {"lr": 0.1}},
    "some other name": lambda state: {"recogniser": state, "step": 7},
    "twice": lambda state: {"model": {"state_dict": state}},
    "module.": lambda state: named(state, "module."),
    "_orig_mod.": lambda state: {"model": named(state, "_orig_mod.")},
    "both": lambda state: {"state_dict": named(state, "module._orig_mod.backbone.")},
    "with a head": lambda state: named(state, "backbone.") | {"head.weight": torch.zeros(5, 8)},
    "half": lambda state: {k: one.half() if one.is_floating_point() else one
                           for k, one in state.items()},
    "bfloat16": lambda state: {k: one.bfloat16() if one.is_floating_point() else one
                               for k, one in state.items()},
    "no counters": lambda state: {k: one for k, one in state.items() if "num_batches" not in k},
    "a run's checkpoint": lambda state: {
        "average": state, "encoder": {k: 0 * one for k, one in state.items()},
        "head": {"weight": torch.zeros(5, 8)}, "best": None},
}  # fmt: skip


@pytest.mark.parametrize("how", WRAPPED)
def test_the_weights_are_found(how: str, state: State, tmp_path: Path) -> None:
    network = encoder()
    start(network, saved(tmp_path, WRAPPED[how](state)))
    near = 0 if how not in ("half", "bfloat16") else 0.01
    for name, one in network.state_dict().items():
        assert torch.allclose(one, state[name].to(one.dtype), rtol=near, atol=near / 10), name


def test_safetensors_by_any_name(state: State, tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.pth", "a"):
        save_file({k: v.contiguous() for k, v in named(state, "module.").items()}, tmp_path / name)
        assert start(encoder(), tmp_path / name).matched == len(state)


def test_what_was_left_out_is_said(state: State, tmp_path: Path) -> None:
    content = {"state_dict": named(state, "module.") | {"fc.weight": torch.zeros(3)}}
    report = start(encoder(), saved(tmp_path, content))
    assert (report.part, report.prefix, report.matched) == ("state_dict", "module.", len(state))
    assert (report.missing, report.left_over) == ((), ("fc.weight",))
    said = str(report)
    assert f"{len(state)} tensors taken of 'state_dict'" in said
    assert "without 'module.'" in said
    assert "1 others left out (fc.weight)" in said


def on_a_backbone(projection: str, dim: int = 8) -> nn.Module:
    """An encoder of two tensors in the backbone, or more, and a head."""
    return encoders.create(
        f"torch:{__name__}:backbone", dim=dim, size=(8, 8), arguments={"projection": projection}
    )


def backbone() -> nn.Module:
    return nn.Conv2d(3, 4, 3)


def test_a_head_of_another_projection_starts_anew(tmp_path: Path) -> None:
    path = saved(tmp_path, on_a_backbone("linear").state_dict())
    encoder = on_a_backbone("bn-linear-bn")
    report = start(encoder, path)
    assert report.matched == 2
    assert report.left_over == ("head.project.weight",)
    assert "head.project.1.weight" in report.missing
    assert not any(one.is_meta for one in encoder.state_dict().values())


def test_a_head_of_another_dimension_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, on_a_backbone("linear").state_dict())
    with pytest.raises(ArcwiseError, match=r"--dim"):
        start(on_a_backbone("linear", dim=5), path)


@pytest.mark.parametrize("names", ["ours", "the module's own"])
def test_a_network_of_the_user_starts_from_its_weights(names: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = backbone()
    prefix = "backbone.module." if names == "ours" else ""
    path = saved(tmp_path, named(dict(module.state_dict()), prefix))
    encoder = on_a_backbone("linear")
    report = start(encoder, path)
    assert (report.matched, report.left_over) == (2, ())
    assert torch.equal(encoder.backbone.module.weight, module.weight)  # type: ignore[union-attr]


def test_a_run_folder_is_its_model(trained: TrainResult) -> None:
    network = encoders.create("small", dim=32, size=(32, 32))
    assert start(network, trained.folder).matched == len(network.state_dict())


def spoilt(state: State, value: float) -> State:
    found = {name: one.clone() for name, one in state.items()}
    next(one for one in found.values() if one.ndim > 1).view(-1)[3] = value
    return found


WRONG: dict[str, tuple[Callable[[State], Any], str]] = {
    "NaN": (lambda state: spoilt(state, math.nan), r"1 of \d+ tensors have a NaN or an infinity"),
    "infinity": (lambda state: {"model": spoilt(state, -math.inf)}, "1 of .* an infinity"),
    "another dim": (lambda state: dict(encoder(4).state_dict()), r"of whose \d+ tensors \d+ fit"),
    "another network": (lambda state: {"conv1.weight": torch.zeros(3)}, "none of its 1 tensors"),
    "half of it": (lambda state: dict(list(state.items())[:9]), r"tensors 9 fit: \d+ missing"),
    "a larger one": (
        lambda state: state | {"stages.9.weight": torch.zeros(3)},
        r"has tensors that small has not .*stages\.9",
    ),
    "a module": (lambda state: encoder(), "not run"),
    "a tensor": (lambda state: torch.zeros(3), "one Tensor"),
    "several": (lambda state: {"generator": state, "critic": state}, "'generator', 'critic'"),
    "nothing": (lambda state: {}, "no weights in it"),
    "numbers": (lambda state: {"epoch": 3, "args": {"a": {"b": 1}}}, "'epoch', 'args'"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_start(what: str, state: State, tmp_path: Path) -> None:
    make, said = WRONG[what]
    path = saved(tmp_path, make(state))
    with pytest.raises(ArcwiseError, match=said) as caught:
        start(encoder(), path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("w.pth", LFS.encode(), "Git LFS pointer.*git lfs pull"),
        ("w.safetensors", LFS.encode(), "Git LFS pointer"),
        ("w.pth", b"", "an empty file"),
        ("w.safetensors", b"", "an empty file"),
        ("w.onnx", b"\x08\x08\x12\x07pytorch", "an ONNX graph"),
        ("w.ONNX", b"\x08\x08\x12\x07pytorch", "an ONNX graph"),
        ("w.safetensors", bytes([9, 0, 0, 0, 0, 0, 0, 0]) + b"{broken", "no weights in it"),
        ("w.txt", b"hello", "no weights in it"),
    ],
)
def test_files_that_are_something_else(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArcwiseError, match=said):
        start(encoder(), tmp_path / name)


def test_the_onnx_of_a_model_folder_names_the_folder(served: Path) -> None:
    with pytest.raises(ArcwiseError, match=rf"exported from \({served}\)"):
        start(encoder(), served / "encoder.onnx")


def test_folders_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match=r"model\.json"):
        start(encoder(), tmp_path)
