"""Export: a model's network as ONNX, kept only if it computes what torch computes.

A smaller one, of fp16 or int8 numbers, is kept only if it recognises as well on labelled images.
"""

from __future__ import annotations

import logging
import os
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arcwise.bundle import add_onnx, reference_image
from arcwise.bundle.description import ONNX, PRECISIONS
from arcwise.encoders.onnx_session import QUALITY
from arcwise.errors import ArcwiseError
from arcwise.files import translate_errors
from arcwise.images.decode import decode
from arcwise.images.preparation import Preparation
from arcwise.runtime import ImageSource, Model, load, reference_embedding
from arcwise.runtime.engines import Engine, Floats, OnnxEngine, TorchEngine
from arcwise.runtime.model import decode_source
from arcwise.verbs.export_smaller import (
    SmallerNetwork,
    images_to_decide_on,
    smaller_network,
    write_smaller,
)

if TYPE_CHECKING:
    from torch import nn

    from arcwise.data.manifest import Manifest

TOLERANCE = 1e-4  # of 1 - cosine; lengths may differ by ten times that, relatively
OPSETS = range(18, 24)
_BATCHES = (1, 17)  # alone, and a number nothing in the network is a multiple of
QUALITY_TOLERANCES = {"fp32": 1e-3, "fp16": 1e-2, "int8": 5e-2}
"""Of the quality of an input, from 0 to 1, by the precision of the network that is kept."""

_MOST = 64  # of the caller's images are compared


@dataclass(frozen=True)
class ExportReport:
    """A network that was exported, and how far it is from torch.

    Attributes:
        path: the `.onnx` file, in the model folder.
        opset: of ONNX.
        bytes: size of the file.
        compared: inputs that both were given, random ones and images.
        cosine: the largest 1 - cosine between the two embeddings of an input.
        length: the largest relative difference of their lengths.
        quality: the largest difference of the kept network's qualities; None where it has none.
        smaller: what fp16 or int8 numbers change; None for fp32. The differences from torch are
            those of the fp32 network that an int8 one is made from.
    """

    path: Path
    opset: int
    bytes: int
    compared: int
    cosine: float
    length: float
    smaller: SmallerNetwork | None = None
    quality: float | None = None

    def __str__(self) -> str:
        before = ", before int8," if self.smaller and self.smaller.precision == "int8" else ""
        line = (
            f"{self.path} ({self.bytes / 2**20:.1f} MiB, opset {self.opset}): on {self.compared} "
            f"inputs ONNX Runtime{before} differs from torch by at most {self.cosine:.1e} in "
            f"cosine and {self.length:.1e} in length"
        )
        if self.quality is not None:
            line += f"; qualities by at most {self.quality:.1e}"
        return line if self.smaller is None else f"{line}\n{self.smaller}"


