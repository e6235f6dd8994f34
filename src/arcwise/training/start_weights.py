"""Weights for an encoder to start from, in whatever file they were saved."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from arcwise import encoders
from arcwise.bundle import read_bundle
from arcwise.bundle.envelope import DESCRIPTION
from arcwise.encoders.quality import QualityEncoder, without_quality
from arcwise.encoders.weights import encoder_name, load_numpy
from arcwise.errors import ArcwiseError, in_one_line

_COUNTER, _HEAD = "num_batches_tracked", "head."
_LFS = b"version https://git-lfs"
_PREFERRED = ("ema", "average", "encoder", "state_dict", "model", "model_state_dict", "backbone",
              "teacher")  # fmt: skip
"""Where in a file of several parts an encoder is; the first three are our own checkpoints'."""

_EXPECTED = (
    "expected a model folder, a .safetensors file, or a .pth file that holds a plain state dict "
    "(save model.state_dict(), not the model)"
)


@dataclass(frozen=True)
class WeightsReport:
    """What an encoder took from a file of weights.

    Attributes:
        path: the file or folder.
        part: the part of the file that they are in; empty for all of it.
        prefix: what their names have before the encoder's names.
        matched: how many tensors were taken.
        missing: the encoder's tensors that are not in the file, and start anew.
        left_over: the file's tensors that the encoder has not.
        assumed: what the published layout leaves out, and is known, in words.
    """

    path: Path
    part: str
    prefix: str
    matched: int
    missing: tuple[str, ...]
    left_over: tuple[str, ...]
    assumed: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = f"{self.path}: {self.matched} tensor{'s' * (self.matched != 1)} taken"
        said += f" of {self.part!r}" if self.part else ""
        said += f", their names without {self.prefix!r}" if self.prefix else ""
        said += "".join(f"; {one}" for one in self.assumed)
        if self.missing and all(name.startswith(_HEAD) for name in self.missing):
            said += "; the embedding head is new"
        elif self.missing:
            said += f"; {len(self.missing)} not in it start anew ({_first(self.missing)})"
        if self.left_over:
            said += f"; {len(self.left_over)} others left out ({_first(self.left_over)})"
        return said


def start(encoder: nn.Module, path: Path) -> WeightsReport:
    """Give an encoder the weights of a file, and return what was taken.

    Names may have a prefix that this encoder's have not, such as `module.`; tensors that it does
    not have, such as those of a head, are left out and counted. An embedding head that the file
    does not have starts anew.

    Args:
        encoder: on the CPU or the meta device.
        path: a model folder, a run folder, a .safetensors file, or a .pth file of tensors.

    Raises:
        ArcwiseError: there are no weights, they are of another encoder, or not finite.
    """
    whole, encoder = encoder, without_quality(encoder)
    own = encoder.state_dict()
    try:
        part, state = read_weights(path)
        quality = _start_quality(whole, state)
        state, assumed = encoders.completed(encoder, encoders.in_our_names(encoder, state))
        prefix, taken = _fitting(encoder, state)
        taken = _with_whole_head(encoder, taken, {name.removeprefix(prefix) for name in state})
        missing = tuple(name for name in own if name not in taken)
        anew = {}
        if all(_may_start_anew(encoder, name) for name in missing):
            anew = {name: own[name] for name in missing}
            anew |= {
                name: torch.zeros((), dtype=torch.int64)
                for name in missing
                if name.endswith(_COUNTER)
            }
        load_numpy(encoder, {name: one.numpy() for name, one in (taken | anew).items()})
    except ArcwiseError as problem:
        raise ArcwiseError(f"{path}: {problem}") from None
    broken = [name for name, one in taken.items() if not one.isfinite().all()]
    if broken:
        raise ArcwiseError(
            f"{path}: {len(broken)} of {len(taken)} tensors have a NaN or an infinity "
            f"({broken[0]} the first); take a checkpoint from before that training diverged"
        )
    left = sorted(state.keys() - {prefix + name for name in taken} - quality)
    anew_names = tuple(name for name in missing if not name.endswith(_COUNTER))
    if whole is not encoder:
        assumed = [*assumed, f"its quality is {'taken too' if quality else 'new'}"]
    return WeightsReport(path, part, prefix, len(taken), anew_names, tuple(left), tuple(assumed))


def _start_quality(encoder: nn.Module, state: Mapping[str, Tensor]) -> set[str]:
    """Give an encoder the quality branch of a state dict, if both have one; return its names there.

    Raises:
        ArcwiseError: it is another branch.
    """
    if not isinstance(encoder, QualityEncoder):
        return set()
    own = {f"quality.{name}": name for name in encoder.quality.state_dict()}
    there = {own[name]: one for name, one in state.items() if name in own}
    if there:
        load_numpy(encoder.quality, {name: one.numpy() for name, one in there.items()})
    return own.keys() & state.keys()


def _may_start_anew(encoder: nn.Module, name: str) -> bool:
    """Return whether weights may lack it: a counter of batches, or of a head on a backbone."""
    return name.endswith(_COUNTER) or (hasattr(encoder, "backbone") and name.startswith(_HEAD))


