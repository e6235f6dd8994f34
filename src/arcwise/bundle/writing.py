"""A model folder of any kind, written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors.numpy import save

from arcwise.bundle.envelope import DESCRIPTION, FORMAT, USES, as_json
from arcwise.errors import BundleError
from arcwise.files import atomic_write, sha256, sync

T = TypeVar("T")


def write_model(
    folder: Path,
    kind: str,
    state: Mapping[str, np.ndarray],
    payload: Mapping[str, Any],
    *,
    weights: str,
    fingerprint: Callable[[Mapping[str, Any]], str],
    read: Callable[[Path], T],
    digests: Mapping[str, Iterable[str]] | None,
    training: Mapping[str, Any] | None,
    licence: str,
    arrays: Mapping[str, np.ndarray] | None = None,
) -> T:
    """Write a model folder and return it as read back; it replaces an older one.

    Args:
        folder: where to; a folder that exists and holds no model is not touched.
        kind: of the model.
        state: weights by state-dict key.
        payload: what `model.json` says of this kind of model.
        weights: name of the file of weights.
        fingerprint: of envelope and payload, from everything that decides what the model computes.
        read: reads a folder of this kind. What it refuses is not written.
        digests: identity digests by use ("train", "choose", "calibrate").
        training: a JSON object that summarises the training.
        licence: under which the weights may be used.
        arrays: further files, by name.

    Raises:
        BundleError: a weight is not finite, a field is not what it should be, or `folder` holds
            something else.
    """
    for key, value in state.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise BundleError(
                f"the weights are not saved: {key} is not finite. The training diverged; go back "
                "to an earlier checkpoint and lower the learning rate"
            )
    if folder.is_file():
        raise BundleError(f"{folder} is a file: name a folder for the model")
    if folder.exists() and not (folder / DESCRIPTION).is_file() and any(folder.iterdir()):
        raise BundleError(f"{folder} holds files, and is no model folder: name an empty place")
    every_use = dict.fromkeys(USES, ()) | dict(digests or {})
    about: dict[str, Any] = {
        "format": FORMAT,
        "kind": kind,
        "licence": licence,
        "digests": {use: sorted(those) for use, those in every_use.items()},
        "training": dict(training or {}),
        **payload,
    }
    with atomic_write(folder, error=BundleError) as new:
        new.mkdir()
        # Not `save_file`: that leaves a file which only this account may read.
        (new / weights).write_bytes(save({key: _c_order(value) for key, value in state.items()}))
        for name, array in (arrays or {}).items():
            np.save(new / name, array)
        about["files"] = {name: sha256(new / name) for name in (weights, *(arrays or {}))}
        about["fingerprint"] = fingerprint(about)
        (new / DESCRIPTION).write_bytes(as_json(about))
        for name in (*about["files"], DESCRIPTION):
            sync(new / name)
        return read(new)


def _c_order(array: np.ndarray) -> np.ndarray:
    """Return the array as safetensors reads its memory; 0-d stays 0-d."""
    return np.ascontiguousarray(array).reshape(array.shape)
