"""Who is asked about a gallery: a recogniser on this machine, or a server."""

from __future__ import annotations

from pathlib import Path

from arcwise.client import Client
from arcwise.errors import ArcwiseError
from arcwise.gallery import shown_address
from arcwise.recognition import Recogniser


def is_address(gallery: str | Path) -> bool:
    """Return whether a gallery is on a server."""
    return str(gallery).startswith(("http://", "https://"))


def refuse_model(gallery: str | Path, model: str | Path | None) -> None:
    """Refuse a model for a gallery on a server.

    Raises:
        ArcwiseError: one is named.
    """
    if model is not None:
        raise ArcwiseError(
            f"{shown_address(gallery)}: a server embeds with its own model; leave --model out"
        )


def asked(gallery: str | Path, model: str | Path | None) -> Recogniser | Client:
    """Return who answers questions about a gallery; to be closed.

    Args:
        gallery: the file, or its address on a server.
        model: where the model of a file is, if it moved.

    Raises:
        ArcwiseError: no such gallery or model.
    """
    if is_address(gallery):
        refuse_model(gallery, model)
        return Client(str(gallery))
    return Recogniser(model, gallery, mode="r")
