"""Identities that are perhaps one, spelled in two ways."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

_BETWEEN_WORDS = re.compile(r"[\W_]+")


def suspects(identities: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of identities that differ only in case, accents, separators or the order of words.

    `Coca Cola` and `coca-cola`; `Müller` composed and decomposed; `Choi_Sung-hong` and
    `Sung_Hong_Choi`. They are suspects, not errors: only a person can tell.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for identity in set(identities):
        words = _words(identity)
        groups["".join(words)].add(identity)
        groups[" ".join(sorted(words))].add(identity)
    found = {tuple(sorted(group)) for key, group in groups.items() if key and len(group) > 1}
    return sorted(group for group in found if not any(set(group) < set(more) for more in found))


def _words(identity: str) -> list[str]:
    parts = unicodedata.normalize("NFKD", identity.casefold())
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    return [word for word in _BETWEEN_WORDS.split(plain) if word]
