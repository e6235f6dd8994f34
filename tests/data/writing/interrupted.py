"""Converts in children that die; run as `python interrupted.py SOURCE FOLDER FORM...`.

For every form and every moment a child begins to write FOLDER/FORM/moment/FORM and is killed then.
This process has no threads, so that it can be forked.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import arcwise.data.formats.opening  # noqa: F401 - once, not in every child
from arcwise.data.writing import copying
from arcwise.data.writing.work_folder import WorkFolder
from arcwise.verbs.data_convert import convert

MOMENTS = ("first", "middle", "last", "whole", "moving")


def die() -> None:
    """The end, without a chance to tidy up."""
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(work: Callable[..., None], calls: int) -> Callable[..., None]:
    """The function, until it was called so often."""

    def die_then(*arguments: object) -> None:
        nonlocal calls
        if calls == 0:
            die()
        calls -= 1
        work(*arguments)

    return die_then


def prepare(moment: str) -> Callable[[int, int], None]:
    """Set a trap, and return a progress callback that dies at the moment."""
    copying._STEP = 1
    if moment == "whole":
        WorkFolder.declare_whole = deadly(WorkFolder.declare_whole, 0)
    if moment == "moving":
        os.rename = deadly(os.rename, 1)
        WorkFolder.drop = deadly(WorkFolder.drop, 0)  # where there is one file only

    def die_at_moment(done: int, total: int) -> None:
        if done == {"first": 1, "middle": total // 2, "last": total}.get(moment):
            die()

    return die_at_moment


def main(source: str, folder: str, forms: list[str]) -> None:
    """Kills a child for every form and moment."""
    for form in forms:
        for moment in MOMENTS:
            child = os.fork()
            if not child:
                place = os.path.join(folder, form.strip("/"), moment, form)
                convert(source, place, progress=prepare(moment))
                os._exit(1)
            _, status = os.waitpid(child, 0)
            assert status == signal.SIGKILL, (form, moment, status)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
