"""How images are prepared for a network that is imported, as its user states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from arcwise.errors import ArcwiseError
from arcwise.images.named_preparations import NAMED, named_preparation
from arcwise.images.preparation import Preparation

Alignment = Literal["five-point", "dlib", "none"]


class StatedPreparation(NamedTuple):
    """What is said about how images are prepared.

    Attributes:
        preparation: its size counts only where `size` is one.
        size: (H, W); None where it is the network's own.
        usual_size: (H, W) of networks that are prepared for in this way; None where not known.
        alignment: of the model folder.
    """

    preparation: Preparation
    size: tuple[int, int] | None
    usual_size: tuple[int, int] | None
    alignment: str | None


def stated_preparation(
    preparation: str | Path | Preparation | None,
    changes: Mapping[str, Any],
    alignment: Alignment | None,
) -> StatedPreparation:
    """Return what a name, a file or a value and single fields say together.

    Args:
        preparation: one of `NAMED`, a JSON file, or the value; None where the fields say it all.
        changes: fields of it that differ.
        alignment: of the model folder; by default what the named preparation says.

    Raises:
        ArcwiseError: neither a preparation nor mean and std, or no preparation of that name.
    """
    usual_size, own_alignment = None, None
    if preparation is None:
        if not {"mean", "std"} <= changes.keys():
            raise ArcwiseError(
                "how is an image prepared for it? Say --preparation with one of "
                f"{', '.join(NAMED)} or a JSON file, or --mean and --std (of pixels from 0 to 255)"
            )
        base, size_given = Preparation(), "height" in changes
    elif isinstance(preparation, Preparation):
        base, size_given = preparation, True
    else:
        named = named_preparation(preparation)
        base, own_alignment = named.preparation, named.alignment
        size_given = str(preparation) not in NAMED or "height" in changes
        usual_size = (base.height, base.width)
    whole = replace(base, **changes)
    return StatedPreparation(
        whole,
        (whole.height, whole.width) if size_given else None,
        usual_size,
        {None: own_alignment, "none": None}.get(alignment, alignment),
    )
