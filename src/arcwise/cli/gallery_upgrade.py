"""`arcwise gallery upgrade`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

from arcwise.cli.as_json import print_json
from arcwise.cli.calibrate import show_gallery
from arcwise.cli.screen import counted, left_out, progress
from arcwise.cli.stopping import status_of
from arcwise.evaluation import Difference
from arcwise.gallery import shown_address
from arcwise.verbs.gallery_comparison import ChangedDecision, GalleryComparison, SearchDecision
from arcwise.verbs.gallery_upgrade import UpgradedGallery, swap_upgraded, upgrade_gallery


def command(
    old: Annotated[str, Positional, arg(metavar="OLD")],
    new: Annotated[str, Positional, arg(metavar="NEW")],
    model: Path,
    calibrate: Path | None = None,
    images: Path | None = None,
    swap: bool = False,
    drop_missing: bool = False,
    force: bool = False,
    other_identities: bool = False,
    json: bool = False,
) -> int:
    """Embed a gallery's images again with another model, into a new gallery.

    The old gallery stays as it is until --swap. The same command goes on where it was stopped, and
    takes in what was enrolled or removed since.

    Args:
        old: Gallery file, or postgresql://HOST/DATABASE?gallery=NAME of a database.
        new: File of the new gallery; made if there is none.
        model: Folder of the new model.
        calibrate: Labelled images that are not enrolled: the new gallery's thresholds are measured
            with them, and what changes for them is shown.
        images: Folder or archive in which images that moved are found, by path or content.
        swap: Put the new gallery in the place of the old one, which is kept under another name.
        drop_missing: Swap although templates whose images were not found are then gone.
        force: Replace thresholds that were measured on more identities.
        other_identities: Identities of the labelled images are others than in training, though
            they may be called alike (0, 1, …).
        json: Print one JSON document instead.
    """
    try:
        with progress("embedding") as move:
            result = upgrade_gallery(
                old,
                new,
                model=model,
                calibrate=calibrate,
                images=images,
                force=force,
                other_identities=other_identities,
                measure_incomplete=drop_missing or not swap,
                progress=move,
            )
    except KeyboardInterrupt as stop:
        print(f"stopped; the same command goes on, with what is in {new}", file=sys.stderr)
        return status_of(stop)
    if not json:
        show(result)
    if swap and result.comparison is not None and result.comparison.finds_less:
        print(
            f"warning: {new} is worse, and takes the place of {old} all the same", file=sys.stderr
        )
    kept = swap_upgraded(result, drop_missing=drop_missing) if swap else None
    if json:
        print_json(vars(result) | {"kept": kept})
    elif kept is not None:
        print(f"{old}: now the new gallery; the old one is {kept}")
    elif not result.upgraded_before:
        print(f"{shown_address(old)} is as it was; --swap puts {new} in its place")
    return 0


def show(result: UpgradedGallery) -> None:
    """Print what was embedded again, what is missing, and what changes."""
    if result.upgraded_before or result.sizes is None:
        print(f"{result.gallery}: of the model {result.model} already; nothing to upgrade")
        return
    for note in result.notes:
        print(f"warning: {note}")
    size = result.sizes[1]
    gone = f", {result.removed:,} removed" if result.removed else ""
    print(
        f"{result.upgraded}: {counted(size.templates, 'template')} of "
        f"{counted(size.identities, 'identity')}, {result.embedded:,} embedded now{gone}; "
        f"{result.gallery} has {result.sizes[0].templates:,} of {result.sizes[0].identities:,}"
    )
    left_out("missing templates, whose images were not found", result.missing)
    if result.lost_identities:
        names = ", ".join(result.lost_identities[:5])
        more = len(result.lost_identities) - 5
        print(
            f"warning: {counted(len(result.lost_identities), 'identity')} would have no template: "
            f"{names}{f' and {more:,} more' if more > 0 else ''}"
        )
    if result.uncalibrated:
        print(f"warning: {result.upgraded} is not calibrated: {result.uncalibrated}")
    if result.calibration is not None:
        show_gallery(result.calibration)
    elif not size.templates:
        print(
            f"{result.upgraded} is empty, so searches find nobody: name the folder with the images "
            "that were enrolled (--images)"
            if result.missing
            else f"{result.upgraded} is empty, as {result.gallery} is"
        )
    elif result.point is None:
        print(
            f"searches do not decide: the model has no thresholds; arcwise calibrate "
            f"{result.model} DATA --gallery {result.upgraded}, or --calibrate DATA"
        )
    else:
        own = "measured in this gallery" if result.point.in_this_gallery else "of the new model"
        print(f"searches decide by a threshold {own}, {result.point.criterion}:")
        print(f"  {result.point}")
    if result.comparison is not None:
        if result.calibration is not None:
            print(
                "the new threshold was set with these images, to answer others at its rate; the "
                "old one answers at a rate of its own, so decisions on others change by design"
            )
        show_comparison(result.comparison)


def show_comparison(result: GalleryComparison) -> None:
    """Print the rates before and after, and the images whose decision changed."""
    strangers = "strangers, it is not known which of one"
    if result.stranger_identities is not None:
        strangers = counted(result.stranger_identities, "stranger")
    print(
        f"compared on {counted(result.images, 'image')} of "
        f"{counted(result.identities, 'identity')} that are enrolled, and "
        f"{counted(result.strangers, 'image')} of {strangers}"
    )
    if not result.images:
        print("warning: no image is of an enrolled identity, so what is found is not measured")
    if result.enrolled:
        print(f"{counted(result.enrolled, 'image')} left out because they are enrolled")
    if result.left_out:
        print(
            f"{counted(result.left_out, 'identity')} left out because one of the models was made "
            "with them"
        )
    table = Table("", "before", "after", "change")
    for name, rates in (
        ("rank 1", result.rank1),
        ("found (DIR)", result.dir),
        ("answered (FPIR)", result.fpir),
    ):
        table.add_row(name, *_cells(rates))
    thresholds = ["none" if one is None else one.criterion for one in result.points]
    table.add_row("threshold", *thresholds, "")
    Console().print(table)
    for one in result.finds_less:
        what = "are closest to the right one" if one is result.rank1 else "are found (DIR)"
        print(
            f"warning: worse, beyond chance: {-one.difference:.1%} fewer images of enrolled "
            f"identities {what}"
        )
    if None in result.points:
        print("one of the galleries has no threshold, so no decision is compared")
        left_out("images that were closest to the right one, and are not now", _lines(result.worse))
        left_out(
            "images that were not closest to the right one, and are now", _lines(result.better)
        )
    else:
        left_out("images that were decided rightly, and are not now", _lines(result.worse))
        left_out("images that were decided wrongly, and rightly now", _lines(result.better))


def _cells(rates: Difference | None) -> tuple[str, str, str]:
    if rates is None:
        return "not measured", "not measured", ""
    before, after, gap = rates.first, rates.second, rates.difference
    if (gap.low, gap.high) == (-1.0, 1.0):
        return f"{before:.1%}", f"{after:.1%}", f"{gap:+.1%} (interval not known)"
    return (
        f"{before:.1%} ({before.low:.1%} – {before.high:.1%})",
        f"{after:.1%} ({after.low:.1%} – {after.high:.1%})",
        f"{gap:+.1%} ({gap.low:+.1%} – {gap.high:+.1%})",
    )


def _lines(changes: tuple[ChangedDecision, ...]) -> list[str]:
    return [
        f"{one.image}: {one.identity or 'nobody enrolled'}; before {_said(one.before)}, now "
        f"{_said(one.after)}"
        for one in changes
    ]


def _said(given: SearchDecision) -> str:
    answer = "unknown" if given.answer is None else given.answer
    closest = "" if given.closest in (None, given.answer) else f", closest {given.closest}"
    return f"{answer} ({given.similarity:.3f}{closest})"
