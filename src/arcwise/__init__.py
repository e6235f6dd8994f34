"""Arcwise: train an embedding on the identities you have, recognise those it has never seen.

The public names are loaded when they are first used: ``import arcwise`` imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from arcwise.version import __version__ as __version__

if TYPE_CHECKING:
    from arcwise import (
        encoders,
        evaluation,
        heads,
        margins,
        objectives,
        pairs,
        recipes,
        regularisers,
        sets,
    )
    from arcwise.client import Client
    from arcwise.clustering.clusters import cluster
    from arcwise.errors import ArcwiseError
    from arcwise.gallery import open_gallery
    from arcwise.recognition import Recogniser
    from arcwise.runtime import load
    from arcwise.softmax import margin_softmax

_MODULES = (
    "encoders", "evaluation", "heads", "margins", "objectives", "pairs", "recipes", "regularisers",
    "sets",
)  # fmt: skip
_NAMES = {
    "ArcwiseError": "arcwise.errors",
    "Client": "arcwise.client",
    "Recogniser": "arcwise.recognition",
    "cluster": "arcwise.clustering.clusters",
    "load": "arcwise.runtime",
    "margin_softmax": "arcwise.softmax",
    "open_gallery": "arcwise.gallery",
}

__all__ = [
    "ArcwiseError",
    "Client",
    "Recogniser",
    "cluster",
    "encoders",
    "evaluation",
    "heads",
    "load",
    "margin_softmax",
    "margins",
    "objectives",
    "open_gallery",
    "pairs",
    "recipes",
    "regularisers",
    "sets",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"arcwise.{name}")
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'arcwise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES, *_NAMES])
