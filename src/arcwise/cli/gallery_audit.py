"""`arcwise gallery audit`."""

from __future__ import annotations

import sys
from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName
from arcwise.cli.screen import SHOWN, counted, progress
from arcwise.errors import ArcwiseError
from arcwise.gallery import shown_address
from arcwise.verbs.gallery_audit import GalleryAudit, audit_gallery
from arcwise.verbs.gallery_audit_decisions import (
    BEFORE,
    TO_REMOVE,
    AppliedDecisions,
    apply_gallery_decisions,
)
from arcwise.verbs.gallery_audit_page import ASKED, limits_said, write_audit_page
from arcwise.verbs.search_page import page_path


def command(
    gallery: GalleryName,
    page: Path | None = None,
    decisions: Path | None = None,
    apply: Path | None = None,
    model: Path | None = None,
    json: bool = False,
) -> int:
    """Find duplicates, hubs, one identity under two names, and templates that do not fit.

    A page shows the images of each finding, and a person decides. --apply then does what was
    decided: templates go into quarantine or to another identity, and none is deleted.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database.
        page: Page to decide on: a file ending in .html, or a folder for audit.html.
        decisions: File of decisions that the page saved; they are not asked again.
        apply: File of decisions that the page saved, to do what it says.
        model: Folder of the gallery's model, if it moved.
        json: Print one JSON document instead.
    """
    if apply is not None:
        if page is not None or decisions is not None:
            raise ArcwiseError("--apply takes the gallery alone; leave the rest out")
        done = apply_gallery_decisions(gallery, apply)
        place = shown_address(gallery)
        if json:
            print_json({"gallery": place, **vars(done)})
        else:
            show_applied(place, done)
        return 0
    shown = None if page is None else page_path(page, "audit.html")
    with progress("comparing") as move:
        found = audit_gallery(gallery, model=model, decisions=decisions, progress=move)
    if shown is not None:
        write_audit_page(shown, found)
    if json:
        place = shown_address(found.gallery)
        print_json({**vars(found), "gallery": place, "counts": found.counts, "page": shown})
    else:
        show(found)
        if shown is not None:
            print(f"page: {shown}")
    return 0


def show(found: GalleryAudit) -> None:
    """Print what was found, the first of each kind."""
    for note in found.notes:
        print(f"warning: {note}", file=sys.stderr)
    print(
        f"{shown_address(found.gallery)}: {counted(found.templates, 'template')} of "
        f"{counted(found.identities, 'identity')}, {counted(len(found.findings), 'finding')}"
    )
    for kind, count in found.counts.items():
        if count:
            print(f"{kind}: {count:,}")
            of_kind = [one for one in found.findings if one.kind == kind]
            for one in of_kind[:SHOWN]:
                numbers = ", ".join(map(str, one.templates[:SHOWN]))
                print(f"  {' and '.join(one.identities)} ({numbers}): {one.said}")
            if count > SHOWN:
                more = f"{count - SHOWN:,} more; --json has all, --page PAGE the first {ASKED}"
                print(f"  … and {more} with their images")
    if found.point is not None:
        print(limits_said(found))


def show_applied(gallery: str, done: AppliedDecisions) -> None:
    """Print what was done, and how each of it is undone."""
    if done.outdated:
        print(
            f"warning: {counted(done.outdated, 'decision')} left out: the templates were changed "
            "since",
            file=sys.stderr,
        )
    for reason, templates in done.quarantined.items():
        print(f"{gallery}: in quarantine ({reason}): {' '.join(map(str, templates))}")
    for name, templates in done.assigned.items():
        print(f"{gallery}: now {name}: {' '.join(map(str, templates))}")
    if done.quarantined:
        print(f"to undo: arcwise gallery release {gallery} TEMPLATE …")
    if done.assigned:
        print(
            f"to undo: arcwise gallery rename {gallery} NAME BEFORE --templates TEMPLATE … "
            f"--merge; whose a template was is in its metadata ({BEFORE})"
        )
    if TO_REMOVE in done.quarantined:
        print(f'to remove for good: arcwise remove {gallery} --quarantined "{TO_REMOVE}"')
