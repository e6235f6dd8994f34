"""Data views: a contact sheet of what training sees, images of its first batch with their views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.files import atomic_write
from arcwise.training import batches, build
from arcwise.training.config import TrainConfig
from arcwise.verbs.train import divided, training_rows

ENDINGS = (".jpg", ".png")
TILE, GAP, LINE, LETTER = 128, 4, 18, 7
"""Pixels: an image's side, what is between two, the height of a line and the width of a letter."""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class ContactSheet:
    """A contact sheet that was written.

    Attributes:
        path: the file.
        images: how many images it shows.
        failures: images of the batch that could not be read.
    """

    path: Path
    images: int
    failures: tuple[ImageError, ...]


def views(
    data: Path | Manifest, path: Path, config: TrainConfig, *, rows: int = 6, count: int = 8
) -> ContactSheet:
    """Draw a sheet: left an image as the model is given it, right its views in training.

    They are the first images of the run's first batch. The first view of each is the one that the
    run's first step is given; the others are what the next steps would be given of the same batch.

    Args:
        data: what `train` takes.
        path: of the sheet.
        config: the run.
        rows: images on the sheet, at most; each has a row.
        count: views of each.

    Raises:
        ArcwiseError: another ending than an image's, a sheet without rows or views, data that
            cannot be trained on, or no image that can be read.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ArcwiseError(f"{path}: a sheet is an image; expected one of {', '.join(ENDINGS)}")
    if not path.parent.is_dir():
        raise ArcwiseError(f"{path}: the folder {path.parent} does not exist; make it first")
    if rows < 1 or count < 1:
        raise ArcwiseError(f"{rows} images with {count} views; expected at least 1 of each")
    encoder, _ = build.as_the_network_takes(build.as_the_weights_say(config.encoder))
    config = config.replace(encoder=encoder)
    manifest = divided(training_rows(open_manifest(data), config), config).train
    config = config.with_steps(len(manifest))
    manifest = manifest.select(batches.stage_rows(config, 0, manifest))
    preparation, cpu = build.preparation(config.encoder), torch.device("cpu")
    first = config.stage(0).replace(data={"workers": 0, "cache_gb": 0.0})  # nothing is read ahead
    batch = next(batches.stream(first, batches.training_images(first, manifest, preparation), 0))
    if not len(batch.rows):
        raise ArcwiseError(f"{manifest.name}: no image can be read; {batch.failures[0]}")
    # A batch may have an image twice; a sheet shows it once.
    places = np.sort(np.unique(batch.rows.numpy(), return_index=True)[1])[:rows]
    shown = manifest.select(batch.rows.numpy()[places])
    steps = [batches.crops(first, batch, step, cpu)[places] for step in range(count)]
    lines = [_captions(["image", *(f"step {step + 1}" for step in range(count))])]
    source = batches.cached_images(first, shown, preparation)
    images = torch.empty(source.shape(len(shown)), dtype=torch.uint8)
    source.read_into(images, np.arange(len(shown)))
    for place, (identity, name) in enumerate(zip(shown.identities, shown.images, strict=True)):
        image = images[place].numpy()
        seen = [step[place].permute(1, 2, 0).round().byte().numpy() for step in steps]
        lines += [_title(f"{identity}: {Path(name).name}", 1 + count), _strip([image, *seen])]
    _write(path, np.concatenate(lines))
    return ContactSheet(path, len(shown), batch.failures)


def _strip(images: Sequence[Image]) -> Image:
    """Return images side by side, all of one size."""
    line = np.full((TILE + GAP, len(images) * (TILE + GAP), 3), 255, np.uint8)
    for column, image in enumerate(images):
        start = column * (TILE + GAP)
        line[:TILE, start : start + TILE] = cv2.resize(image, (TILE, TILE))
    return line


def _title(text: str, columns: int) -> Image:
    """Return a line of text as wide as a strip; its middle is left out where it is too long."""
    line = np.full((LINE, columns * (TILE + GAP), 3), 255, np.uint8)
    fits = line.shape[1] // LETTER
    if len(text) > fits:
        text = f"{text[: fits // 2 - 2]} ... {text[-(fits // 2 - 3) :]}"
    written = text.encode("ascii", "replace").decode()  # OpenCV's letters
    cv2.putText(line, written, (2, LINE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (70, 70, 76))
    return line


def _captions(words: Sequence[str]) -> Image:
    return np.concatenate([_title(word, 1) for word in words], 1)


def _write(path: Path, image: Image) -> None:
    done, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done, "OpenCV encodes every uint8 image"
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(data.tobytes())
