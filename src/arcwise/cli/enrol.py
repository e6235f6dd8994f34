"""`arcwise enrol`."""

from __future__ import annotations

import json as as_json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import left_out, progress
from arcwise.verbs.enrol import Enrolled, enrol


def command(
    gallery: Positional[str],
    data: Positional[Path],
    model: Path | None = None,
    replace: bool = False,
    again: bool = False,
    json: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Put pictures of known identities into a gallery.

    Identities that have templates already are asked about: say --replace or --again.

    Args:
        gallery: The gallery's file; made if there is none.
        data: A data set in any form: a folder of folders, a table, an archive.
        model: The model folder; an existing gallery knows its own.
        replace: Older templates of the same identities go.
        again: Templates are added to identities that have some.
        json: Print one JSON document instead of sentences.
        naming: How a table calls things.
    """
    with nullcontext() if json else progress("embedding") as move:
        result = enrol(
            gallery,
            naming.open(data),
            model=model,
            replace=replace,
            again=again,
            progress=move,
        )
    if json:
        print(as_json.dumps(_as_dict(gallery, result), ensure_ascii=False, allow_nan=False))
    else:
        _show(gallery, result)
    return 0


def _as_dict(gallery: str, result: Enrolled) -> dict[str, Any]:
    failures = [{"image": one.name, "reason": one.reason} for one in result.failures]
    return {"gallery": gallery, **asdict(result), "failures": failures}


def _show(gallery: str, result: Enrolled) -> None:
    left_out("pictures could not be read and are not enrolled", result.failures)
    left_out("files are not pictures", result.ignored)
    if result.trained_images:
        print(f"{result.trained_images:,} of these images were trained on")
    replaced = f", {result.replaced} older ones replaced" if result.replaced else ""
    added = ""
    if result.known and not result.replaced:
        added = f", {result.known} of which had templates before"
    print(
        f"{gallery}: enrolled {result.templates} pictures of {result.identities} identities"
        f"{added}{replaced}; {result.total} in all"
    )
