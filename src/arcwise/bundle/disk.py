"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arcwise.errors import BundleError
from arcwise.files import os_error_reason


@contextmanager
def disk(folder: Path, doing: str) -> Iterator[None]:
    """A block whose disk errors (no space, no permission) are one clear line about the folder."""
    try:
        yield
    except OSError as problem:
        raise BundleError(
            f"the model folder {folder} cannot be {doing} ({os_error_reason(problem)}): check "
            "the path, the permissions and the free space"
        ) from problem


def sha256(path: Path) -> str:
    """The digest of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def swap(beside: Path, folder: Path) -> None:
    """Renames `beside` to `folder`; what was there is put aside first and removed after."""
    aside = None
    if folder.exists():
        aside = folder.parent / f".{folder.name}.{uuid.uuid4().hex}.old"
        os.rename(folder, aside)
    try:
        os.rename(beside, folder)
    except BaseException:
        if aside is not None:
            os.rename(aside, folder)
        raise
    sync(folder.parent)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """Asks the disk to have the file or folder before we go on."""
    if os.name == "nt":  # which syncs no handle that was opened for reading, and no folder
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
