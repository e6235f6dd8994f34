"""Demo: the whole journey on rendered images, down to an answer about a new one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import cores
from arcwise.errors import ArcwiseError, Stopped
from arcwise.files import LOCK, locked, translate_errors
from arcwise.recipes import recipe
from arcwise.synthetic import render_dataset
from arcwise.training.config import TrainConfig
from arcwise.verbs.demo_result import LOSSES, DemoResult
from arcwise.verbs.enrol import enrol
from arcwise.verbs.evaluate import evaluate
from arcwise.verbs.export import check_libraries, export
from arcwise.verbs.reporting import can_report
from arcwise.verbs.search import search
from arcwise.verbs.seed import check_seed
from arcwise.verbs.train import train

MARK = "demo.json"
"""The file that marks a folder as a demo's, which a later demo may replace."""

GALLERY = "shop.gallery"
QUERIES = "to-recognise"
"""The folder of image files for the page: some of enrolled products, some of others."""

_OF_GALLERY = tuple(f"{GALLERY}{suffix}" for suffix in ("", "-wal", "-shm", ".audit.jsonl"))
OWN = ("pictures", *LOSSES, *_OF_GALLERY, QUERIES, "report.html", MARK)
"""What a demo writes, and all that a later one deletes."""


@dataclass(frozen=True)
class Scale:
    """How much the demo does.

    Attributes:
        identities: products rendered; two thirds are trained on, the rest are not.
        shots: shop images of each product.
        size: height and width of the images.
        steps: of each training.
    """

    identities: int = 300
    shots: int = 14
    size: int = 96
    steps: int = 800


QUICK = Scale(identities=60, shots=8, size=64, steps=60)


def demo(
    out: str | Path,
    *,
    scale: Scale | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
    watch: Callable[[str, TrainConfig], Callable[[int, dict[str, float]], None]] | None = None,
) -> DemoResult:
    """Render, train two losses, compare, export, enrol, search, report.

    Args:
        out: a folder for everything; one of an earlier demo is replaced.
        scale: how much to do.
        seed: of the images and the training.
        say: called with what happens, a line at a time.
        watch: called with a loss and its config; returns what is called after each logged step.

    Raises:
        ArcwiseError: `out` holds something else, or a library of the export is not installed.
        Stopped: a training was stopped by Ctrl-C or another signal.
    """
    check_libraries()  # now, and not after the training
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
) -> DemoResult:
    """Run the demo in a folder that no other process uses."""
    _clear_folder(out, scale, seed)
    say(f"rendering {scale.identities} products with {scale.shots + 1} images each")
    table = render_dataset(
        out / "pictures",
        identities=scale.identities,
        shots=scale.shots,
        studio=1,
        size=scale.size,
        seed=seed,
    )
    known, new = _split_identities(open_manifest(table.parent), 2 / 3)
    runs, evaluations = {}, {}
    for loss in LOSSES:
        config = recipe("products-small").with_loss(loss)
        config = config.replace(
            data={"workers": 2 if cores() > 1 else 0},  # one core has enough to do
            run={
                "steps": scale.steps,
                "validate_every": max(scale.steps // 4, 1),
                "checkpoint_every": scale.steps,
                "seed": seed,
                "split_seed": seed,
            },
        )
        say(f"training {loss} on {len(known.classes)} products, {scale.steps} steps")
        report = watch(loss, config) if watch else lambda step, values: None
        runs[loss] = train(known, out / loss, config, report=report)
        if stopped := runs[loss].loop.stopped_by:
            raise Stopped(stopped)
        say(f"measuring {loss} on {len(new.classes)} products it has never seen")
        evaluations[loss] = evaluate(runs[loss].model, new, out=out / loss / "evaluation")
    model = runs["arcface"].model
    say("exporting the ArcFace model to ONNX, and comparing it with torch")
    exported = export(model)
    catalogue, queries = _catalogue_and_queries(new)
    say(f"enrolling {len(catalogue)} studio images, searching with {len(queries)} shop images")
    _write_files(out / QUERIES, queries, set(catalogue.identities))
    gallery = out / GALLERY
    enrolled = enrol(gallery, catalogue, model=model)
    searched = search(gallery, [queries])
    result = DemoResult(
        runs, evaluations, exported, enrolled, frozenset(catalogue.identities), queries, searched
    )
    if not can_report():
        return result
    from arcwise.verbs.demo_report import write_demo_report

    return replace(result, report=write_demo_report(out / "report.html", result))


def _clear_folder(out: Path, scale: Scale, seed: int) -> None:
    """Delete what an earlier demo wrote, and mark the folder as a demo's."""
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


def _split_identities(manifest: Manifest, share: float) -> tuple[Manifest, Manifest]:
    """Return two parts without a common identity: the first `share` of them, and the rest."""
    first = round(share * len(manifest.classes))
    labels = manifest.labels
    return manifest.select(np.flatnonzero(labels < first)), manifest.select(
        np.flatnonzero(labels >= first)
    )


def _catalogue_and_queries(new: Manifest) -> tuple[Manifest, Manifest]:
    """Return studio images of every second product, and shop images of all."""
    studio = np.array(new.column("domain")) == "studio"
    return new.select(np.flatnonzero(studio & (new.labels % 2 == 0))), new.select(
        np.flatnonzero(~studio)
    )


def _write_files(folder: Path, queries: Manifest, enrolled: set[str]) -> None:
    """Write the first image of each product, named by whether that is enrolled."""
    folder.mkdir()
    _, first = np.unique(queries.labels, return_index=True)
    for row in first.tolist():
        identity = queries.identities[row]
        kind = "enrolled" if identity in enrolled else "unknown"
        suffix = Path(queries.image(row)).suffix
        (folder / f"{kind}-{identity}{suffix}").write_bytes(queries.read(row))
