"""Plain JSON → the frozen values that it was made of."""

from __future__ import annotations

import dataclasses
import types
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from arcwise.errors import ArcwiseError

T = TypeVar("T")


def value_of(kind: type[T], value: Any) -> T:
    """Return the dataclass that JSON describes.

    Keys that it does not know are passed over: a newer server may say more.

    Raises:
        ArcwiseError: a field is missing, or of another kind.
    """
    return _read(kind, value, kind.__name__)


def _read(kind: Any, value: Any, place: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _read_union(arguments, value, place)
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, value, place)
    if origin in (list, tuple):
        return _read_sequence(origin, arguments, value, place)
    if kind is float and type(value) in (int, float):
        return float(value)
    known = value in arguments if origin is Literal else type(value) is (origin or kind)
    return value if kind is Any or known else _refuse(place, value)


def _read_fields(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        return _refuse(place, value)
    given = {
        one: _read(of, value[one], f"{place}.{one}")
        for one, of in _fields(kind).items()
        if one in value
    }
    try:
        return kind(**given)  # an older server leaves out what has a default
    except TypeError:
        missing = next(one for one in _fields(kind) if one not in given)
        raise ArcwiseError(f"the server's answer has no {place}.{missing}") from None


def _read_union(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None and types.NoneType in kinds:
        return None
    others = [one for one in kinds if one is not types.NoneType]
    if isinstance(value, dict):  # the dataclass that has just these fields
        others.sort(key=lambda one: len(set(_fields(one)) ^ set(value)))
    return _read(others[0], value, place)


def _read_sequence(origin: Any, arguments: tuple[Any, ...], value: Any, place: str) -> Any:
    if not isinstance(value, list):
        return _refuse(place, value)
    if origin is tuple and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            return _refuse(place, value)
        return tuple(_read(of, one, place) for of, one in zip(arguments, value, strict=True))
    return origin(_read(arguments[0], one, place) for one in value)


@cache
def _fields(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {one.name: hints[one.name] for one in dataclasses.fields(kind)}


def _refuse(place: str, value: Any) -> Any:
    raise ArcwiseError(f"the server's answer has {str(value)[:60]!r} as {place}")
