"""`arcwise demo`."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from arcwise.cli.search import explained
from arcwise.cli.serve import command as serve_gallery
from arcwise.training.config import TrainConfig
from arcwise.training.run_logger import Report
from arcwise.verbs.demo import GALLERY, QUERIES, QUICK, Scale, demo
from arcwise.verbs.demo_result import DemoResult
from arcwise.verbs.reporting import NO_REPORT


def command(
    out: Path = Path("runs/demo"), quick: bool = False, seed: int = 0, serve: bool = False
) -> int:
    """Go the whole journey on rendered images: train, measure, enrol, search, report, serve.

    Args:
        out: Folder for everything; an earlier demo there is replaced.
        quick: Render a fifth of the images and train a tenth of the steps, to see that it works.
        seed: Seed of the images and the training.
        serve: At the end serve the gallery, with the page, until Ctrl-C.
    """
    if serve:
        import_module("arcwise.serving.running")  # what is missing is said before the training
    start = time.perf_counter()

    def say(line: str) -> None:
        print(f"[{time.perf_counter() - start:4.0f} s] {line}", flush=True)

    result = demo(out, scale=QUICK if quick else Scale(), seed=seed, say=say, watch=watch)
    show(result)
    print(f"{time.perf_counter() - start:.0f} s in all")
    model, gallery = result.runs["arcface"].model, out / GALLERY
    print(f"page:   arcwise serve {model} {gallery}, with the images in {out / QUERIES}")
    return serve_gallery(model, str(gallery), thumbnails=True) if serve else 0


def watch(loss: str, config: TrainConfig) -> Report:
    """Rewrite one line with the step, the loss and the rate, on a terminal."""

    def report(step: int, values: dict[str, float]) -> None:
        if sys.stdout.isatty() and "loss" in values:
            rate = values["images_per_second"]
            left = (config.run.steps - step) * config.data.batch / max(rate, 1)
            end = "\n" if step == config.run.steps else ""
            print(
                f"\r  {loss}: step {step}/{config.run.steps}, loss {values['loss']:.3f}, "
                f"{rate:,.0f} images/s, {left:.0f} s left ",
                end=end,
                flush=True,
            )

    return report


def show(result: DemoResult) -> None:
    """Print the comparison and what the search said."""
    table = Table("on products never trained on", *result.evaluations)
    for name, rates in result.compared().items():
        shown = (f"{rates[loss]:.1%}" if loss in rates else "" for loss in result.evaluations)
        table.add_row(name, *shown)
    Console().print(table)
    enrolled, strangers = result.right[~result.stranger], result.right[result.stranger]
    print(
        f"search: {enrolled.sum()} of {len(enrolled)} shop images of enrolled products recognised, "
        f"{strangers.sum()} of {len(strangers)} of others called unknown"
    )
    for line in explained(result.searched):
        print(line)
    print(f"report: {result.report}" if result.report else NO_REPORT)
