"""A section of a config: frozen, its constraints declared with its fields."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from arcwise.errors import ArcwiseError, closest_name

Section = TypeVar("Section")

_RULES = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

_WORDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a finite number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "literal_error": "one of {expected}",
    "greater_than": "over {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "under {lt:g}",
    "less_than_equal": "at most {le:g}",
    "dataclass_exact_type": "fields by name, or a dataclass such as {class_name}",
    "dataclass_type": "fields by name, or a dataclass such as {class_name}",
}
"""What was expected, by pydantic's name of the error."""


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def section(path: str = "") -> Callable[[type[Section]], type[Section]]:
    """Make a class a frozen section whose every mistake is one ArcwiseError.

    Args:
        path: where the section is in a config, such as `optim`; errors name `optim.lr`.
    """

    def decorate(cls: type[Section]) -> type[Section]:
        made: Any = dataclass(frozen=True, kw_only=True, config=_RULES)(cls)
        validated = made.__init__

        @functools.wraps(validated)
        def init(self: Section, **values: Any) -> None:
            refuse_unknown(values, made, path)
            try:
                validated(self, **values)
            except ValidationError as error:
                (first, *_) = error.errors(include_url=False)
                raise ArcwiseError(_sentence(first, path)) from None

        made.__init__ = init
        return made

    return decorate


def _sentence(error: ErrorDetails, path: str) -> str:
    """What was got and what was expected."""
    if error["type"] == "value_error":  # by a check of several fields
        return str(error["ctx"]["error"])
    first, *places = error["loc"]
    name = ".".join(filter(None, [path, str(first)])) + "".join(
        f"[{place}]" for place in places if isinstance(place, int)
    )
    if error["type"].startswith("missing"):
        return f"training config: {name} is missing"
    numbers = error.get("ctx", {})
    if "expected" in numbers:
        numbers["expected"] = re.sub(r"'([^']*)'", r"\1", numbers["expected"]).replace(" or ", ", ")
    expected = _WORDS.get(error["type"], error["msg"].removeprefix("Input should be ")).format(
        **numbers
    )
    return f"training config: {name}={error['input']!r}; expected {expected}"


def expect(good: bool, name: str, value: object, expected: str) -> None:
    """Refuse a value that does not go with the rest of its config.

    Raises:
        ArcwiseError: it is not good.
    """
    if not good:
        raise ArcwiseError(f"training config: {name}={value!r}; expected {expected}")


def refuse_unknown(values: Mapping[str, Any], kind: Any, path: str) -> None:
    """Refuse names that a section does not have, with the one that was perhaps intended.

    Raises:
        ArcwiseError: a name is unknown.
    """
    known = [one.name for one in fields(kind)]
    offered = ["loss", *known] if hasattr(kind, "settled") else known
    for name in values:
        if name not in known:
            full = ".".join(filter(None, [path, str(name)]))
            inner = _inside(kind)
            close = inner.get(name) or closest_name(str(name), offered)
            close = close or inner.get(closest_name(str(name), inner) or "")
            hint = f"did you mean {close!r}?" if close else f"known: {', '.join(offered)}"
            raise ArcwiseError(f"training config: unknown field {full!r}; {hint}")


def _inside(kind: Any) -> dict[str, str]:
    """The full names of what the sections of a section have, by their last part."""
    sections = {one.name: one.default_factory for one in fields(kind)}
    return {
        inner.name: f"{name}.{inner.name}"
        for name, made_by in sections.items()
        if is_dataclass(made_by)
        for inner in fields(made_by)
    }


def merged(base: Any, changes: Mapping[str, Any], path: str = "") -> Any:
    """Return a section with some fields changed; a mapping changes fields of a section inside it.

    Args:
        base: a section, a margin or another frozen dataclass.
        changes: by name; lists are taken for tuples.
        path: where the section is in the config.

    Raises:
        ArcwiseError: an unknown name, or a value that does not fit.
    """
    if hasattr(base, "settled"):  # the name of a loss settles which fields there are
        base, changes = base.settled(changes)
    refuse_unknown(changes, base, path)
    values: dict[str, Any] = {}
    for name, value in changes.items():
        full = ".".join(filter(None, [path, name]))
        old = getattr(base, name)
        if isinstance(value, Mapping) and is_dataclass(old):
            values[name] = merged(old, value, full)
        else:
            values[name] = frozen(value)
    try:
        return dataclasses.replace(base, **values)
    except ArcwiseError as error:
        message = str(error)
        if not message.startswith("training config: "):  # a margin's, which knows no config
            message = f"training config: {path}: {message}"
        raise ArcwiseError(message) from None


def followed(own: Any, before: Any, now: Any) -> Any:
    """Return a section that changes as another does, in the fields that they have in common.

    Args:
        own: the section; None, or one of another kind, stays as it is.
        before: the other one.
        now: the other one, changed.
    """
    if own is None or not type(own) is type(before) is type(now):
        return own
    values = {
        one.name: getattr(now, one.name)
        for one in dataclasses.fields(own)
        if getattr(own, one.name) == getattr(before, one.name) != getattr(now, one.name)
    }
    return dataclasses.replace(own, **values)


def frozen(value: Any) -> Any:
    """Return what a file holds with tuples in place of lists."""
    if isinstance(value, Mapping):
        return {name: frozen(one) for name, one in value.items()}
    return tuple(frozen(one) for one in value) if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Return a section as mappings, lists and numbers, without what is None."""
    if is_dataclass(value):
        found = {one.name: getattr(value, one.name) for one in fields(value)}
        if isinstance(getattr(type(value), "loss", None), property):  # which settles the fields
            found = {"loss": value.loss} | found
        return {name: plain(one) for name, one in found.items() if one is not None}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, tuple) else value


def flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return the innermost values by their full names, such as `optim.lr`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        full = f"{path}{name}"
        found |= flat(value, f"{full}.") if isinstance(value, Mapping) else {full: value}
    return found
