"""The written forms of an identity: which of them are the same one, and which is shown.

One rule for data sets, model folders and galleries. Two forms are one identity where they differ
only in

- the Unicode form (`é` as one character or as `e` with an accent): NFC is taken,
- blanks and invisible characters at the ends (a no-break space, a byte-order mark, a NUL),
- how a whole number is written: `1`, `001`, `1.0`, `+1`, and `１` in the digits of another script.
  `1.5`, `1e3`, `0x1`, `1,000` and `0012A` are names, no whole numbers.

Nested folders (`fruit/001`) are compared part by part. Case, accents, separators and characters
inside a name are kept: `data check` lists names that differ only in these.
"""

from __future__ import annotations

import unicodedata

_INVISIBLE = "\0\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"
_TRIMMED = _INVISIBLE + "".join(filter(str.isspace, map(chr, range(0x3001))))
_PADDED_TO = 12  # digits; what older model folders are asked for


def written_form(identity: str) -> str:
    """Return the identity as it is stored and shown: NFC, without blanks at the ends."""
    if not identity.isascii():
        identity = unicodedata.normalize("NFC", identity)
    return identity.strip(_TRIMMED)


def identity_key(identity: str) -> str:
    """Return what all written forms of one identity have in common, and no others."""
    form = written_form(identity)
    return "/".join(map(_part_key, form.split("/"))) if "/" in form else _part_key(form)


def is_bare_number(identity: str) -> bool:
    """Return whether an identity is a whole number, such as the label of a class."""
    return identity_key(identity).removeprefix("-").isdecimal()


def older_forms(identity: str) -> set[str]:
    """Return the forms in which older files may hold this identity."""
    key, form = identity_key(identity), written_form(identity)
    forms = {identity, form, key, unicodedata.normalize("NFD", form)}
    if key.isdecimal():
        forms |= {key.zfill(width) for width in range(len(key) + 1, _PADDED_TO + 1)}
        forms.add(f"{key}.0")
    return forms


def _part_key(part: str) -> str:
    part = part.strip(_TRIMMED)
    if not part or not (part[-1].isdecimal() or part[-1] == "."):
        return part
    number = part if part.isascii() else _with_ascii_digits(part)
    whole, _, fraction = number.partition(".")
    digits = whole[1:] if whole.startswith(("+", "-")) else whole
    if not digits.isdecimal() or fraction.strip("0"):
        return part
    value = digits.lstrip("0") or "0"
    return f"-{value}" if whole[0] == "-" and value != "0" else value


def _with_ascii_digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(one)) if one.isdecimal() else one for one in text)
