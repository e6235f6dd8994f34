"""What a `.json`, `.cls` or `.txt` in a tar shard says of its picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from arcwise.data.containers.tarred import payload
from arcwise.data.containers.tarred.headers import Member, Read
from arcwise.data.formats.layout import shown
from arcwise.errors import ImageError

SIDES = (".json", ".cls", ".txt")

_OWN = ("image", "folder")
_IDENTITY = ("identity", "label", "class", "cls", "person", "subject")
_LONGEST = 2**20  # bytes of what is said of one picture


def told_by(sides: list[Member], read: Read, end: int, shard: Path) -> dict[str, Any]:
    """What is said of a sample; `.json` has the last word, then `.cls`."""
    said: dict[str, dict[str, Any]] = {}
    for member in sides:
        ref = f"{shard.name}/{shown(member.name)}"
        if member.size > _LONGEST:
            raise ImageError(ref, f"has {member.size:,} bytes; expected a few words")
        try:
            text = payload(read, member, end, ref).decode().strip()
            ending = member.name[member.name.rindex(".") :].lower()
            said[ending] = _READERS[ending](text)
        except (ValueError, RecursionError) as problem:
            reason = getattr(problem, "reason", None) or str(problem)
            raise ImageError(ref, reason) from None
    return said.get(".txt", {}) | said.get(".cls", {}) | said.get(".json", {})


def _values(text: str) -> dict[str, Any]:
    """The columns in a JSON object, the identity under that name."""
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"holds {text[:20]!r}; expected names and values, as in {{...}}")
    if "\\ud" in text:  # half a character, which no column can hold
        values = json.loads(json.dumps(values, ensure_ascii=False).encode("utf-8", "replace"))
    for name in _IDENTITY:
        if isinstance(values.get(name), (str, int, float)):
            values["identity"] = str(values.pop(name))
            break
    return {name: value for name, value in values.items() if name not in _OWN}


_READERS = {
    ".json": _values,
    ".cls": lambda text: {"identity": text},
    ".txt": lambda text: {"identity": text, "text": text},
}
