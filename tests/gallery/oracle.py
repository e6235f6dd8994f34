"""A gallery as a list and loops: slow, obvious, and in memory. What every store must answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from arcwise.gallery import EnrolledTemplate, Hit, NewTemplate
from arcwise.gallery.filters import condition, matches
from arcwise.identity import identity_key, written_form


@dataclass(frozen=True)
class Kept:
    template: int
    identity: str
    vector: tuple[float, ...]
    metadata: dict[str, Any]
    quality: float | None
    thumbnail: bytes | None
    quarantine: str | None = None


class Oracle:
    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self.last = 0

    def enrol(self, items: list[NewTemplate], *, replace: bool = False) -> tuple[list[int], int]:
        old = {identity_key(one.identity) for one in items} if replace else set()
        before = len(self.kept)
        self.kept = [one for one in self.kept if identity_key(one.identity) not in old]
        removed = before - len(self.kept)
        for one in items:
            self.last += 1
            vector = tuple(float(value) for value in one.vector)
            metadata = dict(one.metadata or {})
            self.kept.append(
                Kept(self.last, written_form(one.identity), vector, metadata, one.quality,
                     one.thumbnail)
            )  # fmt: skip
        return list(range(self.last - len(items) + 1, self.last + 1)), removed

    def remove(self, identity: str) -> int:
        before = len(self.kept)
        key = identity_key(identity)
        self.kept = [one for one in self.kept if identity_key(one.identity) != key]
        return before - len(self.kept)

    def remove_templates(self, templates: list[int]) -> None:
        self.kept = [one for one in self.kept if one.template not in templates]

    def change(self, templates: list[int], **values: Any) -> None:
        self.kept = [
            replace(one, **values) if one.template in templates else one for one in self.kept
        ]

    def part(self, where: str | None = None) -> list[Kept]:
        """The templates that take part."""
        return [
            one
            for one in self.kept
            if one.quarantine is None and (where is None or matches(condition(where), one.metadata))
        ]

    def held(self) -> list[Kept]:
        return [one for one in self.kept if one.quarantine is not None]

    def shown_form(self, identity: str, order: list[int]) -> str:
        """The form of an identity that its first template, in an order, has."""
        key = identity_key(identity)
        return next(
            one.identity
            for one in sorted(self.part(), key=lambda one: order.index(one.template))
            if identity_key(one.identity) == key
        )

    def counts(self) -> dict[str, int]:
        """By identity key."""
        found: dict[str, int] = {}
        for one in self.part():
            key = identity_key(one.identity)
            found[key] = found.get(key, 0) + 1
        return found

    def templates(self, where: str | None = None) -> list[EnrolledTemplate]:
        return [
            EnrolledTemplate(one.template, one.identity, one.metadata, one.quality)
            for one in self.part(where)
        ]

    def above(
        self, query: tuple[float, ...], threshold: float, where: str | None = None
    ) -> list[Hit]:
        best: dict[str, tuple[float, str, int, dict[str, Any]]] = {}
        for one in self.part(where):
            similarity = math.fsum(a * b for a, b in zip(query, one.vector, strict=True))
            key = identity_key(one.identity)
            found = (-similarity, one.identity, one.template, one.metadata)
            if key not in best or (found[0], found[2]) < (best[key][0], best[key][2]):
                best[key] = found
        ordered = sorted(best.values(), key=lambda one: one[:2])
        return [
            Hit(identity, -negative, template, metadata)
            for negative, identity, template, metadata in ordered
            if -negative >= threshold
        ]

    def search(self, query: tuple[float, ...], k: int, where: str | None = None) -> list[Hit]:
        return self.above(query, -2.0, where)[:k]
