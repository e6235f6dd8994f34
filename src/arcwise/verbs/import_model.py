"""Import: a network that exists becomes a model folder like any other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.bundle import Bundle
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.files import sha256
from arcwise.images.preparation import Preparation
from arcwise.runtime.engines import Engine, embed_prepared
from arcwise.verbs.export import built_in_images
from arcwise.verbs.import_onnx import onnx_network
from arcwise.verbs.preparation_check import preparation_doubts
from arcwise.verbs.stated_preparation import Alignment, stated_preparation

_CLASSES = {1000: "ImageNet", 1001: "ImageNet", 21841: "ImageNet-21k", 21843: "ImageNet-21k"}
"""Whose classes an output of so many numbers may stand for."""


@dataclass(frozen=True)
class ImportedModel:
    """A network that became a model folder.

    Attributes:
        bundle: the model folder.
        facts: what was found out about the network, a line each.
        warnings: what looks wrong, a line each.
    """

    bundle: Bundle
    facts: tuple[str, ...]
    warnings: tuple[str, ...]


def import_model(
    source: str | Path,
    out: str | Path,
    *,
    licence: str,
    preparation: str | Path | Preparation | None = None,
    encoder: str = "",
    alignment: Alignment | None = None,
    output: str = "",
    images: str | Path | Manifest | None = None,
    **changes: Any,
) -> ImportedModel:
    """Write a model folder of a network that exists, and say what could be found out about it.

    It has no thresholds: `calibrate` sets them.

    Args:
        source: an `.onnx` file; or the weights of a published network, a `.safetensors` file or
            a `.pth` file with a state dict in it.
        out: the model folder; nothing may be there yet.
        licence: under which the weights may be used, in words; "unknown" where nobody says.
        preparation: how an image is prepared for it: one of `NAMED`, a JSON file, or the value.
        encoder: the architecture that the weights are of; an `.onnx` file needs none.
        alignment: "five-point" for faces; by default what the named preparation says.
        output: the name of the output that is the embedding, where an `.onnx` file has several.
        images: images of yours, ten or more, on which other colours and scales are tried.
        **changes: fields of the preparation that differ from it; without it, mean and std at
            least.

    Raises:
        ArcwiseError: no licence or preparation is given, something is at `out`, or the network is
            not one that embeds images.
    """
    source, out = Path(source), Path(out)
    _check(source, out, encoder, output)
    if not licence.strip():
        unprepared = preparation is None and "mean" not in changes
        also = "; say too how images are prepared: --preparation, or --mean and --std"
        raise ArcwiseError(
            f"{source}: under which licence may it be used? Say --licence in the words of those "
            f"who published it ('Apache-2.0', 'research only'), or 'unknown'{also * unprepared}"
        )
    stated = stated_preparation(preparation, changes, alignment)
    photos = None if images is None else open_manifest(images, identities=False)
    if encoder:
        from arcwise.verbs.import_weights import published_network  # needs torch

        network = published_network(source, encoder, stated)
    else:
        network = onnx_network(source, stated, output)
    facts, warnings = _examined(network.engine, network.preparation)
    if photos is not None:
        doubts = preparation_doubts(network.engine, network.preparation, photos)
        warnings += doubts
        if not doubts:
            facts.append(
                f"tried on images of {photos.name}: no other scale fits clearly better, nor do the "
                "colours in the other order (which many networks hardly see)"
            )
    bundle = network.write(
        out,
        alignment=stated.alignment,
        licence=licence.strip(),
        training={"imported": {"file": source.name, "sha256": sha256(source)}},
    )
    return ImportedModel(bundle, (*network.facts, *facts), tuple(warnings))


def check_place(out: Path) -> None:
    """Refuse a place for a model folder where something is."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ArcwiseError(f"{out} exists; name another place with --out, or remove it first")


def _check(source: Path, out: Path, encoder: str, output: str) -> None:
    """Refuse what needs no look into the file."""
    if not source.exists():
        raise ArcwiseError(f"{source}: no such file; give an .onnx, .safetensors or .pth file")
    if source.is_dir():
        raise ArcwiseError(
            f"{source}: a folder; give the file of a network (a model folder needs no import)"
        )
    check_place(out)
    is_onnx = source.suffix.lower() == ".onnx"
    if is_onnx and encoder:
        raise ArcwiseError(f"{source}: an ONNX network is all of it; leave --encoder out")
    if not is_onnx and not encoder:
        raise ArcwiseError(
            f"{source}: weights do not say of which network they are; say --encoder (iresnet50, "
            "mobilefacenet, …), or give an .onnx file"
        )
    if output and not is_onnx:
        raise ArcwiseError(f"{source}: --output is the name of one of an .onnx file; leave it out")


def _examined(engine: Engine, preparation: Preparation) -> tuple[list[str], list[str]]:
    """Return facts and warnings about the embeddings of the built-in images.

    Raises:
        ArcwiseError: they are zero or not finite.
    """
    pixels = np.stack([preparation.pixels(image) for image in built_in_images()])
    vectors = embed_prepared(engine, replace(preparation, flip_tta=False), pixels)
    vectors = vectors.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ArcwiseError(
            "its embeddings of the built-in images are zero or not finite: the weights are "
            "broken, or the scale is wrong (mean and std are of pixels from 0 to 255)"
        )
    dim = vectors.shape[1]
    spread = f"from {lengths.min():.3g} to {lengths.max():.3g} on built-in images"
    length = (
        "of unit length" if np.ptp(lengths) < 1e-3 > abs(lengths[0] - 1) else f"of length {spread}"
    )
    warnings = []
    if (vectors >= 0).all() and np.allclose(vectors.sum(1), 1, atol=1e-3):
        warnings.append(
            f"its {dim} numbers are probabilities that add up to 1: the classes of a classifier, "
            "not an embedding; export the network without its last layers"
        )
    elif dim in _CLASSES:
        warnings.append(
            f"it answers {dim} numbers, as many as {_CLASSES[dim]} has classes: if they are "
            "scores of classes, export the network without its last layer"
        )
    unit = vectors / lengths[:, None]
    if (unit @ unit.T).min() > 0.999:
        warnings.append(
            "quite different built-in images have the same embedding: the scale may be wrong "
            "(mean and std are of pixels from 0 to 255)"
        )
    return [f"embeddings of {dim} dimensions, {length}"], warnings
