"""The rows of a run: one JSON object a line, and TensorBoard's events where they are asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write, translate_errors
from arcwise.training.checkpoint import ADVICE


class Metrics:
    """Writes rows to metrics.jsonl; a resumed run drops the rows after its checkpoint first."""

    def __init__(self, folder: Path, *, start: int, tensorboard: bool) -> None:
        path = self.path = folder / "metrics.jsonl"
        kept = [row for row in read(path) if row["step"] <= start] if start else []
        with atomic_write(path, advice=ADVICE) as part:
            part.write_text("".join(json.dumps(row) + "\n" for row in kept))
        self.file = path.open("ab", buffering=0)  # what a full disk did not take is not held
        self.events = _tensorboard(folder) if tensorboard else None

    def row(self, step: int, **values: float) -> None:
        """One row: the number of updates done, and what was measured there."""
        rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
        with translate_errors(self.path, advice=ADVICE):
            line = f"{json.dumps({'step': step} | rounded)}\n".encode()
            if (there := self.file.write(line)) < len(line):  # it was the last of the room
                self.file.write(line[there:])
        if self.events is not None:
            for name, value in values.items():
                self.events.add_scalar(name, value, step)

    def close(self) -> None:
        """Finish both files."""
        self.file.close()
        if self.events is not None:
            self.events.close()


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl; a last line cut short by a crash is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ArcwiseError(
            "--run.tensorboard needs the tensorboard package: pip install 'arcwise[logs]'"
        ) from None
    return SummaryWriter(str(folder / "tensorboard"))
