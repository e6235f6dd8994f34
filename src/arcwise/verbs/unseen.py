"""The identities of a data set that no model was made with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from arcwise.data.manifest import Manifest
from arcwise.data.split import identity_digest
from arcwise.errors import ArcwiseError
from arcwise.runtime import Model


class Unseen(NamedTuple):
    """What may be measured on.

    Attributes:
        manifest: the rows of identities that were not trained on.
        used: in words, what these identities were used for before; empty for nothing.
        left_out: how many identities are not in it, because a model was made with them.
    """

    manifest: Manifest
    used: str
    left_out: int


def unseen(
    manifest: Manifest, models: Sequence[Model], held_by: Sequence[str] = ("choose", "calibrate")
) -> Unseen:
    """The rows whose identities none of the models was trained on.

    A data set whose every identity was used is measured on those that were only held out of
    training, and `used` says so. A model without a bundle does not say what it was trained on.
    Calibrating again may use what set the thresholds before: `held_by` without "calibrate".

    Raises:
        ArcwiseError: fewer than two identities are left.
    """
    digests = [model.bundle.digests for model in models if model.bundle is not None]
    trained = {digest for one in digests for digest in one.get("train", ())}
    held = {digest for one in digests for use in held_by for digest in one.get(use, ())}
    of = {identity: identity_digest(identity) for identity in manifest.classes}
    if len(of) < 2:
        raise ArcwiseError(f"{manifest.name}: got {len(of)} identity; expected 2 or more")
    kept: set[str] = set()
    for excluded, used in (
        (trained | held, ""),
        (trained, "not trained on, but they chose the checkpoint or set the thresholds"),
    ):
        kept = {identity for identity, digest in of.items() if digest not in excluded}
        if len(kept) >= 2:
            rows = [row for row, one in enumerate(manifest.identities) if one in kept]
            return Unseen(manifest.select(rows), used, len(of) - len(kept))
    who = "the model was" if len(models) == 1 else "one or another of the models was"
    raise ArcwiseError(
        f"{manifest.name}: {who} trained on all but {len(kept)} of its {len(of)} identities; "
        "measure on identities it has never seen"
    )
