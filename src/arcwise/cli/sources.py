"""What commands on embeddings take: a table of them, or a model and its data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from arcwise.errors import ArcwiseError
from arcwise.verbs.embedding_source import NO_MODEL

EmbeddingsOrModel = Annotated[tuple[str, ...], Positional, arg(metavar="EMBEDDINGS | MODEL DATA")]


def model_and_data(sources: tuple[str, ...], command: str) -> tuple[str, str]:
    """Return the model, or "-", and the data of an `EmbeddingsOrModel`.

    Args:
        sources: as they were typed.
        command: for the error.

    Raises:
        ArcwiseError: there are other than one or two, or the only one is a model.
    """
    if len(sources) not in (1, 2):
        raise ArcwiseError(
            f"got {len(sources)} paths; expected a table of embeddings, or a model and its data"
        )
    model, data = (NO_MODEL, *sources)[-2:]
    if len(sources) == 1 and (Path(data) / "model.json").is_file():
        raise ArcwiseError(f"{data}: a model; say what to do with it: arcwise {command} MODEL DATA")
    return model, data
