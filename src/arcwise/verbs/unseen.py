"""The identities of a data set that no model was made with, by their names and their pictures."""

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

OTHERS = "--other-identities (in Python other_identities=True)"


class Unseen(NamedTuple):
    """What may be measured on.

    Attributes:
        manifest: the rows of identities that were not trained on.
        used: in words, what these identities were used for before; empty for nothing.
        left_out: how many identities are not in it, because a model was made with them.
        trained_images: how many pictures of the data set a model was trained on; None where no
            model says.
        notes: what the user has to know about it, a line each.
    """

    manifest: Manifest
    used: str
    left_out: int
    trained_images: int | None = None
    notes: tuple[str, ...] = ()


def unseen(
    manifest: Manifest,
    models: Sequence[Model],
    held_by: Sequence[str] = ("choose", "calibrate"),
    *,
    other_identities: bool = False,
) -> Unseen:
    """The rows whose identities none of the models was trained on.

    An identity was trained on if its name was, in whichever form it was written, or if one of its
    pictures was, whatever it is called now. A data set whose every identity was used is measured
    on those that were only held out of training, and `used` says so. A model without a bundle
    does not say what it was trained on. Calibrating again may use what set the thresholds before:
    `held_by` without "calibrate".

    Args:
        manifest: with identities.
        models: whose training counts.
        held_by: the uses besides training that count.
        other_identities: whether the names stand for others than in training, where they are
            alike (labels `0`, `1`, … of another data set); only pictures count then.

    Raises:
        ArcwiseError: fewer than two identities are left.
    """
    if len(manifest.classes) < 2:
        raise ArcwiseError(
            f"{manifest.name}: got {len(manifest.classes)} identity; expected 2 or more"
        )
    known = trained_images(manifest, models)
    ids = manifest.identities
    by_image = set() if known is None else {ids[row] for row in np.flatnonzero(known)}
    count = None if known is None else int(known.sum())
    named = {use: _named(manifest, models, use) for use in ("train", *held_by)}
    if other_identities:
        named = {use: set() for use in named}
    trained = named.pop("train") | by_image
    held = trained.union(*named.values())
    classes = set(manifest.classes)
    for excluded, used in (
        (held, ""),
        (trained, "not trained on, but they chose the checkpoint or set the thresholds"),
    ):
        kept = classes - excluded
        if len(kept) >= 2:
            rows = [row for row, one in enumerate(ids) if one in kept]
            rule = _rule(classes, excluded - by_image, count, other_identities) if models else ()
            return Unseen(manifest.select(rows), used, len(classes) - len(kept), count, rule)
    who = "the model was" if len(models) == 1 else "one or another of the models was"
    images = "" if count is None else f", and on {count:,} of its {len(manifest):,} pictures"
    others = ""
    if len(classes - by_image) >= 2 and all(map(is_bare_number, trained - by_image)):
        others = f"; if these numbers stand for others than in training, say {OTHERS}"
    raise ArcwiseError(
        f"{manifest.name}: {who} trained on all but {len(classes - trained)} of its "
        f"{len(classes)} identities{images}; measure on identities it has never seen{others}"
    )


def trained_images(manifest: Manifest, models: Sequence[Model]) -> NDArray[np.bool_] | None:
    """(N,) whether a model was trained on each row's picture.

    A picture is known by the bytes of its file, which every picture is read for. None where no
    model says what it was trained on, or no picture can be read (a table of vectors may outlive
    its pictures).
    """
    found = [one.bundle.trained_images() for one in models if one.bundle is not None]
    digests = [one for one in found if one is not None and len(one)]
    if not digests or not manifest.has_images:
        return None
    own = content_digests(manifest)
    return np.isin(own, np.concatenate(digests)) if own.any() else None


def _named(manifest: Manifest, models: Sequence[Model], use: str) -> set[str]:
    """The identities whose names a model was used with."""
    digests = {
        digest
        for one in models
        if one.bundle is not None
        for digest in one.bundle.digests.get(use, ())
    }
    if not digests:
        return set()
    return {one for one, forms in _forms(manifest).items() if not digests.isdisjoint(forms)}


def _forms(manifest: Manifest) -> dict[str, set[str]]:
    """Every digest that may stand for each identity.

    Older models know `b/ann` where pictures in `a/b/ann` are now of `ann`, so the folders around
    an identity are tried, too.
    """
    first: dict[str, int] = {}
    for row, identity in enumerate(manifest.identities):
        first.setdefault(identity, row)
    found: dict[str, set[str]] = {}
    for identity, row in first.items():
        forms = possible_digests(identity)
        if manifest.has_images:
            folder = manifest.image(row).replace("\\", "/").rpartition("/")[0]
            around = folder.removesuffix(identity)
            parts = around.removesuffix("/").split("/") if around.endswith("/") else []
            for start in range(len(parts)):
                forms |= possible_digests("/".join([*parts[start:], identity]))
        found[identity] = forms
    return found


def _rule(
    classes: Collection[str], by_name: Collection[str], images: int | None, other_identities: bool
) -> tuple[str, ...]:
    """What to say of the rule by which identities were left out, or not.

    Args:
        classes: all identities.
        by_name: those that are left out by their name, and not by a picture.
        images: how many pictures were trained on, if that is known.
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
            f"they stand for others, say {OTHERS}",
        )
    if not images and all(map(is_bare_number, classes)):
        return (
            "identities here are bare numbers: those that a model was made with are left out only "
            "if they had the same numbers there",
        )
    return ()
