"""What commands on embeddings take: tables of them, or a model and its data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from arcwise.data.formats.table import TABLES
from arcwise.errors import ArcwiseError
from arcwise.verbs.embedding_source import NO_MODEL

REQUIRED = "(required)"
"""What the help says of paths of which there is no default."""

EmbeddingsOrModel = Annotated[
    tuple[str, ...],
    Positional,
    arg(metavar="EMBEDDINGS | MODEL DATA", help_behavior_hint=REQUIRED),
]
SeveralOrModel = Annotated[
    tuple[str, ...],
    Positional,
    arg(metavar="EMBEDDINGS [EMBEDDINGS ...] | MODEL DATA", help_behavior_hint=REQUIRED),
]


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


def model_and_several(sources: tuple[str, ...], command: str) -> tuple[str, tuple[str, ...]]:
    """Return the model, or "-", and the data sets of a `SeveralOrModel`.

    Args:
        sources: as they were typed.
        command: for the error.

    Raises:
        ArcwiseError: they are neither tables, nor one data set, nor a model and its data.
    """
    if len(sources) > 1 and all(Path(one).suffix.lower() in TABLES for one in sources):
        return NO_MODEL, sources
    model, data = model_and_data(sources, command)
    return model, (data,)
