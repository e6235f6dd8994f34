"""Conditions on metadata: which templates take part in a search.

A condition is written as in Python: `shop == "Berlin" and (price < 3 or colour in ("red",))`. A
name is a key of the metadata; `metadata["shop name"]` names one that is no Python name. Values are
numbers, texts in quotes, `true` and `false`. A comparison is true of values of its own kind
alone: one with a number is false, `!=` included, of a text, and of a template without that key.
Numbers are compared as float64, texts by code points.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import GalleryError, suggestion

Value = float | str | bool

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_WORDS = {"true": True, "false": False, "True": True, "False": False}
_KINDS = {"number": "a number", "text": "a text", "truth": "true or false", "": "something else"}
_NAMED = 12  # keys, in a message
_LONGEST = 10_000  # characters
_DEEPEST = 100  # nested conditions


@dataclass(frozen=True)
class ValueComparison:
    """A key compared with a value: `==`, `!=`, `<`, `<=`, `>` or `>=`."""

    key: str
    comparison: str
    value: Value


@dataclass(frozen=True)
class OneOf:
    """A key whose value is one of several."""

    key: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Every:
    """All of these hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Some:
    """At least one of these holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """This does not hold."""

    condition: Condition


Condition = ValueComparison | OneOf | Every | Some | Not


def condition(where: str | Condition) -> Condition:
    """Return a condition that was written as text.

    Raises:
        GalleryError: the text is no condition; says where it is not.
    """
    if not isinstance(where, str):
        return where
    try:
        if len(where) > _LONGEST:
            raise _Unreadable(f"{len(where):,} characters; expected at most {_LONGEST:,}")
        tree = ast.parse(where.strip(), mode="eval").body
        return _read(tree, 0)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as problem:
        reason = problem.msg if isinstance(problem, SyntaxError) else str(problem)
        raise GalleryError(
            f"where is {where[:200]!r}: {reason}; expected a condition such as "
            'shop == "Berlin" and price < 3'
        ) from None


def matches(where: Condition, metadata: Mapping[str, Any]) -> bool:
    """Return whether metadata meet a condition."""
    match where:
        case ValueComparison(key, comparison, value):
            found = metadata.get(key)
            return kind(found) == kind(value) and bool(
                COMPARISONS[comparison](_number(found), _number(value))
            )
        case OneOf(key, values):
            return any(matches(ValueComparison(key, "==", one), metadata) for one in values)
        case Every(conditions):
            return all(matches(one, metadata) for one in conditions)
        case Some(conditions):
            return any(matches(one, metadata) for one in conditions)
        case Not(inner):
            return not matches(inner, metadata)


def keys(where: Condition) -> set[str]:
    """Return the keys that a condition looks at."""
    match where:
        case ValueComparison(key) | OneOf(key):
            return {key}
        case Every(conditions) | Some(conditions):
            return set().union(*(keys(one) for one in conditions))
        case Not(inner):
            return keys(inner)


def never_met(where: Condition, metadata: Iterable[Mapping[str, Any]]) -> str:
    """Return which comparison of a condition no metadata can meet, in words; empty if each can.

    One with a key that none has, or with a value of another kind than all that have it.
    """
    kinds: dict[str, set[str]] = {}
    for one in metadata:
        for key, value in one.items():
            kinds.setdefault(key, set()).add(kind(value))
    compared = list(_compared_kinds(where))
    unknown = next((key for key, _ in compared if key not in kinds), None)
    if unknown is not None:
        there = ", ".join(sorted(kinds)[:_NAMED]) or "none"
        more = f" and {len(kinds) - _NAMED:,} more" if len(kinds) > _NAMED else ""
        hint = suggestion(unknown, kinds)
        return f"no template has `{unknown}`; there are: {there}{more}" + (hint and f"; {hint}")
    for key, of in compared:
        if of not in kinds[key]:
            found = " or ".join(sorted(_KINDS[one] for one in kinds[key]))
            return f"`{key}` is compared with {_KINDS[of]}, and is {found} in every template"
    return ""


def _compared_kinds(where: Condition) -> Iterator[tuple[str, str]]:
    """Yield each key of a condition with the kind of a value that it is compared with."""
    match where:
        case ValueComparison(key, _, value):
            yield key, kind(value)
        case OneOf(key, values):
            yield from ((key, kind(one)) for one in values)
        case Every(conditions) | Some(conditions):
            for one in conditions:
                yield from _compared_kinds(one)
        case Not(inner):
            yield from _compared_kinds(inner)


def rows_that_match(where: Condition, columns: Mapping[str, MetadataColumn]) -> NDArray[np.bool_]:
    """Return (N,) which of N metadata meet a condition, from the columns of its keys."""
    match where:
        case ValueComparison(key, comparison, value):
            return columns[key].compared(comparison, value)
        case OneOf(key, values):
            found = [columns[key].compared("==", one) for one in values]
            return np.logical_or.reduce(found) if found else columns[key].none()
        case Every(conditions):
            return np.logical_and.reduce([rows_that_match(one, columns) for one in conditions])
        case Some(conditions):
            return np.logical_or.reduce([rows_that_match(one, columns) for one in conditions])
        case Not(inner):
            return ~rows_that_match(inner, columns)


class MetadataColumn:
    """The values of one key in N metadata, by their kind."""

    def __init__(self, values: list[Any]) -> None:
        kinds = [kind(one) for one in values]
        self._of = {
            name: np.array([one == name for one in kinds], bool)
            for name in ("number", "text", "truth")
        }
        self._numbers = np.array(
            [
                _number(one) if of == "number" else np.nan
                for one, of in zip(values, kinds, strict=True)
            ],
            np.float64,
        )
        texts = [one if of == "text" else "" for one, of in zip(values, kinds, strict=True)]
        self._distinct = sorted(set(texts))
        place = {one: number for number, one in enumerate(self._distinct)}
        self._texts = np.array([place[one] for one in texts], np.int64)
        self._truths = np.array([one is True for one in values], bool)

    def none(self) -> NDArray[np.bool_]:
        """Return (N,) False."""
        return np.zeros(len(self._numbers), bool)

    def compared(self, comparison: str, value: Value) -> NDArray[np.bool_]:
        """Return (N,) whether each value is of the kind of `value`, and compares so with it."""
        compare, of = COMPARISONS[comparison], kind(value)
        if of == "text":
            meets = np.array([compare(one, value) for one in self._distinct], bool)
            found = meets[self._texts]
        else:
            found = compare(self._numbers if of == "number" else self._truths, value)
        return found & self._of[of]


def kind(value: object) -> str:
    """Return "number", "text" or "truth" for what can be compared, and "" for anything else."""
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else ""


def _number(value: Any) -> Any:
    """Return whole numbers as float64, as large as can be; anything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value


