"""Smaller networks: the same ONNX graph with fp16 weights, or with int8 convolutions and products.

What they gain and lose is measured; what loses too much is refused.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.bundle.description import ONNX
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.files import translate_errors
from arcwise.runtime import ImageSource, Model
from arcwise.runtime.engines import Engine, Floats, OnnxEngine
from arcwise.verbs.export_decision import (
    LabelledImages,
    ThresholdCheck,
    calibration_batches,
    check_thresholds,
    embeddings_of,
    labelled_images,
)

_BATCHES = (1, 32)
"""Numbers of images that a network is timed with."""

_ROUNDS = 9
_HALF = float(np.finfo(np.float16).max)
_QUANTISED = ("Conv", "Gemm", "MatMul")
"""Operators whose weights and inputs become int8: nearly all of the size and time. The others
(normalisation, activations, pooling, sums) cost accuracy and gain little."""


@dataclass(frozen=True)
class SmallerNetwork:
    """What a smaller network gains, and what it loses.

    Attributes:
        precision: "fp16" or "int8".
        bytes_before: size of the fp32 network.
        times: (images at once, milliseconds an image of the fp32 network, and of this one).
        cosines: (N,) between the two embeddings of each labelled image; empty without.
        checks: at each of the model's thresholds that the images resolve.
        images: labelled images that decided.
        identities: of these.
        notes: what the user has to know about the identities.
    """

    precision: str
    bytes_before: int
    times: tuple[tuple[int, float, float], ...]
    cosines: np.ndarray
    checks: tuple[ThresholdCheck, ...]
    images: int
    identities: int
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.precision} instead of fp32 ({self.bytes_before / 2**20:.1f} MiB)"]
        lines += [
            f"  {count} at once: {after:.2f} ms an image, was {before:.2f} ms"
            for count, before, after in self.times
        ]
        if self.images:
            lines.append(
                f"  {self.images} images of {self.identities} identities: cosine to fp32 "
                f"{np.median(self.cosines):.4f} (median), {self.cosines.min():.4f} (worst)"
            )
        return "\n".join([*lines, *(f"  {check}" for check in self.checks)])


def images_to_decide_on(
    model: Model,
    data: Manifest | Sequence[ImageSource] | None,
    precision: str,
    other_identities: bool,
) -> LabelledImages:
    """Return the labelled images that decide on the smaller network.

    Raises:
        ArcwiseError: the data is no manifest, or `labelled_images` refuses it.
    """
    if not isinstance(data, Manifest):
        raise ArcwiseError(
            f"{precision} needs labelled images of your own, which decide whether it is as good: "
            "give a data set (in Python a manifest) after the model"
        )
    return labelled_images(model, data, other_identities)


def write_smaller(
    model: Model, network: Path, path: Path, precision: str, labelled: LabelledImages | None
) -> None:
    """Write the smaller network made from a network."""
    batches: list[Floats] = []
    if precision == "int8":
        assert labelled is not None
        batches = calibration_batches(model, labelled.calibration)
    with translate_errors(model.path / ONNX):
        if precision == "int8":
            _write_int8(network, path, batches)
        else:
            _write_fp16(network, path)


def smaller_network(
    model: Model, network: Path, smaller: Path, precision: str, labelled: LabelledImages | None
) -> SmallerNetwork:
    """Return what the smaller network gains and loses.

    Raises:
        ArcwiseError: it loses too much.
    """
    checks: tuple[ThresholdCheck, ...] = ()
    cosines = np.empty(0)
    if labelled is not None:
        before, after = embeddings_of(model, [network, smaller], labelled.decision)
        cosines = (before.astype(np.float64) * after).sum(axis=1)
        checks = check_thresholds(before, after, labelled.decision.labels, labelled.thresholds)
        for check in checks:
            if check.problems:
                raise ArcwiseError(
                    f"{precision} is not kept: at the model's threshold for FAR {check.far:g} "
                    f"(similarity >= {check.threshold:.4f}) {'; '.join(check.problems)}; measured "
                    f"on {len(labelled.decision)} images of {len(labelled.decision.classes)} "
                    f"identities of {labelled.name}. {model.path} is as before"
                )
    size = (model.preparation.height, model.preparation.width)
    engines = [OnnxEngine(path, size) for path in (network, smaller)]
    noise = np.random.default_rng(0).standard_normal((max(_BATCHES), 3, *size), dtype=np.float32)
    times = []
    for count in _BATCHES:
        before_ms, after_ms = _milliseconds(engines, noise[:count])
        times.append((count, before_ms, after_ms))
    return SmallerNetwork(
        precision=precision,
        bytes_before=os.path.getsize(network),
        times=tuple(times),
        cosines=cosines,
        checks=checks,
        images=len(cosines),
        identities=0 if labelled is None else len(labelled.decision.classes),
        notes=() if labelled is None else labelled.notes,
    )


def _write_fp16(network: Path, path: Path) -> None:
    """Write the network with half-precision matrices and kernels.

    They become float32 again when the network is loaded, and it computes in float32: ONNX Runtime
    has hardly any half-precision operators for CPUs, and nothing overflows. Its own converter
    rounds what is computed to half precision too, between every two operators.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(network)
    graph = model.graph
    inputs = {one.name: one for one in graph.input}  # old files list their weights as inputs too
    casts = []
    for tensor in graph.initializer:
        name, values = tensor.name, numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2 or np.abs(values).max(initial=0) > _HALF:
            continue
        half = f"{name}/fp16"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
        if name in inputs:
            inputs[name].name = half
            inputs[name].type.tensor_type.elem_type = TensorProto.FLOAT16
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)


def _write_int8(network: Path, path: Path, batches: Sequence[Floats]) -> None:
    """Write the network with int8 weights and inputs of its convolutions and matrix products.

    Weights have one scale a channel and seven bits: with eight, processors without VNNI overflow,
    and the same file would be another network there.

    Args:
        network: the float32 network.
        path: where to.
        batches: (N, 3, H, W) prepared images, whose values set the ranges of the inputs.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    graph = onnx.load(network)
    feeds = iter([{graph.graph.input[0].name: batch} for batch in batches])

    class Batches(CalibrationDataReader):
        def get_next(self) -> Any:
            return next(feeds, None)

    with _quiet():
        quantize_static(
            graph,
            str(path),
            Batches(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTISED),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def _milliseconds(engines: Sequence[Engine], images: Floats) -> list[float]:
    """Return the median time an image takes in each engine, (N, 3, H, W) images at once.

    The engines take turns, so that whatever else the machine does slows all of them.
    """
    seconds: list[list[float]] = [[] for _ in engines]
    for turn in range(_ROUNDS + 1):
        for engine, own in zip(engines, seconds, strict=True):
            start = time.perf_counter()
            engine(images)
            if turn:  # the first one warms up
                own.append(time.perf_counter() - start)
    return [float(np.median(own)) / len(images) * 1e3 for own in seconds]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantiser's advice, which is about its own options."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
