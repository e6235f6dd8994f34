"""What a person decided about labels, and the data set that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.writing.copying import point_at_images
from arcwise.errors import ArcwiseError
from arcwise.verbs.decisions_file import read_records
from arcwise.verbs.embedding_source import row_names

KIND, LISTED = "arcwise label decisions", "errors"
"""What the file says of itself, and the name of the list in it."""

ANSWERS = {
    "same image": ("first", "second", "remove", "merge", "keep"),
    "member": ("move", "remove", "keep"),
    "split": ("split", "keep"),
    "merge": ("merge", "keep"),
}
"""What can be decided about each kind of error."""


@dataclass(frozen=True)
class LabelDecision:
    """A suspected error by names, and what was decided about it.

    Attributes:
        kind: of error.
        identities: concerned.
        images: in question.
        answer: one of `ANSWERS`; None where that cannot be told.
    """

    kind: str
    identities: tuple[str, ...]
    images: tuple[str, ...]
    answer: str | None = None

    @property
    def subject(self) -> tuple[str, frozenset[str], frozenset[str]]:
        """What it is about, in any order."""
        return self.kind, frozenset(self.identities), frozenset(self.images)

    def record(self) -> dict[str, Any]:
        """Return the plain values but the answer."""
        return {name: value for name, value in asdict(self).items() if name != "answer"}


@dataclass(frozen=True)
class CleanedData:
    """What was written.

    Attributes:
        path: the new table.
        rows: in it.
        identities: in it.
        merged: identities that became part of another one.
        split: identities made of parts of others.
        moved: images that went to another identity.
        removed: images that are not in it any more.
        outdated: decisions on images that are not there, or are of another identity by now.
        notes: what the user has to know, a line each.
    """

    path: Path
    rows: int
    identities: int
    merged: int
    split: int
    moved: int
    removed: int
    outdated: int
    notes: tuple[str, ...]


def read_label_decisions(path: Path) -> tuple[LabelDecision, ...]:
    """Return the decisions of a file that the page saved; of several about one error the last.

    Raises:
        ArcwiseError: the file is not there, or holds something else.
    """
    listed = read_records(path, _decision, kind=KIND, listed=LISTED, command="arcwise data clean")
    return tuple({one.subject: one for one in listed}.values())


def _decision(
    kind: str, identities: list[str], images: list[str], answer: str | None
) -> LabelDecision:
    one = LabelDecision(kind, tuple(identities), tuple(images), answer)
    texts = all(isinstance(text, str) for text in (*one.identities, *one.images))
    pair = kind in ("same image", "merge") or answer == "move"
    if kind not in ANSWERS:
        raise ValueError(f"the kind is {kind!r}; expected one of {', '.join(ANSWERS)}")
    if not texts or not images or len(identities) not in ((2,) if pair else (1, 2)):
        raise ValueError(f"{kind!r} does not fit its identities and images")
    if answer not in (None, *ANSWERS[kind]):
        raise ValueError(f"the answer is {answer!r}; expected one of {', '.join(ANSWERS[kind])}")
    return one


def apply_decisions(
    data: str | Path | Manifest, decisions: str | Path, out: str | Path
) -> CleanedData:
    """Write a new table in which the decisions hold, and return what became of the data set.

    The table points at the images where they are. Nothing else is written, changed or deleted. A
    merged identity has the name of the first of the two, which is the larger; a part that is split
    off has the name of the whole with a number: `Ann (2)`.

    Args:
        data: what was cleaned.
        decisions: the file that the page saved.
        out: a new .csv or .parquet.

    Raises:
        ArcwiseError: a file is not usable, or in the way; or no decision fits the data.
    """
    path = Path(out)
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise ArcwiseError(f"{out}: expected a table, ending in .parquet or .csv")
    decided = read_label_decisions(Path(decisions))
    manifest = open_manifest(data, identities=False)
    before = manifest.column("identity")
    if before is None:
        raise ArcwiseError(f"{manifest.title}: has no identities to clean")
    names = row_names(manifest, np.arange(len(manifest)))
    labels = _Relabelled(names, before)
    for one in decided:
        labels.apply(one)
    if labels.outdated and labels.outdated == sum(
        one.answer not in (None, "keep") for one in decided
    ):
        raise ArcwiseError(
            f"{decisions}: no image that is decided about is in {manifest.title} under its name "
            "and identity; expected the data that was cleaned, named in the same way"
        )
    after = labels.merged()
    kept = [row for row in range(len(before)) if row not in labels.removed]
    column = manifest.table.column_names.index("identity")
    table = manifest.table.set_column(column, "identity", pa.array(after, pa.string()))
    cleaned = replace(manifest, table=table.take(pa.array(kept, pa.int64())), pairs=None)
    written = point_at_images(cleaned, path)
    notes = []
    if manifest.pairs is not None:
        notes.append("the pairs of the data set are not in it; draw others: arcwise data pairs")
    if written.left_out:
        notes.append(f"{len(written.left_out):,} images are left out, as they do not exist")
    return CleanedData(
        path, len(written.rows), len({after[kept[row]] for row in written.rows} - {None, ""}),
        len(labels.into), labels.split, len(labels.moved - labels.removed), len(labels.removed),
        labels.outdated, tuple(notes),
    )  # fmt: skip


class _Relabelled:
    """The identities of a data set while decisions are applied. What one removes stays removed."""

    def __init__(self, names: Sequence[str], identities: Sequence[str | None]) -> None:
        self._rows: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            self._rows.setdefault(name, []).append(row)
        self._before, self._after = identities, list(identities)
        self._used = set(identities)
        self.into: dict[str, str] = {}
        self.removed: set[int] = set()
        self.moved: set[int] = set()
        self.split = self.outdated = 0

    def apply(self, one: LabelDecision) -> None:
        """Let a decision hold, or count it where its images are not of its identities."""
        if one.answer in (None, "keep"):
            return
        own = one.identities if one.kind in ("same image", "merge") else one.identities[:1]
        rows: list[int] = []
        for name in one.images:
            found = [row for row in self._rows.get(name, ()) if self._before[row] in own]
            if not found:
                self.outdated += 1
                return
            rows += found
        if one.answer == "merge":
            first, second = map(self._merged_name, one.identities)
            if first != second:
                self.into[second] = first
        elif one.answer == "split":
            self.split += 1
            self._rename(rows, self._free_name(own[0]))
        elif one.answer == "move":
            self.moved.update(rows)
            self._rename(rows, one.identities[1])
        else:
            stays = {"first": own[0], "second": own[-1]}.get(one.answer)
            self.removed.update(row for row in rows if self._before[row] != stays)

    def merged(self) -> list[str | None]:
        """Return the identity of each row, that of a merged one by its name."""
        return [None if one is None else self._merged_name(one) for one in self._after]

    def _merged_name(self, identity: str) -> str:
        while identity in self.into:
            identity = self.into[identity]
        return identity

    def _rename(self, rows: list[int], identity: str) -> None:
        for row in rows:
            self._after[row] = identity

    def _free_name(self, identity: str) -> str:
        names = (f"{identity} ({number})" for number in count(2))
        name = next(one for one in names if one not in self._used)
        self._used.add(name)
        return name
