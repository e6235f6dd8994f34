"""`arcwise calibrate`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import FEW, left_out, progress, trained_on
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Reliability, ScoreMap, SearchThreshold, Threshold
from arcwise.evaluation.calibration import FARS
from arcwise.evaluation.in_words import search_in_words
from arcwise.evaluation.search_calibration import FPIRS
from arcwise.verbs.calibrate import Calibration, calibrate
from arcwise.verbs.calibrate_gallery import GalleryCalibrated, calibrate_gallery


def command(
    model: Positional[Path],
    data: Positional[Path],
    far: tuple[float, ...] = FARS,
    fpir: tuple[float, ...] = FPIRS,
    gallery: str | None = None,
    gallery_size: int | None = None,
    templates: int | None = None,
    probability: bool = False,
    force: bool = False,
    seed: int = 0,
    other_identities: bool = False,
    json: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Measure a model's thresholds on your own labelled pictures and write them into its folder.

    With --gallery they are measured by searching that gallery as it is, and kept with it.

    Args:
        model: A model folder.
        data: A data set in any form: a folder of folders, a table, an archive.
        far: False-accept rates: of two pictures of different identities, how many pass.
        fpir: False-positive identification rates: of unknown pictures, how many get an answer.
        gallery: A gallery's file, to measure what it answers strangers as it is now.
        gallery_size: Identities enrolled in the galleries that --fpir is measured in; by default
            several sizes, with --gallery as many as it has.
        templates: Pictures enrolled of each identity there; by default 1, 2, 5 and 10, with
            --gallery as many as each has.
        probability: Also fit a map from similarity to the probability of one identity.
        force: Take the place of thresholds that were measured on more identities.
        seed: Of the intervals.
        other_identities: The identities are others than in training, though they may be called
            alike (0, 1, …); only those of images that were trained on are left out.
        json: Print one JSON document instead.
        naming: How a table calls things.
    """
    if gallery is not None and probability:
        raise ArcwiseError("--probability goes into the model folder: give it without --gallery")
    opened = naming.open(data, identities=gallery is None)
    if gallery is not None:
        with progress("embedding") as move:
            kept = calibrate_gallery(
                gallery,
                opened,
                model=model,
                fpirs=fpir,
                gallery_size=gallery_size,
                templates=templates,
                force=force,
                seed=seed,
                other_identities=other_identities,
                progress=move,
            )
        if json:
            print_json(vars(kept))
        else:
            show_gallery(kept)
        return 0
    with progress("embedding") as move:
        result = calibrate(
            model,
            opened,
            fars=far,
            fpirs=fpir,
            gallery_size=gallery_size,
            templates=templates,
            probability=probability,
            force=force,
            seed=seed,
            other_identities=other_identities,
            progress=move,
        )
    if json:
        print_json(vars(result))
        return 0
    show(result)
    where = f"; those measured on {result.replaced} are in its history" if result.replaced else ""
    print(f"written into {result.model}: what it decides by from now on{where}")
    return 0


def show(result: Calibration) -> None:
    """Print what was measured on whom, the thresholds, and the map."""
    _about(result)
    print(
        f"{result.pictures} pictures of {result.identities} identities of {result.data}; "
        f"{result.left_out} identities left out because the model was made with them"
    )
    if result.identities < FEW:
        print(f"mind: {result.identities} identities are too few to decide by; bring more")
    table = Table("FAR", "similarity at least", "95 % interval", "mated pairs accepted")
    for one in result.thresholds:
        table.add_row(*_pairs(one))
    Console().print(table)
    print("FAR: two pictures of different identities pass")
    Console().print(_searches(result.search_thresholds))
    print(
        "FPIR: a picture of nobody enrolled gets an answer. A cell has the similarity from which "
        "on a search answers, and how many pictures of enrolled identities it then finds"
    )
    few = max((one.templates or 1 for one in result.search_thresholds), default=1)
    if few > 1:
        print("identities with fewer pictures than templates were searched with, never enrolled")
    if result.probability is not None and result.reliability is not None:
        _show_map(result.probability, result.reliability)


def show_gallery(result: GalleryCalibrated) -> None:
    """Print what was measured against a gallery."""
    _about(result)
    size = result.size
    print(
        f"{result.gallery}: {size.identities} identities with {size.templates} templates, searched "
        f"with {result.strangers} pictures of {result.stranger_identities} strangers"
    )
    if result.stranger_identities < FEW:
        print(f"mind: {result.stranger_identities} strangers are too few to decide by; bring more")
    for one in result.thresholds:
        if not one.resolved:
            print(f"  FPIR {one.fpir:g}: not resolved, too few pictures")
            continue
        found = None if one.dir is None else (one.dir, one.dir_low or 0.0, one.dir_high or 1.0)
        words = search_in_words(found, (one.fpir, one.fpir_low, one.fpir_high))
        print(f"  FPIR {one.fpir:g}: similarity >= {one.threshold:.4f}: {words}")
    if result.dir_from:
        print(f"how many are found was measured with {result.dir_from}")
    else:
        print(
            "how many are found was not measured: no other picture of an enrolled identity is "
            "there, nor strangers with more pictures than templates each"
        )
    print(f"kept with {result.gallery}; searches decide by it until more is enrolled")


def _about(result: Calibration | GalleryCalibrated) -> None:
    left_out("pictures could not be read and were not measured", result.failures)
    left_out("files are not pictures", result.ignored)
    if result.trained_images is not None:
        print(trained_on(result.trained_images))
    for note in result.notes:
        print(f"mind: {note}")
    if result.used:
        print(f"mind: these identities were {result.used}")


def _pairs(one: Threshold) -> tuple[str, str, str, str]:
    """One threshold of comparisons as a line; numbers that are not resolved are no numbers."""
    if not one.resolved:
        return f"{one.far:g}", "not resolved", "", f"too few: {one.impostors:,} pairs"
    said = "none measured"
    if one.tar is not None and one.tar_low is not None and one.tar_high is not None:
        said = f"{one.tar:.1%} ({one.tar_low:.1%} – {one.tar_high:.1%})"
    ends = f"{one.low:.4f} – {one.high:.4f}" if (one.low, one.high) != (-1, 1) else "not known"
    return f"{one.far:g}", f"{one.threshold:.4f}", ends, said


def _searches(found: tuple[SearchThreshold, ...]) -> Table:
    """A row a kind of gallery, a column a rate."""
    rates = sorted({one.fpir for one in found}, reverse=True)
    table = Table("identities", "templates", *(f"FPIR {rate:g}" for rate in rates))
    last = None
    for kind in dict.fromkeys((one.templates, one.gallery) for one in found):
        if last not in (None, kind[0]):
            table.add_section()
        last = kind[0]
        row = {one.fpir: one for one in found if (one.templates, one.gallery) == kind}
        each = "all" if kind[0] is None else f"{kind[0]}"
        table.add_row(f"{kind[1]:,}", each, *(_cell(row.get(rate)) for rate in rates))
    return table


def _cell(one: SearchThreshold | None) -> str:
    if one is None or not one.resolved:
        return "not resolved"
    found = "" if one.dir is None else f"  {one.dir:.0%}"
    return f"{one.threshold:.3f}{found}"


def _show_map(score_map: ScoreMap, judged: Reliability) -> None:
    print(score_map)
    table = Table("probability stated", "came true", "95 % interval")
    for stated, rate in judged.bins:
        if rate.resolved:
            table.add_row(f"{stated:.1%}", f"{rate:.1%}", f"{rate.low:.1%} – {rate.high:.1%}")
    Console().print(table)
