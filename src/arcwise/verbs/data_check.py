"""A look at a data set, and at whether others leak into it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from arcwise.data.check import check as look
from arcwise.data.check_report import CheckReport
from arcwise.data.manifest import Manifest, open_manifest
from arcwise.data.parallel import Progress


def check(
    source: Manifest | str | os.PathLike[str],
    *,
    against: Sequence[Manifest | str | os.PathLike[str]] = (),
    progress: Progress | None = None,
) -> CheckReport:
    """What there is in a data set and what is wrong with it; it prints itself.

    Args:
        source: a manifest, or anything `open_manifest` takes.
        against: data sets that must share no picture and no identity with it.
        progress: called with the pictures done and their total.

    Raises:
        ArcwiseError: one of them is not a data set.
    """
    first, *others = (open_manifest(one, identities=False) for one in (source, *against))
    return look(first, against=others, progress=progress)
