"""A model folder or a bare ONNX file, loaded and checked; an encoder, saved as a model folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arcwise.bundle import Bundle, read_bundle, write_bundle
from arcwise.errors import ArcwiseError, BundleError
from arcwise.files import sha256
from arcwise.images.preparation import Preparation
from arcwise.runtime.engines import (
    Engine,
    OnnxEngine,
    TorchEngine,
    available,
    imported_engine,
    torch_engine,
)
from arcwise.runtime.model import Model, reference_embedding, reference_quality

if TYPE_CHECKING:
    from torch import nn

_TOLERANCE = (
    1e-3  # of the reference image's cosine: engines and devices differ by 1e-5, mistakes by 1e-1
)
_QUALITY_TOLERANCE = 1e-2
_EXTRA = {"onnx": "serve", "torch": "train"}


def load(
    path: str | Path,
    *,
    runtime: str = "auto",
    preparation: Preparation | None = None,
    check: bool = True,
) -> Model:
    """Return the model in a model folder, or in a bare `.onnx` file with its preparation given.

    Args:
        path: the folder (`runs/…/model`) or the `.onnx` file.
        runtime: "onnx", "torch", or "auto": ONNX where the folder has it and ONNX Runtime is
            installed, else torch.
        preparation: how images are made ready; for a bare `.onnx`, which does not say.
        check: embed the reference image and compare with what the folder says it must be.

    Raises:
        BundleError: the folder is missing, damaged, or computes something else than it did.
        ArcwiseError: the file or the arguments are not usable, or a library is not installed.
    """
    if runtime not in ("auto", "onnx", "torch"):
        raise ArcwiseError(f"runtime is {runtime!r}, expected 'auto', 'onnx' or 'torch'")
    path = Path(path)
    if path.suffix.lower() == ".onnx" and not path.is_dir():
        return _bare(path, runtime, preparation)
    bundle = read_bundle(path)
    if preparation is not None:
        raise ArcwiseError(f"{path} says itself how its images are prepared: leave preparation out")
    engine = _engine(bundle, runtime)
    if check:
        _check(bundle, engine)
    return Model(
        name=f"{bundle.architecture['name']}-{bundle.fingerprint[:8]}",
        path=path,
        fingerprint=bundle.fingerprint,
        dim=bundle.dim,
        preparation=bundle.preparation,
        engine=engine,
        bundle=bundle,
    )


def save(folder: str | Path, encoder: nn.Module, preparation: Preparation, **about: Any) -> Bundle:
    """Write a torch encoder as a model folder, its reference embedding computed, and return it.

    Args:
        folder: where to; an older model there is replaced.
        encoder: made by `encoders.create`; its mode and device stay as they are.
        preparation: the one it was trained with.
        **about: the other fields of `bundle.write_bundle` (thresholds, digests, licence, …).
    """
    from arcwise.encoders import architecture
    from arcwise.encoders.quality import has_quality
    from arcwise.encoders.weights import to_numpy

    engine = TorchEngine(encoder)
    reference = reference_embedding(engine, preparation)
    if has_quality(architecture(encoder)):
        about["reference_quality"] = reference_quality(engine, preparation)
    return write_bundle(
        folder,
        to_numpy(encoder),
        architecture(encoder),
        preparation,
        reference_embedding=reference,
        **about,
    )


def _bare(path: Path, runtime: str, preparation: Preparation | None) -> Model:
    if not path.is_file():
        raise ArcwiseError(f"there is no file {path}: check the path")
    if runtime == "torch":
        raise ArcwiseError(f"{path} runs on ONNX Runtime only: say runtime='onnx' or 'auto'")
    if preparation is None:
        raise ArcwiseError(
            f"{path} does not say how an image is prepared for it: make it a model folder with "
            f"`arcwise import {path} --preparation … --licence … --out model`, and name that; or "
            "give preparation=Preparation(height=…, width=…, colour=…, mean=…, std=…), to "
            "`arcwise evaluate` --preparation with a JSON file of these"
        )
    _require("onnx", path)
    engine = OnnxEngine(path, (preparation.height, preparation.width))
    reference = reference_embedding(engine, preparation)
    essence = json.dumps(
        {"onnx": sha256(path), "preparation": preparation.as_dict()}, sort_keys=True
    )
    return Model(
        name=path.stem,
        path=path,
        fingerprint=hashlib.sha256(essence.encode()).hexdigest(),
        dim=len(reference),
        preparation=preparation,
        engine=engine,
    )


def _engine(bundle: Bundle, runtime: str) -> Engine:
    """Return the requested engine, or with "auto" the lighter one that can be used."""
    has_onnx = bundle.onnx is not None or _is_import(bundle)
    if runtime == "onnx" and not has_onnx:
        raise ArcwiseError(
            f"{bundle.path} has no ONNX file: make it with `arcwise export {bundle.path}`, "
            "or say runtime='torch'"
        )
    if has_onnx and (runtime == "onnx" or (runtime == "auto" and available("onnx"))):
        _require("onnx", bundle.path)
        size = (bundle.preparation.height, bundle.preparation.width)
        return OnnxEngine(bundle.onnx, size) if bundle.onnx else imported_engine(bundle)
    _require("torch", bundle.path)
    return torch_engine(bundle)


def _is_import(bundle: Bundle) -> bool:
    """Return whether the weights are an ONNX network and nothing more."""
    arguments = bundle.architecture.get("arguments", {})
    name, projection = bundle.architecture["name"], arguments.get("projection", "none")
    return (name, projection) == ("onnx", "none")


def _require(kind: str, path: Path) -> None:
    if not available(kind):
        library = {"onnx": "onnxruntime", "torch": "torch"}[kind]
        raise ArcwiseError(
            f"{path} needs {library}, which is not installed: pip install 'arcwise[{_EXTRA[kind]}]'"
        )


def _check(bundle: Bundle, engine: Engine) -> None:
    """Raise a BundleError unless the reference image is embedded as when the model was saved."""
    embedding = reference_embedding(engine, bundle.preparation)
    reference = bundle.reference_embedding
    if engine.kind == "onnx" and bundle.onnx_reference is not None:
        reference = bundle.onnx_reference
    stored = np.asarray(reference, np.float32)
    cosine = float(embedding @ stored) if len(embedding) == bundle.dim else 0.0
    if cosine > 1 - _TOLERANCE:
        _check_quality(bundle, engine)
        return
    if engine.kind == "onnx" and bundle.onnx is not None:
        cause = (
            f"either {bundle.onnx} does not compute what the weights do (run `arcwise export "
            f"{bundle.path}` again), or images are not prepared as they were then"
        )
    else:
        cause = (
            "the weights belong to another training, or images are not prepared as they were "
            "then: save the model again with the Arcwise that trained it"
        )
    raise BundleError(
        f"{bundle.path} does not pass its self-check: the embedding of the reference image has "
        f"cosine {cosine:.4f} with the stored one, expected above {1 - _TOLERANCE}: {cause}"
    )


def _check_quality(bundle: Bundle, engine: Engine) -> None:
    """Raise a BundleError unless the reference image has the quality that it had."""
    stored = bundle.reference_quality
    smaller = engine.kind == "onnx" and bundle.onnx_reference is not None
    if stored is None or smaller:  # the export has compared a smaller network's
        return
    quality = reference_quality(engine, bundle.preparation)
    if not abs(quality - stored) <= _QUALITY_TOLERANCE:
        raise BundleError(
            f"{bundle.path} does not pass its self-check: the quality of the reference image is "
            f"{quality:.4f}, and {stored:.4f} is stored: export it again, or save it again"
        )
