"""A data set that is not whole yet: its work folder, which one process has at a time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from arcwise.errors import ArcwiseError, ImageError
from arcwise.files import atomic_write

try:
    import fcntl
except ImportError:  # Windows: there, an open file cannot be removed
    fcntl = None

_ABOUT, _LEFT_OUT, _LOCK, _FILES = "about.json", "left_out.jsonl", "lock", "files"
_WHOLE = "whole.json"


def work_place(destination: Path) -> Path:
    """The folder in which a destination is written.

    Raises:
        ArcwiseError: the destination has no name of its own: it is `.` or `/`.
    """
    if not destination.name:
        raise ArcwiseError(f"{destination}: there already; name a new file or folder")
    return destination.with_name(f".{destination.name}.partial")


class Unfinished:
    """The folder `.<name>.partial` beside a destination, until that is whole.

    What is in it is left there when something goes wrong; whoever opens it again goes on.

    Attributes:
        folder: for the files that will be moved.
        place: the folder itself, to be named to the user.
    """

    def __init__(self, destination: Path, about: Mapping[str, object]) -> None:
        """Takes the folder, or makes it.

        Args:
            destination: what is being written.
            about: what it is made of; has to be the same when it is gone on with.

        Raises:
            ArcwiseError: another process has it, or it was made of something else.
        """
        self.place = work_place(destination)
        self.folder = self.place / _FILES
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _taken(self.place / _LOCK, destination)
        try:
            self._claim(dict(about), destination)
            self._left_out = open(self.place / _LEFT_OUT, "ab", buffering=0)  # noqa: SIM115
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Unfinished:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left_out.close()
        if kind is not None and self.folder.exists() and not any(self.folder.iterdir()):
            self.drop()  # there is nothing to go on with
        self._lock.close()

    def leave_out(self, row: int, error: ImageError) -> None:
        """Notes a picture that cannot be read; to be called before a later row is written."""
        line = json.dumps((row, error.name, error.reason))
        self._left_out.write(f"{line}\n".encode())

    def left_out(self, before: int) -> dict[int, ImageError]:
        """The pictures noted so far, by row; those from a row on are forgotten."""
        path = self.place / _LEFT_OUT
        lines = [line for line in path.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"]
        kept = [(line, json.loads(line)) for line in lines]
        kept = [(line, note) for line, note in kept if note[0] < before]
        self._left_out.truncate(sum(len(line) for line, _ in kept))
        return {row: ImageError(name, reason) for _, (row, name, reason) in kept}

    def whole(self) -> bool:
        """Whether all is written, and only has to be moved (an earlier attempt was stopped)."""
        return (self.place / _WHOLE).exists()

    def declare_whole(self, names: Sequence[str]) -> None:
        """Notes that these files are all, safe from a power cut; they will be moved so ordered."""
        for name in names:
            if (self.folder / name).is_file():
                with open(self.folder / name, "rb+") as file:
                    os.fsync(file.fileno())
        _write(self.place / _WHOLE, list(names))

    def move(self, to: Path) -> None:
        """Puts the files in their place, those that are not there yet; ends the work.

        Raises:
            ArcwiseError: something else is there by now.
        """
        names = json.loads((self.place / _WHOLE).read_text())
        names = [name for name in names if (self.folder / name).exists()]
        for name in names:
            if os.path.lexists(to / name):
                raise ArcwiseError(
                    f"{to / name} was written by another while this was under way; move it away "
                    "and give the same command again"
                )
        for name in names:
            os.rename(self.folder / name, to / name)
        self.drop()

    def drop(self) -> None:
        """Removes the folder and all that is in it."""
        shutil.rmtree(self.place, ignore_errors=True)

    def _claim(self, about: dict[str, object], destination: Path) -> None:
        path = self.place / _ABOUT
        if not path.exists():
            _write(path, about)
        if path.read_text() != json.dumps(about):
            raise ArcwiseError(
                f"{self.place} holds the beginning of {destination.name} from another data set, or "
                "from this one before it was changed; remove that folder, or name another place"
            )


def _write(path: Path, content: object) -> None:
    with atomic_write(path) as part:
        part.write_text(json.dumps(content))


def _taken(path: Path, destination: Path) -> BinaryIO:
    """The lock, as long as this file is open."""
    try:
        if fcntl is None:
            path.unlink(missing_ok=True)
            return open(path, "xb")
        file = open(path, "ab")  # noqa: SIM115 - the caller's
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise
        return file
    except (BlockingIOError, PermissionError):
        raise ArcwiseError(
            f"{destination} is being written by another process; wait for it, or stop it"
        ) from None
