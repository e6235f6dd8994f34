"""Conditions on metadata in Milvus' expressions, exactly as `filters.matches` reads them.

Milvus' own comparisons of JSON differ from it: true equals 1, a number out of the range of its
type is another number, and what `not` says of a key that is missing depends on the server's
version. Metadata are therefore kept in a second form, in which nothing is left to it:

- `terms`, an array of texts: one for each key with the kind of its value, one for each key with its
  value. They are digests, and equal where key and value are.
- `sorted`, a JSON object of texts by the digests of keys: a number or a text written so that two
  of them are in the order of their values.

A condition is turned round until `not` stands in front of terms alone, which are there or not. A
comparison of texts that stands in no `not` may be false or unknown where the key is missing: it
means the same. Expressions hold digits and small letters, and nothing that a user wrote.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

from arcwise.errors import GalleryError
from arcwise.gallery.filters import Condition, Every, Not, OneOf, Some, Value, ValueComparison, kind

LONGEST_TEXT = 1000
"""Bytes of a text by which it is put in order; longer ones can be compared with shorter ones."""

EVERYTHING, NOTHING = "row >= 0", "row < 0"
_NEGATED = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def terms_of(metadata: Mapping[str, Any]) -> list[str]:
    """Return the terms of metadata, sorted."""
    found = set()
    for key, value in metadata.items():
        if kind(value):
            found |= {_kind_term(key, kind(value)), _value_term(key, value)}
    return sorted(found)


def sorted_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the numbers and texts of metadata, written so that they are in their order."""
    return {
        _sorted_key(key, value): _sortable(value) for key, value in metadata.items() if kind(value)
    }


def expression(where: Condition | None, *, negated: bool = False) -> str:
    """Return a condition as Milvus reads it.

    Raises:
        GalleryError: it compares with a text that is too long.
    """
    match where:
        case None:
            return EVERYTHING
        case ValueComparison(key, sign, value):
            return _compared(key, sign, value, negated)
        case OneOf(key, values):
            terms = json.dumps([_value_term(key, one) for one in values if not _is_nan(one)])
            found = f"array_contains_any(terms, {terms})" if terms != "[]" else NOTHING
            return f"not ({found})" if negated else found
        case Every(conditions):
            return _joined("or" if negated else "and", conditions, negated)
        case Some(conditions):
            return _joined("and" if negated else "or", conditions, negated)
        case Not(inner):
            return expression(inner, negated=not negated)


def _joined(word: str, conditions: tuple[Condition, ...], negated: bool) -> str:
    if not conditions:
        return EVERYTHING if word == "and" else NOTHING
    return f" {word} ".join(f"({expression(one, negated=negated)})" for one in conditions)


def _compared(key: str, sign: str, value: Value, negated: bool) -> str:
    of_kind = f'array_contains(terms, "{_kind_term(key, kind(value))}")'
    if _is_nan(value):  # compares as unequal with every number, and with nothing else
        meets = of_kind if sign == "!=" else NOTHING
        return f"not ({meets})" if negated else meets
    if sign in ("==", "!="):
        equal = f'array_contains(terms, "{_value_term(key, value)}")'
        if sign == "!=":
            return f"(not {of_kind}) or {equal}" if negated else f"{of_kind} and not {equal}"
        return f"not {equal}" if negated else equal
    if isinstance(value, str) and len(_utf8(value)) >= LONGEST_TEXT:
        raise GalleryError(
            f"a condition with {sign} compares with {value[:20]!r}..., of {len(_utf8(value)):,} "
            f"bytes; Milvus puts texts in order by fewer than {LONGEST_TEXT:,}"
        )
    written = _NEGATED[sign] if negated else sign
    found = f'sorted["{_sorted_key(key, value)}"] {written} "{_sortable(value)}"'
    return f"(not {of_kind}) or ({found})" if negated else found


def _kind_term(key: str, of: str) -> str:
    return _digest(of, key)


def _value_term(key: str, value: Value) -> str:
    return _digest(f"{kind(value)} is", key, _in_order(value))


def _sorted_key(key: str, value: Value) -> str:
    return _digest(f"sorted {kind(value)}", key)


def _sortable(value: Value) -> str:
    return _in_order(value)[:LONGEST_TEXT].hex()


def _in_order(value: Value) -> bytes:
    """Return bytes that are in the order of values of one kind."""
    if isinstance(value, str):
        return _utf8(value)
    try:
        number = float(value) + 0.0  # -0.0 is 0.0
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    (bits,) = struct.unpack(">Q", struct.pack(">d", number))
    return struct.pack(">Q", bits ^ (2**64 - 1 if bits >> 63 else 2**63))


def _utf8(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # in the order of code points


def _digest(*parts: str | bytes) -> str:
    """Return a name for some texts, another one for others."""
    content = b""
    for part in parts:
        one = part if isinstance(part, bytes) else _utf8(part)
        content += struct.pack(">Q", len(one)) + one
    return hashlib.sha256(content).hexdigest()[:32]


def _is_nan(value: Value) -> bool:
    return isinstance(value, float) and math.isnan(value)
