"""What computes: ONNX Runtime or torch, each loaded only when it is the one.

An engine is a function from (N, 3, H, W) float32 prepared pictures to (N, D) float32 embeddings,
not normalised, for any N.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError

if TYPE_CHECKING:
    from torch import nn

    from arcwise.bundle import Bundle

Floats = NDArray[np.float32]


class Engine(Protocol):
    """`kind` ("onnx" or "torch") and the call."""

    kind: str

    def __call__(self, pictures: Floats) -> Floats:
        """(N, D) embeddings of (N, 3, H, W) prepared pictures."""
        ...


def available(kind: str) -> bool:
    """Whether the library behind this kind of engine is installed; nothing is imported."""
    return find_spec({"onnx": "onnxruntime", "torch": "torch"}[kind]) is not None


def cores() -> int:
    """How many processor cores this process may use; OMP_NUM_THREADS lowers it."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    wished = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(wished)) if wished.isdigit() and int(wished) > 0 else allowed


class OnnxEngine:
    """ONNX Runtime on the best device it was built for; networks with a fixed batch are fed so.

    Args:
        path: the `.onnx` file, with one picture input (N, 3, H, W) and embeddings as first output.
        size: (H, W) of the prepared pictures.

    Raises:
        ArcwiseError: the file is no network of that kind.
    """

    kind = "onnx"

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = cores()
        options.log_severity_level = 3  # errors only: they are raised too
        known = ("CUDAExecutionProvider", "CPUExecutionProvider")
        providers = [name for name in known if name in ort.get_available_providers()]
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
        wanted = (3, *size)
        if not fits or any(
            isinstance(got, int) and got != side
            for got, side in zip(shape[1:], wanted, strict=True)
        ):
            raise ArcwiseError(
                f"{path} takes {[(one.name, one.type, one.shape) for one in inputs]}, expected one "
                f"float input (N, 3, {size[0]}, {size[1]}): give the preparation the size the "
                "network was made for, and a network that takes prepared pictures"
            )
        self._input, self._type = inputs[0].name, kinds[inputs[0].type]
        self._output = self._session.get_outputs()[0].name
        self._batch = shape[0] if isinstance(shape[0], int) else None

    def __call__(self, pictures: Floats) -> Floats:
        """(N, D) embeddings of (N, 3, H, W) prepared pictures."""
        if self._batch is None:
            return self._run(pictures)
        found = []
        for start in range(0, len(pictures), self._batch):
            part = pictures[start : start + self._batch]
            short = self._batch - len(part)
            full = np.concatenate([part, np.repeat(part[-1:], short, axis=0)]) if short else part
            found.append(self._run(full)[: len(part)])
        return np.concatenate(found)

    def _run(self, pictures: Floats) -> Floats:
        feed = {self._input: np.ascontiguousarray(pictures, dtype=self._type)}
        [out] = self._session.run([self._output], feed)
        out = np.asarray(out)
        if out.ndim < 2 or out.shape[0] != len(pictures):
            raise ArcwiseError(
                f"the network answered {len(pictures)} pictures with an array of shape {out.shape},"
                " expected (N, D): its first output must be the embedding"
            )
        return out.reshape(len(out), -1).astype(np.float32)


class TorchEngine:
    """A torch encoder, on the device where it is, in evaluation mode while it computes."""

    kind = "torch"

    def __init__(self, encoder: nn.Module) -> None:
        self.encoder = encoder

    def __call__(self, pictures: Floats) -> Floats:
        """(N, D) embeddings of (N, 3, H, W) prepared pictures."""
        import torch

        device = next(self.encoder.parameters()).device
        training = self.encoder.training
        if training:
            self.encoder.eval()
        try:
            with torch.inference_mode(), torch.autocast(device.type, enabled=False):
                batch = torch.from_numpy(pictures).to(device, memory_format=torch.channels_last)
                return self.encoder(batch).float().cpu().numpy()
        finally:
            if training:
                self.encoder.train()


def torch_engine(bundle: Bundle) -> TorchEngine:
    """The bundle's weights in its architecture, on a GPU where there is one."""
    import torch

    from arcwise.encoders.weights import rebuild

    encoder: Any = rebuild(bundle.architecture, bundle.state())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return TorchEngine(encoder.eval().to(device, memory_format=torch.channels_last))
