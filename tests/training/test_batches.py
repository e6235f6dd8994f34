from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from arcwise.data.manifest import Manifest
from arcwise.images import decode
from arcwise.images.landmarks import align, template
from arcwise.training import build
from arcwise.training.batches import cached_images
from tests import pictures
from tests.training import runs

FACE = template(24).ravel() + 5  # in images of 32 pixels


@pytest.fixture
def faces(tmp_path: Path) -> Manifest:
    """Six images: of the second, landmarks are not known; of the third, they cannot be."""
    images = pictures.write(tmp_path, identities=2, each=3)
    landmarks = [FACE.tolist(), None, [7.0] * 10, *[FACE.tolist()] * 3]
    table = images.table.append_column("landmarks", pa.array(landmarks))
    return replace(images, table=table)


@pytest.mark.parametrize("onto", ["five-point", "dlib"])
def test_faces_are_turned_as_the_model_will_turn_them(faces: Manifest, onto: str) -> None:
    config = runs.config(encoder={"alignment": onto, "size": 16})
    preparation = build.preparation(config.encoder)
    source = cached_images(config, faces, preparation)
    pixels = torch.zeros(source.shape(3), dtype=torch.uint8)
    read = source.read_into(pixels, np.arange(3))
    image = decode(faces.read(0), "")
    assert np.array_equal(pixels[0], align(image, FACE, 16, onto))  # type: ignore[arg-type]
    assert np.array_equal(pixels[1], preparation.pixels(decode(faces.read(1), "")))
    assert read.positions.tolist() == [0, 1]
    assert "landmarks" in read.failures[0].reason
