"""`arcwise data get`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import tyro
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from arcwise.data.catalogue import CATALOGUE
from arcwise.verbs.data_get import get, terms

Name = Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]


def command(name: Name = None, to: Path | None = None) -> int:
    """Download a real data set, or take it from the folder that ARCWISE_DATA names.

    Args:
        name: Name of the data set; without one, the data sets are listed.
        to: New folder for it; by default of the data set's name.
    """
    if name is None:
        _list()
        return 0
    with _downloading() as received:
        fetched = get(name, to, say=print, received=received)
    print(fetched)
    print(f"arcwise data check {fetched.path} looks at it")
    return 0


def _list() -> None:
    for one in CATALOGUE.values():
        print(terms(one))
    print("`arcwise data get NAME` fetches one; ARCWISE_DATA names a folder to take them from")


@contextmanager
def _downloading() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a bar for each file, with rate and time left, on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    rate = (TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, *rate, disable=not sys.stdout.isatty()) as bar:
        tasks = {}

        def received(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done, total=total)

        yield received
