"""What commands print in the same way: progress, counts, and what was left out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

SHOWN = 5
"""How many left-out files are named before the rest is counted."""

FEW = 10
"""Identities under which thresholds are not worth much."""


class Move(Protocol):
    """A function that moves a progress bar."""

    def __call__(self, done: int, total: int, now: str = ...) -> None:
        """Show what is done of the total; `now` replaces the name of the work."""


@contextmanager
def progress(what: str) -> Iterator[Move]:
    """Show a bar with a rate and the time left, on a terminal; (done, total) moves it.

    It is drawn on standard error: standard output is the command's answer, perhaps a program's.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from arcwise.cli.rate_column import RateColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        redirect_stdout=sys.stdout.isatty(),  # above the bar on a terminal, else where it was sent
    ) as bar:
        task = bar.add_task(what, total=None)

        def move(done: int, total: int, now: str = what) -> None:
            bar.update(task, completed=done, total=total, description=now)

        yield move


def left_out(what: str, items: Sequence[object]) -> None:
    """Print how many there are, and the first of them; print nothing without any."""
    if items:
        print(f"{what}: {len(items):,}")
        for item in items[:SHOWN]:
            print(f"  {item}")
        if len(items) > SHOWN:
            print(f"  … and {len(items) - SHOWN} more")


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: "1 template", "2 templates", "3 identities"."""
    if count != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun}"


def trained_on(images: int, *, measured: bool = False) -> str:
    """Return how many images of a data set were trained on, and what became of them, in words."""
    if not images:
        return "none of the data set's images was trained on"
    fate = "warning: they are measured too" if measured else "their identities are left out"
    return f"{images:,} of the data set's images were trained on; {fate}"
