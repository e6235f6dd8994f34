"""`arcwise gallery info`."""

from __future__ import annotations

from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName
from arcwise.cli.screen import counted
from arcwise.evaluation.search_calibration import FPIRS
from arcwise.gallery import nearest
from arcwise.verbs.gallery_info import GalleryInfo, RecordedModel, gallery_info


def command(
    gallery: GalleryName,
    model: Path | None = None,
    check: bool = False,
    json: bool = False,
) -> int:
    """Show what is enrolled, which model made it, and what its thresholds promise.

    Exit status 0, also where the model is missing or another, which is reported; 2 where there is
    no gallery, or a damaged one.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database.
        model: Folder of the gallery's model, if it moved.
        check: Read every byte of the file again, and compare with what was written.
        json: Print one JSON document instead.
    """
    info = gallery_info(gallery, model=model, check=check)
    if json:
        changed = None if info.changed is None else info.changed.isoformat(timespec="seconds")
        print_json(vars(info) | {"changed": changed})
    else:
        show(info)
    return 0


def show(info: GalleryInfo) -> None:
    """Print what a gallery holds, a line a fact."""
    counts = info.templates_an_identity
    held = f", {info.quarantined:,} more in quarantine" if info.quarantined else ""
    if counts is None:
        print(f"{info.gallery}: empty, nobody is enrolled{held}; `arcwise enrol` does it")
    else:
        templates = counted(info.templates, "template")
        print(f"{info.gallery}: {templates} of {counted(info.identities, 'identity')}{held}")
        spread = f"{counts.min:,} to {counts.max:,}, median {counts.median:g}"
        print(f"  templates an identity  {spread}")
    if info.of_several:
        print(
            f"  of several images      {counted(info.of_several, 'template')}, of {info.images:,} "
            "images together"
        )
    print(f"  vectors                {info.dim} dimensions")
    if info.changed is not None:
        print(
            f"  file                   {_size(info.bytes)}, changed {info.changed:%Y-%m-%d %H:%M}"
        )
    if info.checked:
        print("  check                  every byte read again: sound")
    print(f"  model                  {described(info.model)}")
    if info.model.state != "sound":
        return
    if info.model.licence:
        print(f"  licence                {info.model.licence}")
    if not info.points or info.usual is None:
        if info.identities:
            print(f"  thresholds             none: arcwise calibrate {info.model.path} DATA")
        return
    print(f"  searches decide at     {info.usual.criterion}: {info.unmeasured or info.usual}")
    if info.calibration is not None:
        before = info.calibration
        outgrown = "; the gallery has outgrown it, calibrate it again" if info.outgrown else ""
        print(
            f"  calibrated             with {counted(before.identities, 'identity')} and "
            f"{counted(before.templates, 'template')} enrolled, on {before.measured_on}{outgrown}"
        )
    if info.measured_on:
        print(f"  its model calibrated   on {info.measured_on}")
    _show_rates(info)


def _show_rates(info: GalleryInfo) -> None:
    """Print the threshold of each usual rate, where some hold."""
    held = {rate: None if info.unmeasured else nearest(info.points, rate) for rate in FPIRS}
    usual = info.usual
    if usual is not None and usual.promises and usual not in held.values() and not info.unmeasured:
        held = dict(sorted({**held, usual.fpir: usual}.items(), reverse=True))
    if not any(held.values()):
        print("  thresholds that hold   none, for any --fpir")
        return
    print("  thresholds that hold   for --fpir, and the rate they keep here")
    for rate, point in held.items():
        if point is None:
            print(f"    {rate:<6g} none")
            continue
        where = "as measured" if point.exact else "at most"
        if point.in_this_gallery and point.fits:
            where = "here"
        if point.basis.identities is None:
            where += ", interval not known"
        print(f"    {rate:<6.2g} {point.criterion}, {point.fpir:.2g} ({where})")


def described(model: RecordedModel) -> str:
    """Return the model and its state, in words."""
    short = str(model.fingerprint)[:12]
    return {
        "none": "none is recorded: say which embeds, --model …",
        "sound": f"{model.path} ({short})",
        "missing": f"{short}, was at {model.path} and is not there: say where it is, --model …",
        "another": f"{short}, and at {model.path} is another: name the old one, or enrol again",
        "damaged": f"{short}, and {model.problem}",
        "unchecked": f"{model.path}, a bare .onnx: whether it is {short} is not checked here",
    }[model.state]


def _size(count: int) -> str:
    """Return a number of bytes, in a unit that is read at a glance."""
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} GB"
