"""An ONNX network as a function of prepared images, however its file lays them out.

ONNX Runtime runs it; torch is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError

Floats = NDArray[np.float32]

LAYOUTS = ("nchw", "nhwc")
FACTS = ("layout", "output", "batch")
"""The arguments of an encoder `onnx` that say how its network is run."""

GRAPH = "backbone.graph"
"""The name, among an encoder's weights, of the tensor that is an ONNX file word for word."""

QUALITY = "quality"
"""The name of the output that is the quality of each image, of an encoder that estimates one."""

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_SPINNING = "session.intra_op.allow_spinning"
"""Whether idle threads keep a core busy, which whoever reads the next image needs."""

_OUTSIDE = "session.model_external_initializers_file_folder_path"


class OnnxSession:
    """(N, 3, H, W) float32 -> (N, D) float32, not normalised, for any N.

    It runs on the best device that ONNX Runtime was built for. Images are given in the layout, in
    the precision and in batches of the size that the file asks for.

    Args:
        network: the file, or its bytes.
        size: (H, W) of the prepared images; None for the size that the network was made for.
        threads: of one call.
        name: what to call the network in an error.
        layout: "nchw" or "nhwc"; by default as the file's shape says.
        output: the name of the output that is the embedding; the first one by default.
        batch: images of one call, 0 for any number; by default as the file says.
        usual_size: (H, W) where `size` is None and the network takes any.

    Attributes:
        size: (H, W) of the prepared images.
        input: the name of the images.
        layout: "nchw" or "nhwc".
        output: the name of the embedding.
        outputs: the shape of every output by name, with a name or None for what may vary.
        batch: images of one call, 0 for any number.
        precision: "float32" or "float16", of the images that it takes.

    Raises:
        ArcwiseError: the file is no network of that kind, or ONNX Runtime is not installed.
    """

    def __init__(
        self,
        network: Path | bytes,
        size: tuple[int, int] | None,
        *,
        threads: int,
        name: str = "",
        layout: str = "",
        output: str = "",
        batch: int | None = None,
        usual_size: tuple[int, int] | None = None,
    ) -> None:
        self._name = name or (str(network) if isinstance(network, Path) else "the network")
        self._session = _opened(network, threads, self._name)
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        layouts = [one for one in LAYOUTS if one == (layout or one)]
        fits = [one for one in layouts if _takes(shape, one, size)]
        if not fits or inputs[0].type not in _TYPES:
            height, width = size or ("H", "W")
            raise ArcwiseError(
                f"{self._name} takes {[(one.name, one.type, one.shape) for one in inputs]}, "
                f"expected one float input (N, 3, {height}, {width}), or with the colours last: "
                "give the preparation the size the network was made for, and a network that takes "
                "prepared images"
            )
        size = size or _own_size(shape, fits[0]) or usual_size
        if size is None:
            raise ArcwiseError(f"{self._name} takes images of any size: say of which, with --size")
        self.size = size
        self.input, self._type = inputs[0].name, _TYPES[inputs[0].type]
        self.precision = np.dtype(self._type).name
        self.outputs: Mapping[str, list[Any]] = {
            one.name: list(one.shape) for one in self._session.get_outputs()
        }
        if output and output not in self.outputs:
            raise ArcwiseError(
                f"{self._name} has no output {output!r}; expected one of {', '.join(self.outputs)}"
            )
        self.output = output or next(iter(self.outputs))
        self.batch = (shape[0] if isinstance(shape[0], int) else 0) if batch is None else batch
        self.layout = fits[0]
        if len(fits) > 1 and not self._runs(size):  # its shape does not say
            self.layout = fits[1]

    def __call__(self, images: Floats) -> Floats:
        """Return the (N, D) embeddings of (N, 3, H, W) prepared images."""
        return self._in_batches(images, [self.output])[0]

    def with_quality(self, images: Floats) -> tuple[Floats, Floats]:
        """Return the (N, D) embeddings and (N,) qualities of (N, 3, H, W) prepared images.

        Raises:
            ArcwiseError: the network has no such output.
        """
        if QUALITY not in self.outputs:
            raise ArcwiseError(
                f"{self._name} has no output {QUALITY!r}; it has {', '.join(self.outputs)}: export "
                "it again"
            )
        embeddings, quality = self._in_batches(images, [self.output, QUALITY])
        return embeddings, quality[:, 0]

    def _in_batches(self, images: Floats, outputs: list[str]) -> list[Floats]:
        """Return (N, …) of each output, which the network gives of as many images as it takes."""
        if not self.batch:
            return self._run(images, outputs)
        parts = []
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            short = self.batch - len(part)
            full = np.concatenate([part, np.repeat(part[-1:], short, axis=0)]) if short else part
            parts.append([one[: len(part)] for one in self._run(full, outputs)])
        return [np.concatenate(of_output) for of_output in zip(*parts, strict=True)]

    def _run(self, images: Floats, outputs: list[str]) -> list[Floats]:
        if self.layout == "nhwc":
            images = images.transpose(0, 2, 3, 1)
        feed = {self.input: np.ascontiguousarray(images, dtype=self._type)}
        try:
            results = self._session.run(outputs, feed)
        except Exception as problem:  # its exceptions have no public base
            raise ArcwiseError(
                f"{self._name} cannot compute images of shape {images.shape} ({_reason(problem)})"
            ) from None
        out = np.asarray(results[0])
        places = [side for side in out.shape[1:] if side != 1]
        if out.ndim < 2 or out.shape[0] != len(images) or len(places) > 1:
            raise ArcwiseError(
                f"{self._name} answered {len(images)} images with {self.output!r} of shape "
                f"{out.shape}, expected (N, D): its first output, or the one that is named, must "
                "be the embedding"
            )
        return [np.asarray(one, np.float32).reshape(len(images), -1) for one in results]

    def _runs(self, size: tuple[int, int]) -> bool:
        try:
            self(np.zeros((1, 3, *size), np.float32))
        except ArcwiseError:
            return False
        return True


def _opened(network: Path | bytes, threads: int, name: str) -> Any:
    if find_spec("onnxruntime") is None:
        raise ArcwiseError(
            f"{name} needs onnxruntime, which is not installed: pip install 'arcwise[serve]'"
        )
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only: they are raised too
    options.add_session_config_entry(_SPINNING, "0")
    if isinstance(network, bytes):  # all of it: no other file is looked for
        options.add_session_config_entry(_OUTSIDE, "/nowhere")
    fastest_first = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [one for one in fastest_first if one in ort.get_available_providers()]
    try:
        return ort.InferenceSession(network, options, providers=providers)
    except Exception as problem:  # its exceptions have no public base
        raise ArcwiseError(
            f"{name} is no network that ONNX Runtime {ort.__version__} can run "
            f"({_reason(problem)}): copy or export it again, or update onnxruntime"
        ) from None


def _takes(shape: list[Any], layout: str, size: tuple[int, int] | None) -> bool:
    """Return whether an input of this shape takes images of this size, or any, in this layout."""
    sides = size or (None, None)
    expected = (3, *sides) if layout == "nchw" else (*sides, 3)
    return len(shape) == 4 and all(
        not isinstance(side, int) or number in (None, side)
        for side, number in zip(shape[1:], expected, strict=True)
    )


def _own_size(shape: list[Any], layout: str) -> tuple[int, int] | None:
    """Return (H, W) of an input of this shape; None where it may vary."""
    height, width = shape[2:] if layout == "nchw" else shape[1:3]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _reason(problem: Exception) -> str:
    return " ".join(str(problem).strip().splitlines()[-1:])[:300]
