"""What a person says of enrolled images: metadata for all of them, or from a table's columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, suggestion
from arcwise.recognition.growing import GROWN, SIGHTING
from arcwise.recognition.recorded import CONTENT
from arcwise.recognition.together import TOGETHER
from arcwise.verbs.upgraded_templates import UPGRADED_FROM

OWN = frozenset(("image", "root", CONTENT, "landmarks", TOGETHER, UPGRADED_FROM, GROWN, SIGHTING))
"""Keys of metadata that Arcwise writes."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")  # 007 is a text
_WORDS = {"true": True, "false": False}


def typed_value(text: str) -> Any:
    """Return what a text stands for: a number, true or false, or else the text, perhaps in quotes.

    A number that no float64 holds is a text, too.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text) and abs(float(text)) < float("inf"):
        return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def typed_pairs(words: Iterable[str]) -> dict[str, Any]:
    """Return metadata that is written `key=value`.

    Raises:
        ArcwiseError: something else is written, or one key twice.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, is_pair, text = word.partition("=")
        if not is_pair or not key.strip():
            raise ArcwiseError(f"--metadata {word}: expected key=value, such as shop=Berlin")
        if key in found:
            raise ArcwiseError(f"--metadata: {key} is given twice; give it one value")
        found[key] = typed_value(text)
    return found


def check_keys(keys: Iterable[str]) -> None:
    """Refuse keys that Arcwise writes.

    Raises:
        ArcwiseError: names the key.
    """
    for key in keys:
        if key in OWN:
            raise ArcwiseError(f"metadata {key!r}: a key that Arcwise itself writes; name it other")


def column_metadata(manifest: Manifest, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the values of some columns for every row, but for those without a value.

    A column of texts that are all numbers, or all true or false, becomes that.

    Raises:
        ArcwiseError: there is no such column, or it is one whose name Arcwise writes.
    """
    check_keys(columns)
    rows: list[dict[str, Any]] = [{} for _ in range(len(manifest))]
    for name in columns:
        values = manifest.column(name)
        if values is None:
            others = [one for one in manifest.table.column_names if one not in OWN]
            hint = suggestion(name, others) or f"it has {', '.join(others)}"
            raise ArcwiseError(f"{manifest.name}: no column {name!r}; {hint}")
        read = _reader(values)
        for row, value in zip(rows, values, strict=True):
            if value not in (None, ""):
                row[name] = read(value)
    return rows


def joined(
    recorded: Sequence[Mapping[str, Any]],
    metadata: Mapping[str, Any] | None,
    of_rows: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return what each row's template records: of its image, of all, and of its row."""
    return [{**one, **(metadata or {}), **row} for one, row in zip(recorded, of_rows, strict=True)]


def _reader(values: Sequence[Any]) -> Callable[[Any], Any]:
    """Return what makes JSON of a column's values."""
    given = [one for one in values if one not in (None, "")]
    if all(isinstance(one, str) for one in given):
        kinds = {type(typed_value(one)) for one in given}
        if kinds <= {int, float} or kinds == {bool}:
            return typed_value
        return str
    if all(isinstance(one, bool | int | float | str | list | dict) for one in given):
        return lambda value: value
    return str  # dates, and whatever else has no form in JSON