def _with_whole_head(
    encoder: nn.Module, taken: dict[str, Tensor], names: set[str]
) -> dict[str, Tensor]:
    """Return what was taken, without an embedding head of another projection.

    Args:
        encoder: any; only one with a backbone has such a head.
        taken: tensors by our names.
        names: of all tensors of the file, without their prefix.

    Raises:
        ArcwiseError: the head is of the same projection, with other dimensions.
    """
    if not hasattr(encoder, "backbone"):
        return taken
    own = encoder.state_dict()
    needed, there = (
        {name for name in every if name.startswith(_HEAD) and not name.endswith(_COUNTER)}
        for every in (own, names)
    )
    if needed != there:
        return {name: one for name, one in taken.items() if not name.startswith(_HEAD)}
    for name, one in taken.items():
        if name.startswith(_HEAD) and one.shape != own[name].shape:
            raise ArcwiseError(
                f"its embedding head has other dimensions ({name} {tuple(one.shape)} instead of "
                f"{tuple(own[name].shape)}): give the --dim and --encoder.pooling that it was "
                "trained with, or another --encoder.projection for a new head"
            )
    return taken


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + ", …" * (len(names) > 3)


def read_weights(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Return the part of a file that weights are in, empty for all of it, and tensors by name.

    Raises:
        ArcwiseError: there are no weights.
    """
    if path.is_dir():
        inside = path / "model"
        folder = inside if not (path / DESCRIPTION).exists() and inside.is_dir() else path
        state = read_bundle(folder).state()
        return "", {name: torch.from_numpy(array) for name, array in state.items()}
    if not path.is_file():
        raise ArcwiseError("no such file or folder")
    with path.open("rb") as file:
        head = file.read(len(_LFS))
    if not head:
        raise ArcwiseError(f"an empty file; {_EXPECTED}")
    if head == _LFS:
        raise ArcwiseError("a Git LFS pointer, not the file itself; fetch it with `git lfs pull`")
    if path.suffix.lower() == ".onnx":
        raise ArcwiseError(
            "an ONNX graph, which training cannot go on from; give the weights it was exported from"
            + (f" ({path.parent})" if (path.parent / DESCRIPTION).is_file() else "")
        )
    try:
        if path.suffix.lower() == ".safetensors" or head[8:9] == b"{":
            return "", _tensors(load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a pickle is like; an error follows
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ArcwiseError(f"not a plain state dict: its code is not run; {_EXPECTED}") from None
    except Exception as problem:  # damaged files raise whatever their parser raises
        said = in_one_line(problem, 100)
        raise ArcwiseError(
            f"no weights in it ({type(problem).__name__}: {said}); {_EXPECTED}"
        ) from None
    return _inside(content)


def _inside(content: Any) -> tuple[str, dict[str, Tensor]]:
    """Return the name of the state dict in what a file holds, and its tensors."""
    if not isinstance(content, Mapping):
        raise ArcwiseError(f"no weights in it but one {type(content).__name__}; {_EXPECTED}")
    if own := _tensors(content):
        return "", own
    parts = {
        str(name): (inner, tensors)
        for name, part in content.items()
        if isinstance(part, Mapping)
        for inner, tensors in [_inside(part) if _has_tensors(part) else ("", {})]
        if tensors
    }
    names = [name for name in _PREFERRED if name in parts] or list(parts)[: len(parts) == 1]
    if not names:
        keys = ", ".join(map(repr, list(content)[:6])) or "nothing"
        raise ArcwiseError(f"no weights in it but {keys}; {_EXPECTED}")
    inner, tensors = parts[names[0]]
    return f"{names[0]}.{inner}" if inner else names[0], tensors


def _has_tensors(part: Mapping[Any, Any]) -> bool:
    return bool(_tensors(part)) or any(
        _has_tensors(one) for one in part.values() if isinstance(one, Mapping)
    )


def _tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return what is a tensor, by name, in numbers that numpy has."""
    return {
        str(name): one.detach().float() if one.is_floating_point() else one.detach()
        for name, one in content.items()
        if isinstance(one, Tensor) and one.layout == torch.strided and not one.is_quantized
    }


def _fitting(encoder: nn.Module, state: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Return the prefix with which most of the encoder's names are in it, and these tensors."""
    own = encoder.state_dict()
    counts: dict[str, int] = {}
    for name in state:
        parts = name.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in own:
                prefix = "".join(f"{part}." for part in parts[:start])
                counts[prefix] = counts.get(prefix, 0) + 1
    if not counts:
        raise ArcwiseError(
            f"no weights in it of {encoder_name(encoder)}: none of its {len(state)} tensors "
            f"({', '.join(list(state)[:2])}) has a name that fits; {_EXPECTED}, of the same "
            "--encoder"
        )
    prefix = max(counts, key=lambda one: (counts[one], -len(one)))
    taken = {name: state[prefix + name] for name in own if prefix + name in state}
    rooms = {name.partition(".")[0] for name in own}
    more = [name for name in state if name.startswith(prefix) and name[len(prefix) :] not in own]
    rooms -= {_HEAD[:-1]} if hasattr(encoder, "backbone") else set()
    more = [name for name in more if name[len(prefix) :].partition(".")[0] in rooms]
    if more:
        raise ArcwiseError(
            f"has tensors that {encoder_name(encoder)} has not ({_first(more)}), so it is of "
            "another network; give weights of the same --encoder"
        )
    return prefix, taken
