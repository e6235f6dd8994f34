"""`model.json`: the envelope that every kind of model has, and the payload of its kind within.

    {"format": 2, "kind": "linkage", "licence": …, "digests": …, "training": …, "files": …,
     "fingerprint": …, "linkage": {what this kind needs besides}}

In Python the content is one flat mapping. The first format was that in the file too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from arcwise.errors import ArcwiseError, BundleError

FORMAT = 2
DESCRIPTION = "model.json"
USES = ("train", "choose", "calibrate")
KINDS = {
    "encoder": "which embeds images",
    "linkage": "which says what neighbours are one identity, for `arcwise cluster`",
}
"""What a model of each kind does, after its name in a message."""
ENVELOPE = {
    "format": int,
    "kind": str,
    "licence": str,
    "digests": dict,
    "training": dict,
    "files": dict,
    "fingerprint": str,
}


def read_envelope(folder: Path, kind: str) -> dict[str, Any]:
    """Return the content of `model.json`, flat; of what the payload holds, nothing is checked.

    Raises:
        BundleError: there is none, it is damaged, or of another kind.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise BundleError(_what_is_there_instead(folder))
    try:
        about = json.loads(path.read_bytes(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise BundleError(f"{path} is not valid JSON ({problem}): copy the model again") from None
    try:
        return _flat(about, kind)
    except ArcwiseError as problem:
        raise BundleError(f"{path}: {problem}") from None


def as_json(about: Mapping[str, Any]) -> bytes:
    """Return the content of `model.json` as it is written.

    Args:
        about: envelope and payload, flat.

    Raises:
        BundleError: it holds something that JSON cannot.
    """
    payload = {key: about[key] for key in about if key not in ENVELOPE}
    nested = {key: about[key] for key in ENVELOPE} | {about["kind"]: payload}
    try:
        text = json.dumps(nested, indent=1, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as problem:
        raise BundleError(f"the description is no JSON: {problem}") from None
    return f"{text}\n".encode()


def digest_of(essence: Mapping[str, Any]) -> str:
    """Return the hex sha256 of a JSON object, whatever the order of its keys."""
    try:
        return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()
    except TypeError as problem:
        raise BundleError(f"the architecture is no JSON: {problem}") from None


def check_types(about: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Raise a BundleError unless these are the keys besides the envelope, each of its type."""
    same_keys("the description", about, {**ENVELOPE, **kinds})
    for key, kind in kinds.items():
        if not isinstance(about[key], kind) or isinstance(about[key], bool):
            raise BundleError(f"{key} is {about[key]!r:.80}, of the wrong type")


def check_files(about: Mapping[str, Any], weights: str, optional: Iterable[str] = ()) -> None:
    """Raise a BundleError unless the files are these, each with a sha256."""
    files, optional = about["files"], sorted(optional)
    if weights not in files or not files.keys() <= {weights, *optional}:
        perhaps = f" and perhaps {' and '.join(optional)}" if optional else ""
        raise BundleError(f"files are {sorted(files)}, expected {weights}{perhaps}")
    if not all(_is_hex(digest, 64) for digest in files.values()):
        raise BundleError("files holds something that is no sha256")


def check_fingerprint(about: Mapping[str, Any], expected: str, covers: str) -> None:
    """Raise a BundleError unless the fingerprint is this one."""
    if about["fingerprint"] != expected:
        raise BundleError(
            f"the fingerprint does not fit the {covers}: one of them was edited. Take the "
            "original, or save the model again"
        )


def same_keys(what: str, values: Any, expected: Iterable[str]) -> None:
    """Raise a BundleError unless this is an object with exactly these keys."""
    expected = set(expected)
    if not isinstance(values, dict) or values.keys() != expected:
        got = set(values) if isinstance(values, dict) else set()
        raise BundleError(
            f"{what} has unknown keys {sorted(got - expected)} and lacks {sorted(expected - got)}:"
            " it was edited by hand or written by another version of Arcwise"
        )


def _flat(about: Any, kind: str) -> dict[str, Any]:
    """Return envelope and payload as one mapping, the envelope checked."""
    version = about.get("format") if isinstance(about, dict) else type(about).__name__
    if version not in (1, FORMAT) or isinstance(version, bool):
        raise BundleError(
            f"format is {version!r}, this Arcwise reads 1 to {FORMAT}: use the Arcwise that wrote "
            "it, or train and save again"
        )
    found = about.get("kind")
    if found != kind:
        does = f", {KINDS[found]}" if isinstance(found, str) and found in KINDS else ""
        raise BundleError(
            f"kind is {found!r}{does}; expected a model of kind {kind!r}, {KINDS[kind]}"
        )
    if version == FORMAT:
        same_keys("the description", about, (*ENVELOPE, kind))
        payload = about.pop(kind)
        if not isinstance(payload, dict) or payload.keys() & ENVELOPE.keys():
            raise BundleError(f"{kind} is {payload!r:.80}, expected an object of its own keys")
        about |= payload
    about["format"] = FORMAT
    missing = [key for key in ENVELOPE if key not in about]
    if missing:
        raise BundleError(f"the description lacks {missing}: it was edited by hand")
    for key, type_ in ENVELOPE.items():
        if not isinstance(about[key], type_) or isinstance(about[key], bool):
            raise BundleError(f"{key} is {about[key]!r:.80}, of the wrong type")
    same_keys("digests", about["digests"], USES)
    for use, digests in about["digests"].items():
        if not isinstance(digests, list) or not all(_is_hex(digest, 16) for digest in digests):
            raise BundleError(f"digests.{use} is no list of identity digests (16 hex digits each)")
    return about


def _is_hex(value: Any, digits: int) -> bool:
    return isinstance(value, str) and len(value) == digits and set(value) <= set("0123456789abcdef")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; refuse a key that comes twice, whose second value would win unseen."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key comes twice")
    return content


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _what_is_there_instead(folder: Path) -> str:
    if folder.is_file():
        return f"{folder} is a file, expected a model folder with {DESCRIPTION} in it"
    if folder.is_dir():
        inside = folder / "model"
        if (inside / DESCRIPTION).is_file():
            return f"{folder} is no model folder, but {inside} is: name that one"
        return f"{folder} has no {DESCRIPTION}: it is no model folder, or was not written whole"
    left = sorted(folder.parent.glob(f".{folder.name}.*.old")) if folder.parent.is_dir() else []
    if left:
        return f"{folder} was being replaced when that stopped: rename {left[-1]} back to it"
    return f"there is no model folder {folder}: check the path"
