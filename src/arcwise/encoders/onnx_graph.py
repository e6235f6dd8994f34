"""An imported ONNX network as an encoder: a frozen backbone with an embedding head on it.

The network's file, word for word, is a tensor of the encoder. Model folders and checkpoints carry
it like any other weight.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from arcwise.encoders.backbone import BackboneEncoder
from arcwise.encoders.embedding_head import Features
from arcwise.encoders.onnx_session import OnnxSession
from arcwise.errors import ArcwiseError


class OnnxGraph(nn.Module):
    """A backbone that ONNX Runtime computes, without gradients; its features are its embedding.

    Args:
        size: (H, W) of the images.
        width: C, the dimension of its embedding.
        file_bytes: the size of its file.
        **facts: what the file does not say itself, as of `OnnxSession`.
    """

    graph: Tensor

    def __init__(self, size: tuple[int, int], width: int, file_bytes: int, **facts: Any) -> None:
        super().__init__()
        self.size, self.channels, self.facts = size, width, facts
        self.register_buffer("graph", torch.zeros(file_bytes, dtype=torch.uint8))
        self._running: tuple[tuple[int, int], OnnxSession] | None = None

    @property
    def layers(self) -> list[nn.Module]:
        """The network is one layer, which no gradient reaches."""
        return [self]

    def forward(self, images: Tensor) -> Features:
        """Return the embedding of (N, 3, H, W) images, as the token and as the only position."""
        vectors = self.session()(images.detach().float().cpu().numpy())
        token = torch.from_numpy(vectors).to(images.device)
        return Features(token[:, :, None], token)

    def session(self) -> OnnxSession:
        """Return the network, opened again where the tensor has changed."""
        state = (self.graph.data_ptr(), self.graph._version)
        if self._running is None or self._running[0] != state:
            content = self.graph.cpu().numpy()
            if not content.any():
                raise ArcwiseError(
                    "an encoder `onnx` has no network yet: start it from the model folder that "
                    "`arcwise import` made"
                )
            threads = torch.get_num_threads()
            session = OnnxSession(content.tobytes(), self.size, threads=threads, **self.facts)
            self._running = state, session
        return self._running[1]

    def __getstate__(self) -> dict[str, Any]:
        """Return the module without what cannot be copied; it is made again."""
        return {**self.__dict__, "_running": None}


def build(
    name: str,
    *,
    dim: int,
    size: tuple[int, int],
    width: int = 0,
    file_bytes: int = 0,
    layout: str = "",
    output: str = "",
    batch: int | None = None,
    projection: str = "none",
) -> BackboneEncoder:
    """Return an encoder for the network of a file; the file itself is its tensor `graph`."""
    if not (width and file_bytes):
        raise ArcwiseError(
            "an encoder `onnx` is a network that `arcwise import` made a model folder of: start "
            "from that folder"
        )
    facts = {"name": "the imported network", "layout": layout, "output": output, "batch": batch}
    graph = OnnxGraph(size, width, file_bytes, **facts)
    return BackboneEncoder(graph, dim=dim, size=size, pooling="mean", projection=projection)
