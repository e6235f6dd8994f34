"""`arcwise calibrate`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data, ModelFolder
from arcwise.cli.screen import FEW, counted, left_out, progress, trained_on
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Reliability, ScoreMap, SearchThreshold, Threshold, describe_search
from arcwise.evaluation.calibration import FARS
from arcwise.evaluation.search_calibration import FPIRS
from arcwise.gallery.decision import NEIGHBOURS
from arcwise.verbs.calibrate import ModelCalibration, calibrate
from arcwise.verbs.calibrate_gallery import MeasuredGallery, calibrate_gallery
from arcwise.verbs.gallery_second_look import SecondLookTrial


def command(
    model: ModelFolder,
    data: Data,
    far: tuple[float, ...] = FARS,
    fpir: tuple[float, ...] = FPIRS,
    gallery: str | None = None,
    gallery_size: int | None = None,
    templates: int | None = None,
    second_look: bool = True,
    probability: bool = False,
    force: bool = False,
    seed: int = 0,
    other_identities: bool = False,
    json: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Measure a model's thresholds on your own labelled images and write them into its folder.

    With --gallery they are measured by searching that gallery as it is, and kept with it.

    Args:
        model: Model folder.
        data: Data set in any form: a folder of folders, a table, an archive.
        far: False-accept rates: the part of pairs of different identities that is accepted.
        fpir: False-positive identification rates: the part of unknown images that get an answer.
        gallery: Gallery file, or postgresql://HOST/DATABASE?gallery=NAME of a database, to measure
            what it answers strangers as it is now.
        gallery_size: Identities enrolled in the galleries that --fpir is measured in; by default
            several sizes, with --gallery as many as it has.
        templates: Images enrolled of each identity there; by default 1, 2, 5 and 10, with
            --gallery as many as each has.
        second_look: With --gallery, also measure how far the closest similarity is above the mean
            of the next ones. Searches decide by that, if it finds more images beyond chance and
            while nothing in the gallery changes.
        probability: Also fit a map from similarity to the probability of one identity.
        force: Replace thresholds that were measured on more identities.
        seed: Seed of the intervals.
        other_identities: Identities are others than in training, though they may be called alike
            (0, 1, …); only those of images that were trained on are left out.
        json: Print one JSON document instead.
        naming: Names of the columns and folders of a table.
    """
    if gallery is not None and probability:
        raise ArcwiseError("--probability goes into the model folder: give it without --gallery")
    if gallery is None and not second_look:
        raise ArcwiseError("--no-second-look is about one gallery: give it with --gallery")
    manifest = naming.open(data, identities=gallery is None)
    with progress("embedding") as move:
        options: dict[str, Any] = {
            "fpirs": fpir,
            "gallery_size": gallery_size,
            "templates": templates,
            "force": force,
            "seed": seed,
            "other_identities": other_identities,
            "progress": move,
        }
        if gallery is None:
            result = calibrate(model, manifest, fars=far, probability=probability, **options)
        else:
            options["second_look"] = second_look
            result = calibrate_gallery(gallery, manifest, model=model, **options)
    if json:
        print_json(vars(result))
    elif isinstance(result, ModelCalibration):
        show(result)
    else:
        show_gallery(result)
    return 0


def show(result: ModelCalibration) -> None:
    """Print what was measured on, the thresholds, and the map."""
    _about(result)
    print(
        f"{counted(result.images, 'image')} of {counted(result.identities, 'identity')} of "
        f"{result.data}; {counted(result.left_out, 'identity')} left out because the model was "
        "made with them"
    )
    if result.identities < FEW:
        print(
            f"warning: {counted(result.identities, 'identity')} are too few to decide by; bring "
            "more"
        )
    table = Table("FAR", "similarity at least", "95 % interval", "mated pairs accepted")
    for one in result.thresholds:
        table.add_row(*_threshold_row(one))
    Console().print(table)
    print("FAR: two images of different identities pass")
    Console().print(_search_table(result.search_thresholds))
    print(
        "FPIR: an image of nobody enrolled gets an answer. A cell has the similarity from which "
        "on a search answers, and how many images of enrolled identities it then finds"
    )
    if max((one.templates or 1 for one in result.search_thresholds), default=1) > 1:
        print(
            "identities with fewer images than a row has templates are not enrolled there: their "
            "images count as those of nobody enrolled"
        )
    if result.probability is not None and result.reliability is not None:
        _show_map(result.probability, result.reliability)
    history = ""
    if result.replaced:
        history = f"; those measured on {result.replaced} are in its history"
    print(
        f"written into {result.model}, which decides by these thresholds from now on, in a running "
        f"server within seconds{history}"
    )


