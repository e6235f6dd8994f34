"""What commands print in the same way: progress, and what was left out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

SHOWN = 5
"""How many left-out files are named before the rest is counted."""

FEW = 10
"""Identities under which thresholds are not worth much."""


class Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        """The speed, or nothing before it is known."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


class Move(Protocol):
    """What moves a bar."""

    def __call__(self, done: int, total: int, now: str = ...) -> None:
        """Show what is done of the total, and of what, where that is something else by now."""


@contextmanager
def progress(what: str) -> Iterator[Move]:
    """A bar with a rate and the time left, on a terminal; (done, total) moves it.

    It is drawn on standard error: standard output is the command's answer, perhaps a program's.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate())
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
    """Count and name files that were not used; nothing when there are none."""
    if items:
        print(f"{len(items)} {what}:")
        for item in items[:SHOWN]:
            print(f"  {item}")
        if len(items) > SHOWN:
            print(f"  … and {len(items) - SHOWN} more")


def trained_on(images: int, *, measured: bool = False) -> str:
    """How many images of a data set were trained on, and what became of them."""
    if not images:
        return "none of the data set's images was trained on"
    fate = "warning: they are measured too" if measured else "their identities are left out"
    return f"{images:,} of the data set's images were trained on; {fate}"