def export(
    model_path: str | Path,
    data: Manifest | Sequence[ImageSource] | None = None,
    *,
    precision: str = "fp32",
    opset: int | None = None,
    other_identities: bool = False,
) -> ExportReport:
    """Write `encoder.onnx` into the model folder, for any batch size, and return the report.

    The fingerprint stays, and with it every gallery. An int8 network is therefore judged with its
    embeddings alone and with those of the model enrolled.

    Args:
        model_path: the model folder.
        data: for fp32, a manifest or images to compare on, of which 64 are taken; besides random
            input and the built-in images, which are always used. For int8, a manifest of labelled
            images: some set its ranges, those of other identities decide. For fp16 they decide
            too, or are left out: it is then held to what is asked of fp32.
        precision: "fp32"; "fp16", half the size; or "int8", about a quarter.
        opset: of ONNX, 18 to 23; 18 by default. An imported network keeps its own.
        other_identities: whether identities in `data` are others than in training, though they
            may be called alike.

    Raises:
        ArcwiseError: the exported network differs from torch's, or a smaller one leaves the
            interval of the model's true-accept rate at one of its thresholds (the model is then as
            before); the data does not suffice to tell, the model has no thresholds, a library is
            not installed, or an argument is out of range.
    """
    if opset is not None and opset not in OPSETS:
        raise ArcwiseError(f"opset is {opset}, expected {OPSETS[0]} to {OPSETS[-1]}")
    if precision not in PRECISIONS:
        raise ArcwiseError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    check_libraries()
    model = load(model_path, runtime="torch")
    labelled = None
    if precision == "int8" or (precision == "fp16" and data is not None):
        labelled = images_to_decide_on(model, data, precision, other_identities)
    reference = model.engine
    assert isinstance(reference, TorchEngine)
    reference.encoder.cpu()
    size = (model.preparation.height, model.preparation.width)
    network = model.path / f".encoder.{uuid.uuid4().hex}.onnx"
    unfinished = network.with_suffix(".smaller.onnx")
    smaller, kept, embedding = None, network, None
    try:
        with translate_errors(model.path / ONNX):
            written = write_onnx(reference.encoder, network, size, opset or OPSETS[0])
        if opset not in (None, written):
            raise ArcwiseError(
                f"{model.path} is an imported network, which keeps the operators of its file, "
                f"opset {written}; leave --opset {opset} out"
            )
        inputs = [_noise(size), *_batches(model.preparation, built_in_images())]
        if data is not None and labelled is None:
            inputs += _batches(model.preparation, list(_opened(data)))
        cosine, length = _checked(model, network, inputs)
        if precision != "fp32":
            kept = unfinished
            write_smaller(model, network, kept, precision, labelled)
            if precision == "fp16":
                cosine, length = _differences(model.engine, OnnxEngine(kept, size), inputs)
                if labelled is None and not _close(cosine, length):
                    raise ArcwiseError(
                        f"fp16 is not kept: {_in_words(cosine, length)}. {model.path} is as "
                        "before; labelled images can decide instead, by the model's thresholds: "
                        f"arcwise export {model.path} DATA --precision fp16"
                    )
            smaller = smaller_network(model, network, kept, precision, labelled)
            embedding = reference_embedding(OnnxEngine(kept, size), model.preparation)
        quality = None
        if model.estimates_quality:
            quality = _checked_quality(model, kept, precision, inputs)
        bundle = add_onnx(model.path, kept, precision=precision, reference_embedding=embedding)
    finally:
        network.unlink(missing_ok=True)
        unfinished.unlink(missing_ok=True)
    assert bundle.onnx is not None
    return ExportReport(
        path=bundle.onnx,
        opset=written,
        bytes=os.path.getsize(bundle.onnx),
        compared=sum(map(len, inputs)),
        cosine=cosine,
        length=length,
        smaller=smaller,
        quality=quality,
    )


def _checked(model: Model, network: Path, inputs: Sequence[Floats]) -> tuple[float, float]:
    """Return how far a network is from torch, in cosine and length; raise if that is too far."""
    size = (model.preparation.height, model.preparation.width)
    cosine, length = _differences(model.engine, OnnxEngine(network, size), inputs)
    if not _close(cosine, length):
        raise ArcwiseError(
            f"the exported network is not the model: {_in_words(cosine, length)}. {model.path} is "
            "as before; try another opset or update torch and onnxruntime"
        )
    return cosine, length


def _checked_quality(
    model: Model, network: Path, precision: str, inputs: Sequence[Floats]
) -> float:
    """Return the largest difference of a network's qualities from torch's; raise if too large."""
    onnx = OnnxEngine(network, (model.preparation.height, model.preparation.width))
    worst, allowed = 0.0, QUALITY_TOLERANCES[precision]
    for batch in inputs:
        difference = np.abs(model.engine.with_quality(batch)[1] - onnx.with_quality(batch)[1])
        worst = float(np.maximum(worst, difference.max()))
    if not worst <= allowed:
        raise ArcwiseError(
            f"{precision} is not kept: its qualities differ from torch's by {worst:.2e}, allowed "
            f"are {allowed:.0e}. {model.path} is as before; another precision may do"
        )
    return worst


def _close(cosine: float, length: float) -> bool:
    return cosine <= TOLERANCE and length <= 10 * TOLERANCE  # NaN is not


def _in_words(cosine: float, length: float) -> str:
    return (
        f"its embeddings differ from torch's by {cosine:.2e} in cosine and {length:.2e} in "
        f"length, allowed are {TOLERANCE:.0e} and {10 * TOLERANCE:.0e}"
    )


def check_libraries() -> None:
    """Refuse where a library of the export is not installed.

    Raises:
        ArcwiseError: names them, and how to get them.
    """
    needed = ("torch", "onnx", "onnxscript", "onnxruntime")
    if missing := [name for name in needed if find_spec(name) is None]:
        raise ArcwiseError(
            f"export needs {', '.join(missing)}, not installed: pip install 'arcwise[export]'"
        )


