"""The rows of a data set whose identities no model was made with, by their names and images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.data.digests import content_digests, possible_digests
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.identity import is_bare_number
from arcwise.runtime import Model

OTHER_IDENTITIES = "--other-identities (in Python other_identities=True)"


class UnseenRows(NamedTuple):
    """The rows that may be measured on.

    Attributes:
        manifest: the rows of identities that were not trained on.
        used_before: what these identities were used for before, in words; empty for nothing.
        left_out: how many identities are not in it, because a model was made with them.
        trained_images: how many images of the data set a model was trained on; None where no
            model says.
        notes: what the user has to know about them, a line each.
    """

    manifest: Manifest
    used_before: str
    left_out: int
    trained_images: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def without(self) -> str:
        """How many identities are left out, for a message that asks for more; empty for none."""
        if not self.left_out:
            return ""
        these = "1 identity was" if self.left_out == 1 else f"{self.left_out} identities were"
        return f" ({these} left out, because the model was made with them)"


def unseen_rows(
    manifest: Manifest,
    models: Sequence[Model],
    other_uses: Sequence[str] = ("choose", "calibrate"),
    *,
    other_identities: bool = False,
) -> UnseenRows:
    """Return the rows whose identities none of the models was trained on.

    An identity was trained on if its name was, in whichever form it was written, or if one of its
    images was, whatever it is called now. A data set whose every identity was used is measured
    on those that were only held out of training, and `used_before` says so. A bare network does
    not say what it was trained on. Calibrating again may use what set the thresholds before:
    `other_uses` without "calibrate".

    Args:
        manifest: with identities.
        models: whose training counts.
        other_uses: the uses besides training that count.
        other_identities: whether the names stand for others than in training, where they are
            alike (labels `0`, `1`, … of another data set); only images count then.

    Raises:
        ArcwiseError: fewer than two identities are left.
    """
    if len(manifest.classes) < 2:
        raise ArcwiseError(
            f"{manifest.name}: got {len(manifest.classes)} identity; expected 2 or more"
        )
    in_training = trained_images(manifest, models)
    ids = manifest.identities
    by_image: set[str] = set()
    count = None
    if in_training is not None:
        by_image = {ids[row] for row in np.flatnonzero(in_training)}
        count = int(in_training.sum())
    by_name = {use: _names_in_use(manifest, models, use) for use in ("train", *other_uses)}
    if other_identities:
        by_name = {use: set() for use in by_name}
    trained = by_name.pop("train") | by_image
    held_out = trained.union(*by_name.values())
    classes = set(manifest.classes)
    for excluded, used_before in (
        (held_out, ""),
        (trained, "not trained on, but they chose the checkpoint or set the thresholds"),
    ):
        kept = classes - excluded
        if len(kept) >= 2:
            rows = [row for row, one in enumerate(ids) if one in kept]
            notes = ()
            if models:
                notes = _notes_on_names(classes, excluded - by_image, count, other_identities)
            left_out = len(classes) - len(kept)
            return UnseenRows(manifest.select(rows), used_before, left_out, count, notes)
    who = "the model was" if len(models) == 1 else "one or another of the models was"
    images = "" if count is None else f", and on {count:,} of its {len(manifest):,} images"
    advice = ""
    if len(classes - by_image) >= 2 and all(map(is_bare_number, trained - by_image)):
        advice = f"; if these numbers stand for others than in training, say {OTHER_IDENTITIES}"
    raise ArcwiseError(
        f"{manifest.name}: {who} trained on all but {len(classes - trained)} of its "
        f"{len(classes)} identities{images}; measure on identities it has never seen{advice}"
    )


def says_its_training(model: Model | None) -> bool:
    """Return whether a model says what it was trained on; one that was imported does not."""
    return model is not None and model.bundle is not None and bool(model.bundle.digests["train"])


def trained_images(manifest: Manifest, models: Sequence[Model]) -> NDArray[np.bool_] | None:
    """Return (N,) whether a model was trained on each row's image.

    An image is known by the bytes of its file, which every image is read for. None where no
    model says what it was trained on, or no image can be read (a table of vectors may outlive
    its images).
    """
    declared = [one.bundle.trained_images() for one in models if one.bundle is not None]
    digests = [one for one in declared if one is not None and len(one)]
    if not digests or not manifest.has_images:
        return None
    own = content_digests(manifest)
    return np.isin(own, np.concatenate(digests)) if own.any() else None


def _names_in_use(manifest: Manifest, models: Sequence[Model], use: str) -> set[str]:
    """Return the identities whose names a model was used with."""
    digests = {
        digest
        for one in models
        if one.bundle is not None
        for digest in one.bundle.digests.get(use, ())
    }
    if not digests:
        return set()
    forms = _digests_of_names(manifest)
    return {one for one, possible in forms.items() if not digests.isdisjoint(possible)}


def _digests_of_names(manifest: Manifest) -> dict[str, set[str]]:
    """Return every digest that may stand for each identity.

    Older models know `b/ann` where images in `a/b/ann` are now of `ann`, so the folders above an
    identity are tried, too.
    """
    first_row: dict[str, int] = {}
    for row, identity in enumerate(manifest.identities):
        first_row.setdefault(identity, row)
    digests: dict[str, set[str]] = {}
    for identity, row in first_row.items():
        digests[identity] = possible_digests(identity)
        if manifest.has_images:
            folder = manifest.image(row).replace("\\", "/").rpartition("/")[0]
            above = folder.removesuffix(identity)
            parts = above.removesuffix("/").split("/") if above.endswith("/") else []
            for start in range(len(parts)):
                digests[identity] |= possible_digests("/".join([*parts[start:], identity]))
    return digests


def _notes_on_names(
    classes: Collection[str], by_name: Collection[str], images: int | None, other_identities: bool
) -> tuple[str, ...]:
    """Return a note on how names decided which identities were left out; () where it is plain.

    Args:
        classes: all identities.
        by_name: those that are left out by their name, and not by an image.
        images: how many images were trained on, if that is known.
        other_identities: whether names did not count.
    """
    numbers = sorted(filter(is_bare_number, by_name), key=lambda one: (len(one), one))
    if other_identities:
        return (
            "identities are said to be others than in training: left out are only those of images "
            "that were trained on",
        )
    if numbers:
        though = "" if images != 0 else ", though none of the data set's images was trained on"
        return (
            "identities here that are bare numbers are taken for those of the same numbers in "
            f"training: {len(numbers):,} left out by this rule (such as {numbers[0]}){though}; if "
            f"they stand for others, say {OTHER_IDENTITIES}",
        )
    if not images and all(map(is_bare_number, classes)):
        return (
            "identities here are bare numbers: those that a model was made with are left out only "
            "if they had the same numbers there",
        )
    return ()
