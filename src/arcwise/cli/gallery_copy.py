"""`arcwise gallery copy`."""

from __future__ import annotations

import sys
from typing import Annotated

from tyro.conf import Positional, arg

from arcwise.cli.as_json import print_json
from arcwise.cli.screen import counted, progress
from arcwise.cli.stopping import status_of
from arcwise.gallery import shown_address
from arcwise.verbs.gallery_copy import copy_gallery


def command(
    source: Annotated[str, Positional, arg(metavar="FROM")],
    target: Annotated[str, Positional, arg(metavar="TO")],
    json: bool = False,
) -> int:
    """Copy a gallery into a new one: a backup, its restoration, or the move to another store.

    The copy is of one moment; the gallery may be searched and changed meanwhile. It is read again
    and compared, and there is no file before it is found to be the same.

    Args:
        source: Gallery file, or the address of one, such as
            postgresql://HOST/DATABASE?gallery=NAME.
        target: File or address where no gallery is.
        json: Print one JSON document instead.
    """
    try:
        with progress("copying") as move:
            copied = copy_gallery(source, target, progress=move)
    except KeyboardInterrupt as stop:
        left = "nothing was copied"
        if "://" in target:
            left = f"a part of the copy is at {shown_address(target)}"
        print(f"stopped; {left}", file=sys.stderr)
        return status_of(stop)
    if json:
        print_json(vars(copied))
        return 0
    held = f", {copied.quarantined:,} of them in quarantine" if copied.quarantined else ""
    print(
        f"{copied.target}: {counted(copied.templates, 'template')}{held}, "
        f"{counted(copied.thumbnails, 'thumbnail')}"
        f"{', the calibration' if copied.calibrated else ''}; "
        f"read again, and the same as {copied.source}"
    )
    return 0