def write_onnx(encoder: nn.Module, path: Path, size: tuple[int, int], opset: int) -> int:
    """Write `images (batch, 3, H, W) -> embeddings (batch, D)`, without a trace of this machine.

    An encoder that estimates qualities has a second output, `quality (batch,)`.

    The exporter notes the source line of every operation, with its path; that is removed. An
    imported network keeps its operations, and its opset, which is returned.
    """
    import torch

    from arcwise.encoders.quality import has_quality

    spec: Any = encoder.spec
    if spec.name == "onnx":
        from arcwise.encoders.onnx_file import write_imported

        return write_imported(encoder, path)
    example = torch.zeros(2, 3, *size)
    with _quiet(), torch.no_grad():  # without gradients the exporter traces less
        program: Any = torch.onnx.export(
            encoder.eval(),
            (example,),
            dynamo=True,
            opset_version=opset,
            input_names=["images"],
            output_names=["embeddings", *([QUALITY] if has_quality(spec.as_dict()) else [])],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            verbose=False,
        )
        graph = program.model.graph
        for one in [graph, *graph, *graph.inputs, *graph.initializers.values()]:
            one.metadata_props.clear()
        for node in graph:
            node.doc_string = None
            for value in node.outputs:
                value.metadata_props.clear()
        program.save(path, external_data=False)
    return opset


def built_in_images() -> list[np.ndarray]:
    """Return 17 images: the reference image cut, turned, mirrored, dimmed and recoloured."""
    image = reference_image()
    turned = [np.rot90(image, turns) for turns in range(4)]
    mirrored = [image[:, ::-1] for image in turned]
    cut = [image[y : y + 40, x : x + 40] for y in (0, 50) for x in (0, 45, 90)]
    coloured = [image[..., ::-1], image // 3, 255 - image]
    return [np.ascontiguousarray(image) for image in (*turned, *mirrored, *cut, *coloured)]


def _noise(size: tuple[int, int]) -> Floats:
    """Return (17, 3, H, W) normal noise, the same in every run."""
    shape = (_BATCHES[-1], 3, *size)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _batches(preparation: Preparation, images: Sequence[np.ndarray]) -> list[Floats]:
    """Return prepared images in batches of the two sizes: the first alone, then the others."""
    alone, many = _BATCHES
    starts = [0, *range(alone, len(images), many)] if images else []
    ends = [*starts[1:], len(images)]
    return [
        preparation.tensor(np.stack([preparation.pixels(image) for image in images[start:end]]))
        for start, end in zip(starts, ends, strict=True)
    ]


def _opened(images: Manifest | Sequence[ImageSource]) -> Iterator[np.ndarray]:
    """Yield the first of the caller's images, decoded; one that cannot be read stops the export."""
    from arcwise.data.manifest import Manifest

    if isinstance(images, Manifest):
        for row in range(min(len(images), _MOST)):
            yield decode(images.read(row), images.images[row])
        return
    if isinstance(images, str | Path | bytes | np.ndarray):
        raise ArcwiseError("data is one image, expected a list or a manifest")
    for index, item in enumerate(islice(images, _MOST)):
        yield decode_source(item, f"image {index}")


def _differences(torch_: Engine, onnx: Engine, inputs: Sequence[Floats]) -> tuple[float, float]:
    """Return the largest 1 - cosine and relative difference of length over all batches.

    Every batch's first input is also given alone, so that both batch sizes see everything.
    """
    worst_cosine, worst_length = 0.0, 0.0
    for batch in (part for whole in inputs for part in (whole, whole[:1])):
        a, b = torch_(batch).astype(np.float64), onnx(batch).astype(np.float64)
        if a.shape != b.shape:
            raise ArcwiseError(f"the exported network gives {b.shape}, torch {a.shape}: not kept")
        length_a, length_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        with np.errstate(all="ignore"):  # a NaN fails the comparison that follows
            cosine = 1 - (a * b).sum(axis=1) / (length_a * length_b)
            length = np.abs(length_a - length_b) / length_a
        worst_cosine = float(np.maximum(worst_cosine, cosine.max()))
        worst_length = float(np.maximum(worst_length, length.max()))
    return worst_cosine, worst_length


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's warnings about libraries that it does not need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
