"""Demo: the whole journey on built-in pictures, down to an answer about a new one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import cores
from arcwise.errors import ArcwiseError, Stopped
from arcwise.evaluation import Rate
from arcwise.files import LOCK, locked, translate_errors
from arcwise.recipes import recipe
from arcwise.synthetic import render_dataset
from arcwise.training.config import TrainConfig
from arcwise.verbs.enrol import Enrolled, enrol
from arcwise.verbs.evaluate import Evaluation, evaluate
from arcwise.verbs.export import ExportReport, export, need_libraries
from arcwise.verbs.reporting import can_report
from arcwise.verbs.search import Found, search
from arcwise.verbs.seed import check_seed
from arcwise.verbs.train import TrainResult, train

LOSSES = ("softmax", "arcface")

SHOWN = ("recall@1,", "MAP@R", "TAR at FAR 0.01", "equal-error rate", "rank 1", "DIR")
"""How the measures begin that a demo shows."""

MARK = "demo.json"
"""The file by which a folder is known to be a demo's, and may be replaced."""

GALLERY = "shop.gallery"
OWN = ("pictures", *LOSSES, GALLERY, f"{GALLERY}-wal", f"{GALLERY}-shm", "report.html", MARK)
"""What a demo writes, and all that a later one deletes."""


@dataclass(frozen=True)
class Scale:
    """How much the demo does.

    Attributes:
        identities: products rendered; two thirds are trained on, the rest never.
        shots: shop pictures of each.
        size: height and width of the pictures.
        steps: of each training.
    """

    identities: int = 300
    shots: int = 14
    size: int = 96
    steps: int = 800


QUICK = Scale(identities=60, shots=8, size=64, steps=60)


@dataclass(frozen=True, eq=False)
class Demonstration:
    """What the demo found.

    Attributes:
        runs: the training of each loss.
        evaluations: of each loss, on products never trained on.
        exported: the chosen model as ONNX.
        enrolled: studio pictures of half of the new products.
        queries: shop pictures of all of them, half unknown to the gallery.
        found: the answers to the queries.
        right: (Q,) bool, whether the answer is right: the product, or unknown for a stranger.
        stranger: (Q,) bool, whether the product is not enrolled.
        report: the page; None where matplotlib or jinja2 are missing.
    """

    runs: dict[str, TrainResult]
    evaluations: dict[str, Evaluation]
    exported: ExportReport
    enrolled: Enrolled
    queries: Manifest
    found: Found
    right: np.ndarray
    stranger: np.ndarray
    report: Path | None = None

    def compared(self) -> dict[str, dict[str, Rate]]:
        """A few measures by name, each with the rate of every loss; evaluate has them all."""
        columns = {loss: dict(found.rates()) for loss, found in self.evaluations.items()}
        names = [name for name in columns[LOSSES[-1]] if name.startswith(SHOWN)]
        return {
            name: {loss: column[name] for loss, column in columns.items() if name in column}
            for name in names
        }


def demo(
    out: str | Path,
    *,
    scale: Scale | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
    watch: Callable[[str, TrainConfig], Callable[[int, dict[str, float]], None]] | None = None,
) -> Demonstration:
    """Render, train two losses, compare, export, enrol, search, report.

    Args:
        out: a folder for everything; one of an earlier demo is replaced.
        scale: how much to do.
        seed: of the pictures and the training.
        say: told what happens, a line at a time.
        watch: given a loss and its config, returns what is told the training's steps.

    Raises:
        ArcwiseError: `out` holds something else, or a library of the export is not installed.
        Stopped: a training was stopped by Ctrl-C or another signal.
    """
    need_libraries()  # now, and not after the training
    check_seed(seed)
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ArcwiseError(f"{out}: a file, which is no demo; --out is a folder for everything")
    with locked(out, "a demo"), translate_errors(out):
        return _demo(out, scale or Scale(), seed, say, watch)


