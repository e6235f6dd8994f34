"""The work folder of a data set that is not whole yet; one process at a time writes it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from arcwise.errors import ArcwiseError, ImageError
from arcwise.files import atomic_write, locked

_ABOUT, _LEFT_OUT, _FILES, _WHOLE = "about.json", "left_out.jsonl", "files", "whole.json"


def work_path(destination: Path) -> Path:
    """Return the folder in which a destination is written, `.<name>.partial` next to it.

    Raises:
        ArcwiseError: the destination has no name of its own: it is `.` or `/`.
    """
    if not destination.name:
        raise ArcwiseError(f"{destination}: there already; name a new file or folder")
    return destination.with_name(f".{destination.name}.partial")


@contextmanager
def open_work_folder(destination: Path, about: Mapping[str, object]) -> Iterator[WorkFolder]:
    """Open or make the work folder of a destination; no other process has it in the block.

    Its files stay when the block fails, and the next one resumes with them.

    Args:
        destination: what is being written.
        about: what it is made of; a work folder made of something else is refused.

    Raises:
        ArcwiseError: another process has it, or it was made of something else.
    """
    path = work_path(destination)
    with locked(path, f"writing {destination.name}"):
        work = WorkFolder(path)
        work.files.mkdir(exist_ok=True)
        record = json.dumps(dict(about))
        if not (path / _ABOUT).exists():
            _write(path / _ABOUT, record)
        if (path / _ABOUT).read_text() != record:
            raise ArcwiseError(
                f"{path} holds the beginning of {destination.name} from another data set, or "
                "from this one before it was changed; remove that folder, or name another place"
            )
        try:
            yield work
        except BaseException:
            if work.files.exists() and not any(work.files.iterdir()):
                work.drop()  # there is nothing to resume
            raise


class WorkFolder:
    """What was written of a data set so far.

    Attributes:
        path: the folder itself.
        files: the folder inside for the files that will be moved.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = path / _FILES

    def leave_out(self, row: int, error: ImageError) -> None:
        """Record an image that cannot be read; to be called before a later row is written."""
        line = json.dumps((row, error.name, error.reason))
        with open(self.path / _LEFT_OUT, "ab") as file:
            file.write(f"{line}\n".encode())

    def left_out(self, before: int) -> dict[int, ImageError]:
        """Return the images recorded so far, by row; those from a row on are deleted."""
        path = self.path / _LEFT_OUT
        if not path.exists():
            return {}
        lines = [line for line in path.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"]
        kept = [(line, json.loads(line)) for line in lines]
        kept = [(line, note) for line, note in kept if note[0] < before]
        os.truncate(path, sum(len(line) for line, _ in kept))
        return {row: ImageError(name, reason) for _, (row, name, reason) in kept}

    def whole(self) -> bool:
        """Return whether all is written, and only has to be moved."""
        return (self.path / _WHOLE).exists()

    def declare_whole(self, names: Sequence[str]) -> None:
        """Flush these files to the disk, and record their names in the order to move them."""
        for name in names:
            if (self.files / name).is_file():
                with open(self.files / name, "rb+") as file:
                    os.fsync(file.fileno())
        _write(self.path / _WHOLE, json.dumps(list(names)))

    def move(self, to: Path) -> None:
        """Move the files to their place, those that are not there yet, and remove the folder.

        Raises:
            ArcwiseError: something else is there by now.
        """
        names = json.loads((self.path / _WHOLE).read_text())
        names = [name for name in names if (self.files / name).exists()]
        for name in names:
            if os.path.lexists(to / name):
                raise ArcwiseError(
                    f"{to / name} was written by another while this was under way; move it away "
                    "and give the same command again"
                )
        for name in names:
            os.rename(self.files / name, to / name)
        self.drop()

    def drop(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as part:
        part.write_text(text)