class _Unreadable(ValueError):
    """What in a condition is not one."""


def _read(tree: ast.expr, depth: int) -> Condition:
    if depth > _DEEPEST:
        raise _Unreadable(f"more than {_DEEPEST} nested conditions")
    match tree:
        case ast.BoolOp(op, values):
            inner = tuple(_read(one, depth + 1) for one in values)
            return Every(inner) if isinstance(op, ast.And) else Some(inner)
        case ast.UnaryOp(ast.Not(), operand):
            return Not(_read(operand, depth + 1))
        case ast.Compare(left, operators, others):
            sides = [left, *others]
            parts = tuple(
                _compared(sides[number], one, sides[number + 1])
                for number, one in enumerate(operators)
            )
            return parts[0] if len(parts) == 1 else Every(parts)
        case _:
            raise _Unreadable(f"{ast.unparse(tree)[:80]} compares nothing")


def _compared(left: ast.expr, compare: ast.cmpop, right: ast.expr) -> Condition:
    if isinstance(compare, ast.In | ast.NotIn):
        if not isinstance(right, ast.Tuple | ast.List | ast.Set):
            raise _Unreadable(f"{ast.unparse(right)[:80]} is no list of values")
        found = OneOf(_key(left), tuple(map(_value, right.elts)))
        return found if isinstance(compare, ast.In) else Not(found)
    sign = _OPERATORS.get(type(compare))
    if sign is None:
        raise _Unreadable("is and is not compare no values")
    if _is_value(left) and not _is_value(right):
        return ValueComparison(_key(right), _MIRRORED.get(sign, sign), _value(left))
    return ValueComparison(_key(left), sign, _value(right))


def _key(tree: ast.expr) -> str:
    match tree:
        case ast.Name(name) if name not in _WORDS:
            return name
        case ast.Subscript(ast.Name("metadata"), ast.Constant(str(name))):
            return name
        case _:
            raise _Unreadable(f"{ast.unparse(tree)[:80]} is no key of the metadata")


def _is_value(tree: ast.expr) -> bool:
    try:
        _value(tree)
    except _Unreadable:
        return False
    return True


def _value(tree: ast.expr) -> Value:
    match tree:
        case ast.Name(name) if name in _WORDS:
            return _WORDS[name]
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)) if not isinstance(
            number, bool
        ):
            return -_finite(number)
        case ast.Constant(bool() | str() as value):
            if isinstance(value, str) and not value.isascii():
                value.encode()  # half of a surrogate pair is no text: a ValueError
            return value
        case ast.Constant(int() | float() as number):
            return _finite(number)
        case _:
            raise _Unreadable(
                f"{ast.unparse(tree)[:80]} is no number, text in quotes, true or false"
            )


def _finite(number: float) -> float:
    value = float(_number(number))
    if not np.isfinite(value):
        raise _Unreadable("a number too large")
    return value
