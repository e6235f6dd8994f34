"""What computes: ONNX Runtime or torch, each loaded only when it is the one.

An engine is a function from (N, 3, H, W) float32 prepared images to (N, D) float32 embeddings,
not normalised, for any N.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from arcwise.data.parallel import cores
from arcwise.errors import ArcwiseError
from arcwise.images.preparation import Preparation

if TYPE_CHECKING:
    import torch
    from torch import nn

    from arcwise.bundle import Bundle

Floats = NDArray[np.float32]


class Engine(Protocol):
    """`kind` ("onnx" or "torch") and the call."""

    kind: str

    def __call__(self, images: Floats) -> Floats:
        """Return the (N, D) embeddings of (N, 3, H, W) prepared images."""
        ...


def available(kind: str) -> bool:
    """Return whether the library behind this kind of engine is installed; import nothing."""
    return find_spec({"onnx": "onnxruntime", "torch": "torch"}[kind]) is not None


def embed_prepared(engine: Engine, preparation: Preparation, pixels: NDArray[np.uint8]) -> Floats:
    """Return (N, D) float32 embeddings, not normalised, with the mirror image's where asked for.

    Args:
        engine: the network.
        preparation: with `flip_tta`, the embedding of the mirror image is added.
        pixels: (N, height, width, 3) uint8 RGB, from `preparation.pixels`.
    """
    images = preparation.tensor(pixels)
    embeddings = engine(images)
    if preparation.flip_tta:
        embeddings = embeddings + engine(np.ascontiguousarray(images[..., ::-1]))
    return embeddings


class OnnxEngine:
    """ONNX Runtime on the best device it was built for; networks with a fixed batch are fed so.

    Args:
        path: the `.onnx` file, with one image input (N, 3, H, W) and embeddings as first output.
        size: (H, W) of the prepared images.

    Raises:
        ArcwiseError: the file is no network of that kind.
    """

    kind = "onnx"

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = cores()
        options.log_severity_level = 3  # errors only: they are raised too
        fastest_first = ("CUDAExecutionProvider", "CPUExecutionProvider")
        providers = [name for name in fastest_first if name in ort.get_available_providers()]
        try:
            self._session = ort.InferenceSession(path, options, providers=providers)
        except Exception as problem:  # its exceptions have no public base
            reason = str(problem).strip().splitlines()[-1]
            raise ArcwiseError(
                f"{path} is no network that ONNX Runtime {ort.__version__} can run ({reason}): "
                "copy or export it again, or update onnxruntime"
            ) from None
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if inputs else []
        kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
        fits = len(inputs) == 1 and len(shape) == 4 and inputs[0].type in kinds
        if not fits or any(
            isinstance(side, int) and side != expected
            for side, expected in zip(shape[1:], (3, *size), strict=True)
        ):
            raise ArcwiseError(
                f"{path} takes {[(one.name, one.type, one.shape) for one in inputs]}, expected one "
                f"float input (N, 3, {size[0]}, {size[1]}): give the preparation the size the "
                "network was made for, and a network that takes prepared images"
            )
        self._input, self._type = inputs[0].name, kinds[inputs[0].type]
        self._output = self._session.get_outputs()[0].name
        self._batch = shape[0] if isinstance(shape[0], int) else None

    def __call__(self, images: Floats) -> Floats:
        """Return the (N, D) embeddings of (N, 3, H, W) prepared images."""
        if self._batch is None:
            return self._run(images)
        embeddings = []
        for start in range(0, len(images), self._batch):
            part = images[start : start + self._batch]
            short = self._batch - len(part)
            full = np.concatenate([part, np.repeat(part[-1:], short, axis=0)]) if short else part
            embeddings.append(self._run(full)[: len(part)])
        return np.concatenate(embeddings)

    def _run(self, images: Floats) -> Floats:
        feed = {self._input: np.ascontiguousarray(images, dtype=self._type)}
        [out] = self._session.run([self._output], feed)
        out = np.asarray(out)
        if out.ndim < 2 or out.shape[0] != len(images):
            raise ArcwiseError(
                f"the network answered {len(images)} images with an array of shape {out.shape},"
                " expected (N, D): its first output must be the embedding"
            )
        return out.reshape(len(out), -1).astype(np.float32)


class TorchEngine:
    """A torch encoder, on the device where it is, in evaluation mode while it computes.

    Args:
        encoder: its mode is as before after each call.
        autocast: the torch type it computes in; float32 when not given.
    """

    kind = "torch"

    def __init__(self, encoder: nn.Module, *, autocast: torch.dtype | None = None) -> None:
        self.encoder = encoder
        self.autocast = autocast

    def __call__(self, images: Floats) -> Floats:
        """Return the (N, D) embeddings of (N, 3, H, W) prepared images."""
        import torch

        from arcwise.encoders.interface import encoder_output

        device = next(self.encoder.parameters()).device
        training = self.encoder.training
        if training:
            self.encoder.eval()
        try:
            precision = torch.autocast(
                device.type, self.autocast, enabled=self.autocast is not None
            )
            with torch.inference_mode(), precision:
                batch = torch.from_numpy(images).to(device, memory_format=torch.channels_last)
                output = encoder_output(self.encoder(batch))
                return output.embedding.float().cpu().numpy()
        finally:
            if training:
                self.encoder.train()


def torch_engine(bundle: Bundle) -> TorchEngine:
    """Return the bundle's weights in its architecture, on a GPU where there is one."""
    import torch

    from arcwise.encoders.weights import rebuild

    encoder: Any = rebuild(bundle.architecture, bundle.state())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return TorchEngine(encoder.eval().to(device, memory_format=torch.channels_last))
