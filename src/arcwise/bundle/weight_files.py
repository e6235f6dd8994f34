"""The files that `model.json` names, checked and read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from arcwise.bundle.envelope import DESCRIPTION
from arcwise.errors import BundleError
from arcwise.files import sha256


def verify_files(
    folder: Path, files: Mapping[str, str], advice: Mapping[str, str] | None = None
) -> None:
    """Raise a BundleError unless every file is there and has its digest.

    Args:
        folder: the model folder.
        files: sha256 of each file, by name.
        advice: what to do besides copying the folder again, by name.
    """
    for name, digest in files.items():
        again = f"copy the model folder again, whole{(advice or {}).get(name, '')}"
        if not (folder / name).is_file():
            raise BundleError(f"{folder} lacks {name}: {again}")
        if sha256(folder / name) != digest:
            raise BundleError(
                f"{folder / name} is not the file that {DESCRIPTION} describes (its sha256 "
                f"differs): {again}"
            )


def read_state(path: Path) -> dict[str, np.ndarray]:
    """Return the weights in a safetensors file, by state-dict key.

    Raises:
        BundleError: the file cannot be read.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as problem:
        raise BundleError(
            f"{path} cannot be read ({problem}): copy the model folder again"
        ) from None
