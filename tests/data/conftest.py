"""Small data sets, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest

MakePicture = Callable[..., bytes]


@pytest.fixture(scope="session")
def a_picture() -> MakePicture:
    """A function: number[, extension, height, width] → file; other numbers, other pixels."""

    def make(number: int, extension: str = ".png", height: int = 12, width: int = 10) -> bytes:
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        return cv2.imencode(extension, pixels)[1].tobytes()

    return make


@pytest.fixture
def a_folder(tmp_path: Path, a_picture: MakePicture) -> Callable[..., Path]:
    """A function: paths → a folder with a different picture at each path."""

    def make(*paths: str, name: str = "photos") -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for number, path in enumerate(paths):
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(a_picture(number, Path(path).suffix))
        return root

    return make


@pytest.fixture
def a_zip(tmp_path: Path) -> Callable[..., Path]:
    """A function: {member: bytes} → an archive."""

    def make(members: Mapping[str, bytes], name: str = "photos.zip") -> Path:
        with ZipFile(tmp_path / name, "w") as file:
            for member, data in members.items():
                file.writestr(member, data)
        return tmp_path / name

    return make