def _demo(
    out: Path,
    scale: Scale,
    seed: int,
    say: Callable[[str], None],
    watch: Callable[[str, TrainConfig], Callable[[int, dict[str, float]], None]] | None,
) -> Demonstration:
    """`demo` in a folder that is this process's alone."""
    _make_room(out, scale, seed)
    say(f"rendering {scale.identities} products, {scale.shots + 1} pictures each")
    table = render_dataset(
        out / "pictures",
        identities=scale.identities,
        shots=scale.shots,
        studio=1,
        size=scale.size,
        seed=seed,
    )
    known, new = _halves(open_manifest(table.parent), 2 / 3)
    runs, evaluations = {}, {}
    for loss in LOSSES:
        config = replace(
            recipe("products"),
            loss=loss,
            steps=scale.steps,
            validate_every=max(scale.steps // 4, 1),
            checkpoint_every=scale.steps,
            workers=2 if cores() > 1 else 0,  # one core has enough to do
            seed=seed,
        )
        say(f"training {loss} on {len(known.classes)} products, {scale.steps} steps")
        report = watch(loss, config) if watch else lambda step, values: None
        runs[loss] = train(known, out / loss, config, report=report)
        if stopped := runs[loss].outcome.stopped_by:
            raise Stopped(stopped)
        say(f"measuring {loss} on {len(new.classes)} products it has never seen")
        evaluations[loss] = evaluate(runs[loss].model, new, out=out / loss / "evaluation")
    model = runs["arcface"].model
    say("exporting the ArcFace model to ONNX, and comparing it with torch")
    exported = export(model)
    catalogue, queries = _counter(new)
    say(f"enrolling {len(catalogue)} studio pictures, searching with {len(queries)} shop pictures")
    gallery = out / GALLERY
    enrolled = enrol(gallery, catalogue, model=model)
    found = search(gallery, [queries])
    right, stranger = _judge(queries, found, set(catalogue.identities))
    result = Demonstration(runs, evaluations, exported, enrolled, queries, found, right, stranger)
    if not can_report():
        return result
    from arcwise.verbs.demo_report import write_demo_report

    return replace(result, report=write_demo_report(out / "report.html", result))


def _make_room(out: Path, scale: Scale, seed: int) -> None:
    """A folder marked as a demo's, without anything of an earlier demo in it."""
    if any(one.name != LOCK for one in out.iterdir()):
        if not (out / MARK).is_file():
            raise ArcwiseError(f"{out}: holds something that is no demo; name another --out")
        for name in OWN:
            place = out / name
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
    (out / MARK).write_text(json.dumps(asdict(scale) | {"seed": seed}) + "\n")


def _halves(manifest: Manifest, share: float) -> tuple[Manifest, Manifest]:
    """Two parts without a common identity: the first `share` of them, and the rest."""
    first = round(share * len(manifest.classes))
    labels = manifest.labels
    return manifest.select(np.flatnonzero(labels < first)), manifest.select(
        np.flatnonzero(labels >= first)
    )


def _counter(new: Manifest) -> tuple[Manifest, Manifest]:
    """Studio pictures of every second product, and shop pictures of all."""
    studio = np.array(new.column("domain")) == "studio"
    return new.select(np.flatnonzero(studio & (new.labels % 2 == 0))), new.select(
        np.flatnonzero(~studio)
    )


def _judge(
    queries: Manifest, found: Found, enrolled: Sequence[str] | set[str]
) -> tuple[np.ndarray, np.ndarray]:
    """(Q,) whether each answer is right, (Q,) whether each query is a stranger."""
    stranger = np.array([identity not in enrolled for identity in queries.identities])
    said = [answer.decision.identity if answer.decision else None for answer in found.answers]
    right = [
        answer == (None if unknown else truth)
        for answer, truth, unknown in zip(said, queries.identities, stranger, strict=True)
    ]
    return np.array(right), stranger
