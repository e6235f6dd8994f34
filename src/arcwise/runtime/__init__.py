"""The runtime: a model folder becomes embeddings, through ONNX Runtime or torch.

The ONNX path never imports torch, so that a server needs none.
"""

from arcwise.runtime.cache import EmbeddingCache
from arcwise.runtime.job import Embedded, ImageRows, embed_manifest, model_cache
from arcwise.runtime.loading import load, save
from arcwise.runtime.model import (
    ImageSource,
    Model,
    QualifiedEmbeddings,
    decode_source,
    listed,
    reference_embedding,
)

__all__ = [
    "Embedded",
    "EmbeddingCache",
    "ImageRows",
    "ImageSource",
    "Model",
    "QualifiedEmbeddings",
    "decode_source",
    "embed_manifest",
    "listed",
    "load",
    "model_cache",
    "reference_embedding",
    "save",
]
