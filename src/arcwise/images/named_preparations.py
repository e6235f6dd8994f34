"""Preparations by name, as the authors of well-known networks publish them, or in a JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from arcwise.errors import ArcwiseError, suggestion
from arcwise.files import read_file
from arcwise.images.preparation import Preparation


@dataclass(frozen=True)
class NamedPreparation:
    """How networks of one kind were given their images.

    Attributes:
        preparation: their size, colours and scale. A network may be of another size.
        alignment: for networks of faces, the template that they are turned onto: "five-point" or
            "dlib"; None for others.
        source: where these numbers are published.
    """

    preparation: Preparation
    alignment: str | None = None
    source: str = ""


NAMED = {
    "insightface": NamedPreparation(
        Preparation(112, 112, "stretch", "rgb", (127.5,) * 3, (127.5,) * 3),
        "five-point",
        "insightface/model_zoo/arcface_onnx.py. Networks converted from MXNet scale their images "
        "themselves: their mean is 0 and their std 1",
    ),
    "facenet": NamedPreparation(
        Preparation(160, 160, "stretch", "rgb", (127.5,) * 3, (128,) * 3),
        None,
        "fixed_image_standardization of facenet-pytorch. Its faces are boxes of MTCNN",
    ),
    "imagenet": NamedPreparation(
        Preparation(224, 224, "crop", "rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        None,
        "torchvision and timm: mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225) of 0 to 1. "
        "DINOv2 has the same",
    ),
    "clip": NamedPreparation(
        Preparation(
            224,
            224,
            "crop",
            "rgb",
            (0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255),
            (0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255),
        ),
        None,
        "openai/CLIP, clip/clip.py",
    ),
    "dlib": NamedPreparation(
        Preparation(150, 150, "stretch", "rgb", (122.782, 117.001, 104.298), (256,) * 3),
        "dlib",
        "dlib/dnn/input.h: input_rgb_image_sized<150>. Its faces are chips of dlib's landmarks",
    ),
}
"""By the name that a user types."""


def named_preparation(name: str | Path) -> NamedPreparation:
    """Return a preparation by one of the names, or of a JSON file with the fields of one.

    Raises:
        ArcwiseError: neither a name nor a file of that kind.
    """
    if str(name) in NAMED:
        return NAMED[str(name)]
    path = Path(name)
    if not path.suffix and not path.exists():
        hint = suggestion(str(name), NAMED) or f"the names are {', '.join(NAMED)}"
        raise ArcwiseError(f"no preparation is called {str(name)!r}, and no file; {hint}")
    try:
        values = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError) as problem:
        raise ArcwiseError(f"{path}: no JSON file that can be read ({problem})") from None
    if not isinstance(values, dict):
        raise ArcwiseError(f"{path}: holds no object; expected the fields of a preparation")
    try:
        return NamedPreparation(Preparation.from_dict({"flip": False} | values))
    except ArcwiseError as problem:
        raise ArcwiseError(f"{path}: {problem}") from None
