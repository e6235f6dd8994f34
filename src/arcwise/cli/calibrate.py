"""`arcwise calibrate`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import FEW, left_out, progress, trained_on
from arcwise.evaluation import Reliability, ScoreMap, SearchThreshold, Threshold
from arcwise.evaluation.calibration import FARS
from arcwise.evaluation.search_calibration import FPIRS
from arcwise.verbs.calibrate import Calibration, calibrate


def command(
    model: Positional[Path],
    data: Positional[Path],
    far: tuple[float, ...] = FARS,
    fpir: tuple[float, ...] = FPIRS,
    gallery_size: int | None = None,
    probability: bool = False,
    seed: int = 0,
    other_identities: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Measure a model's thresholds on your own labelled pictures and write them into its folder.

    Args:
        model: A model folder.
        data: A data set in any form: a folder of folders, a table, an archive.
        far: False-accept rates: of two pictures of different identities, how many pass.
        fpir: False-positive identification rates: of unknown pictures, how many get an answer.
        gallery_size: Identities in the galleries that --fpir is measured in; by default half.
        probability: Also fit a map from similarity to the probability of one identity.
        seed: Of the intervals.
        other_identities: The identities are others than in training, though they may be called
            alike (0, 1, …); only those of images that were trained on are left out.
        naming: How a table calls things.
    """
    with progress("embedding") as move:
        result = calibrate(
            model,
            naming.open(data),
            fars=far,
            fpirs=fpir,
            gallery_size=gallery_size,
            probability=probability,
            seed=seed,
            other_identities=other_identities,
            progress=move,
        )
    left_out("pictures could not be read and were not measured", result.failures)
    left_out("files are not pictures", result.ignored)
    show(result)
    print(f"written into {result.model}: these take the place of its thresholds until now")
    return 0


def show(result: Calibration) -> None:
    """Print what was measured on whom, the thresholds, and the map."""
    print(
        f"{result.pictures} pictures of {result.identities} identities of {result.data}; "
        f"{result.left_out} identities left out because the model was made with them"
    )
    if result.trained_images is not None:
        print(trained_on(result.trained_images))
    for note in result.notes:
        print(f"mind: {note}")
    if result.used:
        print(f"mind: these identities were {result.used}")
    if result.identities < FEW:
        print(f"mind: {result.identities} identities are too few to decide by; bring more")
    table = Table("error rate", "similarity at least", "95 % interval", "right ones accepted")
    for one in (*result.thresholds, *result.search_thresholds):
        table.add_row(*_row(one))
    Console().print(table)
    gallery = result.search_thresholds[0].gallery
    print(
        "FAR: two pictures of different identities pass. FPIR: a picture of nobody enrolled gets "
        f"an answer, among {gallery} identities or fewer, each enrolled with all its pictures"
    )
    if result.probability is not None and result.reliability is not None:
        _show_map(result.probability, result.reliability)


def _row(one: Threshold | SearchThreshold) -> tuple[str, str, str, str]:
    """One threshold as a line; numbers that are not resolved are no numbers."""
    if isinstance(one, Threshold):
        rate, few = f"FAR {one.far:g}", f"{one.impostors:,} pairs"
        passed, what = one.tar, "of pairs"
    else:
        rate, few = f"FPIR {one.fpir:g}", f"{one.probes:,} pictures"
        passed, what = one.dir, "of searches"
    if not one.resolved:
        return rate, "not resolved", "", f"too few: {few}"
    said = "" if passed is None else f"{passed:.1%} {what}"
    return rate, f"{one.threshold:.4f}", f"{one.low:.4f} – {one.high:.4f}", said


def _show_map(score_map: ScoreMap, judged: Reliability) -> None:
    print(score_map)
    table = Table("probability stated", "came true", "95 % interval")
    for stated, rate in judged.bins:
        if rate.resolved:
            table.add_row(f"{stated:.1%}", f"{rate:.1%}", f"{rate.low:.1%} – {rate.high:.1%}")
    Console().print(table)