def show_gallery(result: MeasuredGallery) -> None:
    """Print what was measured against a gallery."""
    _about(result)
    size, count = result.size, result.stranger_identities
    strangers = "strangers, it is not known which of one" if count is None else ""
    print(
        f"{result.gallery}: {counted(size.identities, 'identity')} with "
        f"{counted(size.templates, 'template')}, searched with "
        f"{counted(result.strangers, 'image')} of {strangers or counted(count or 0, 'stranger')}"
    )
    few = count is not None and count < FEW
    if few:
        print(
            f"warning: {counted(count or 0, 'stranger')} are too few to rely on the rates: bring "
            f"{FEW} or more identities, however many images each has"
        )
    for one in result.thresholds:
        if not one.resolved:
            print(f"  FPIR {one.fpir:g}: not resolved, too few images")
            continue
        dir_ = None if one.dir is None else (one.dir, one.dir_low or 0.0, one.dir_high or 1.0)
        words = describe_search(dir_, (one.fpir, one.fpir_low, one.fpir_high))
        print(f"  FPIR {one.fpir:g}: similarity >= {one.threshold:.4f}: {words}")
    if result.dir_from:
        print(f"how many are found was measured with {result.dir_from}")
    else:
        print(
            "how many are found was not measured: no other image of an enrolled identity is "
            "there, nor strangers with more images than templates each"
        )
    if result.second_look is not None:
        for line in _second_look(result.second_look):
            print(line)
    print(
        f"kept with {result.gallery}; searches decide by it {'all the same ' if few else ''}until "
        "more is enrolled"
    )


def _second_look(trial: SecondLookTrial) -> Iterator[str]:
    """Yield what the second look at the hits was found to be worth, a line each."""
    score = f"how far the closest similarity is above the mean of the next {NEIGHBOURS}"
    if trial.gain is None:
        yield f"{score} was not tried: {trial.reason}"
        return
    rates = ", ".join(f"{one:g}" for one in trial.rates)
    gain = f"{trial.gain:+.1%} of images found ({trial.gain.low:+.1%} to {trial.gain.high:+.1%})"
    if trial.kept is None:
        yield f"{score} is not better beyond chance, and does not decide: {gain}, at FPIR {rates}"
        return
    yield f"{score} is better: {gain}, at FPIR {rates}. It decides while nothing changes here:"
    for one in trial.kept.thresholds:
        dir_ = None if one.dir is None else (one.dir, one.dir_low or 0.0, one.dir_high or 1.0)
        words = describe_search(dir_, (one.fpir, one.fpir_low, one.fpir_high))
        yield f"  FPIR {one.fpir:g}: {one.threshold:.4f} or more above: {words}"


def _about(result: ModelCalibration | MeasuredGallery) -> None:
    """Print what was left out, and what the user has to know about the identities."""
    left_out("images that could not be read and were not measured", result.failures)
    left_out("files that are not images", result.ignored)
    if result.trained_images is not None:
        print(trained_on(result.trained_images))
    for note in result.notes:
        print(f"warning: {note}")
    if result.used_before:
        print(f"warning: these identities were {result.used_before}")


def _threshold_row(one: Threshold) -> tuple[str, str, str, str]:
    """Return the cells of one threshold of comparisons; one that is not resolved has no numbers."""
    if not one.resolved:
        return f"{one.far:g}", "not resolved", "", f"too few: {one.impostors:,} pairs"
    tar = "none measured"
    if one.tar is not None and one.tar_low is not None and one.tar_high is not None:
        tar = f"{one.tar:.1%} ({one.tar_low:.1%} – {one.tar_high:.1%})"
    return f"{one.far:g}", f"{one.threshold:.4f}", one.interval, tar


def _search_table(thresholds: tuple[SearchThreshold, ...]) -> Table:
    """Return a row a kind of gallery, a column a rate."""
    rates = sorted({one.fpir for one in thresholds}, reverse=True)
    table = Table("identities", "templates", *(f"FPIR {rate:g}" for rate in rates))
    previous = None
    for templates, size in dict.fromkeys((one.templates, one.gallery) for one in thresholds):
        if previous not in (None, templates):
            table.add_section()
        previous = templates
        of_kind = {
            one.fpir: one for one in thresholds if (one.templates, one.gallery) == (templates, size)
        }
        each = "all" if templates is None else f"{templates}"
        table.add_row(f"{size:,}", each, *(_cell(of_kind.get(rate)) for rate in rates))
    return table


def _cell(one: SearchThreshold | None) -> str:
    if one is None or not one.resolved:
        return "not resolved"
    dir_ = "" if one.dir is None else f"  {one.dir:.0%}"
    return f"{one.threshold:.3f}{dir_}"


def _show_map(score_map: ScoreMap, reliability: Reliability) -> None:
    print(score_map)
    table = Table("probability stated", "came true", "95 % interval")
    for stated, rate in reliability.bins:
        if rate.resolved:
            table.add_row(f"{stated:.1%}", f"{rate:.1%}", f"{rate.low:.1%} – {rate.high:.1%}")
    Console().print(table)
