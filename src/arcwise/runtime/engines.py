"""What computes: ONNX Runtime or torch, each loaded only when it is the one.

An engine is a function from (N, 3, H, W) float32 prepared images to (N, D) float32 embeddings,
not normalised, for any N. One of an encoder that estimates qualities gives (N,) of these, too.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from arcwise.data.parallel import cores
from arcwise.encoders.onnx_session import FACTS, GRAPH, OnnxSession
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

    def with_quality(self, images: Floats) -> tuple[Floats, Floats]:
        """Return the embeddings and (N,) qualities; for an encoder that estimates some."""
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


def embed_with_quality(
    engine: Engine, preparation: Preparation, pixels: NDArray[np.uint8]
) -> tuple[Floats, Floats]:
    """Return what `embed_prepared` does, and (N,) qualities: with `flip_tta`, the mean of both."""
    images = preparation.tensor(pixels)
    embeddings, quality = engine.with_quality(images)
    if preparation.flip_tta:
        mirrored, also = engine.with_quality(np.ascontiguousarray(images[..., ::-1]))
        embeddings, quality = embeddings + mirrored, np.float32(0.5) * (quality + also)
    return embeddings, quality


class OnnxEngine:
    """ONNX Runtime on the best device it was built for.

    Args:
        network: the `.onnx` file, or its bytes.
        size: (H, W) of the prepared images; None for the network's own.
        **facts: what the file does not say itself, as of `OnnxSession`.

    Attributes:
        session: the network, and how images are given to it.

    Raises:
        ArcwiseError: the file is no network of that kind.
    """

    kind = "onnx"

    def __init__(self, network: Path | bytes, size: tuple[int, int] | None, **facts: Any) -> None:
        self.session = OnnxSession(network, size, threads=cores(), **facts)

    def __call__(self, images: Floats) -> Floats:
        """Return the (N, D) embeddings of (N, 3, H, W) prepared images."""
        return self.session(images)

    def with_quality(self, images: Floats) -> tuple[Floats, Floats]:
        """Return the embeddings and (N,) qualities."""
        return self.session.with_quality(images)


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
        return self._run(images)[0]

    def with_quality(self, images: Floats) -> tuple[Floats, Floats]:
        """Return the embeddings and (N,) qualities."""
        embeddings, quality = self._run(images)
        if quality is None:
            raise ArcwiseError(f"{type(self.encoder).__name__} estimates no quality")
        return embeddings, quality

    def _run(self, images: Floats) -> tuple[Floats, Floats | None]:
        import torch

        from arcwise.encoders.interface import encoder_output

        device = next(chain(self.encoder.parameters(), self.encoder.buffers())).device
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
                quality = output.quality
                return (
                    output.embedding.float().cpu().numpy(),
                    None if quality is None else quality.float().cpu().numpy(),
                )
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


def imported_engine(bundle: Bundle) -> OnnxEngine:
    """Return the network of an imported model, whose weights are its ONNX file."""
    arguments = bundle.architecture["arguments"]
    facts = {name: arguments[name] for name in FACTS if name in arguments}
    size = (bundle.preparation.height, bundle.preparation.width)
    graph = bundle.state()[GRAPH].tobytes()
    return OnnxEngine(graph, size, name=str(bundle.path), **facts)
