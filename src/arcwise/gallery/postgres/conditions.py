"""Texts as PostgreSQL can hold them, and conditions on metadata in its SQL.

A gallery keeps the metadata as they were written, and next to them, as `conditions`, a jsonb
object of the values that a condition can ask for: the numbers, texts and truth values at the top.
Its texts are `storable`, and its numbers are written as Python writes a float64: two of these
compare as decimal numbers as the float64 do, so that no number of the server's is rounded.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, LiteralString

from arcwise.gallery.filters import Condition, Every, Not, OneOf, Some, Value, ValueComparison, kind

# PostgreSQL's texts hold no NUL and no half of a surrogate pair. Written like this, any text is
# kept, and texts are in the order of their code points as before.
_UNSTORABLE = re.compile("[\0\1\ud7ff-\udfff]")
_ESCAPED = re.compile("\1[\1\2]|\ud7ff(?:\1|\2.)", re.DOTALL)
_SURROGATES, _INSTEAD = 0xD800, 0xE000

_BEYOND = "1e400"  # for whole numbers that are infinite as float64: beyond every other number
_NO_NUMBER = "-1e401"  # for a NaN in a condition: no metadata hold one, nor this

_SIGNS: dict[str, LiteralString] = {
    "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">=",
}  # fmt: skip
_COMPARED: dict[str, tuple[LiteralString, LiteralString, LiteralString]] = {
    "number": ("number", "(conditions -> %s::text)::numeric", "%s::numeric"),
    "text": ("string", '(conditions ->> %s::text) COLLATE "C"', "%s::text"),
    "truth": ("boolean", "(conditions -> %s::text)::boolean", "%s::boolean"),
}
"""By kind: its name in JSON, a value of the metadata, and one to compare it with."""


def storable(text: str) -> str:
    """Return a text without what PostgreSQL cannot hold; no two become the same."""
    return _UNSTORABLE.sub(_escape, text)


def restored(text: str) -> str:
    """Return the text that became this one by `storable`."""
    return _ESCAPED.sub(_unescape, text)


def conditions_of(metadata: Mapping[str, Any]) -> str:
    """Return the JSON text of what conditions can ask of metadata."""
    pairs = ((key, value) for key, value in metadata.items() if kind(value))
    return "{" + ", ".join(f"{_text(key)}: {_value(value)}" for key, value in pairs) + "}"


def same_conditions(one: str, other: str) -> bool:
    """Return whether two JSON texts of conditions say the same, however numbers are written."""
    try:
        return json.loads(one, parse_int=float) == json.loads(other, parse_int=float)
    except ValueError:
        return False


def where_sql(  # noqa: PLR0911 - one case a line
    where: Condition | None,
) -> tuple[LiteralString, list[Any]]:
    """Return a condition as SQL on the column `conditions`, never NULL, and its parameters."""
    match where:
        case None:
            return "true", []
        case ValueComparison(key, "==", value):
            return "conditions @> %s::jsonb", [_pair(key, value)]
        case ValueComparison(_, ">" | ">=", float(value)) if math.isnan(value):
            return "false", []
        case ValueComparison(key, sign, value):
            json_kind, found, other = _COMPARED[kind(value)]
            name = storable(key)
            text: LiteralString = (
                f"CASE WHEN jsonb_typeof(conditions -> %s::text) = '{json_kind}' "
                f"THEN {found} {_SIGNS[sign]} {other} ELSE false END"
            )
            compared = storable(value) if isinstance(value, str) else _value(value)
            return text, [name, name, compared]
        case OneOf(key, values):
            return "conditions @> ANY(%s::jsonb[])", [[_pair(key, one) for one in values]]
        case Every(conditions):
            return _joined(" AND ", conditions, "true")
        case Some(conditions):
            return _joined(" OR ", conditions, "false")
        case Not(inner):
            text, parameters = where_sql(inner)
            return f"NOT ({text})", parameters


def _joined(
    word: LiteralString, conditions: tuple[Condition, ...], empty: LiteralString
) -> tuple[LiteralString, list[Any]]:
    parts = [where_sql(one) for one in conditions]
    if not parts:
        return empty, []
    texts: list[LiteralString] = [f"({text})" for text, _ in parts]
    return word.join(texts), [one for _, parameters in parts for one in parameters]


def _pair(key: str, value: Value) -> str:
    return f"{{{_text(key)}: {_value(value)}}}"


def _text(text: str) -> str:
    return json.dumps(storable(text), ensure_ascii=False)


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if math.isnan(number):
        return _NO_NUMBER
    if math.isinf(number):
        return _BEYOND if number > 0 else f"-{_BEYOND}"
    return repr(number)


def _escape(found: re.Match[str]) -> str:
    one = found[0]
    if one in "\0\1":
        return "\1\1" if one == "\0" else "\1\2"
    if one == "\ud7ff":
        return "\ud7ff\1"
    return "\ud7ff\2" + chr(ord(one) - _SURROGATES + _INSTEAD)


def _unescape(found: re.Match[str]) -> str:
    one = found[0]
    if one[0] == "\1":
        return "\0" if one[1] == "\1" else "\1"
    if one[1] == "\1":
        return "\ud7ff"
    return chr(ord(one[2]) - _INSTEAD + _SURROGATES)
