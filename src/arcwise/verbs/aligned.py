"""What becomes of pictures that are no plain portrait, and what an alignment did; it prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from arcwise.errors import ArcwiseError, ImageError

_SHOWN = 10


Several = Literal["largest", "central", "leave-out"]
Faceless = Literal["leave-out", "centre"]
Profile = Literal["keep", "leave-out"]


@dataclass(frozen=True)
class Policies:
    """What becomes of pictures that are no plain portrait.

    Attributes:
        several: of faces that a detector finds, the largest is taken, or the most central, or the
            picture is left out.
        none: a picture without a face, or without landmarks where there is no detector, is left
            out, or the largest square in its middle is taken.
        profile: a face whose nose is beyond an eye (`images.landmarks.is_profile`) is kept, or
            left out: five points fix it badly.
    """

    several: Several = "largest"
    none: Faceless = "leave-out"
    profile: Profile = "keep"

    def __post_init__(self) -> None:
        for name, kind in (("several", Several), ("none", Faceless), ("profile", Profile)):
            if getattr(self, name) not in get_args(kind):
                expected = ", ".join(get_args(kind))
                raise ArcwiseError(f"{name} is {getattr(self, name)!r}; expected one of {expected}")


@dataclass
class Aligned:
    """What was done; it prints itself.

    Attributes:
        path: where the crops are.
        policies: that were followed.
        crops: how many there are.
        several: pictures with more than one face.
        faceless: pictures without one.
        profiles: pictures whose face is a profile.
        unreadable: pictures that cannot be decoded; left out.
        impossible: pictures whose landmarks can be those of no face in them; left out.
        doubtful: crops whose landmarks are odd, and how: outside the picture in part, say.
        pairs: to verify, that are left of the data set's; None where it states none.
        notes: what the data set has to say about itself.
    """

    path: Path
    policies: Policies
    crops: int = 0
    several: list[str] = field(default_factory=list)
    faceless: list[str] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    unreadable: list[ImageError] = field(default_factory=list)
    impossible: list[ImageError] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    pairs: int | None = None
    notes: tuple[str, ...] = ()

    def count(self, image: str, faces: int, profile: bool, doubtful: str | None = None) -> None:
        """Note what a picture was."""
        if faces > 1:
            self.several.append(image)
        if not faces:
            self.faceless.append(image)
        if profile:
            self.profiles.append(image)
        if doubtful:
            self.doubtful.append(f"{image}: {doubtful}")

    @property
    def why(self) -> str:
        """Why there is no crop at all."""
        if self.impossible:
            return f"{len(self.impossible):,} have landmarks that cannot be: {self.impossible[0]}"
        if self.unreadable:
            return str(self.unreadable[0])
        return "none has a face" if self.faceless else "the policies leave all of them out"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _suspicion(self) -> str:
        if len(self.profiles) <= self.crops / 2:
            return ""
        return "; are landmarks written x y, x y, …: eyes, nose, mouth corners, image-left first?"

    def _lines(self) -> Iterator[str]:
        pairs = "" if self.pairs is None else f", {self.pairs:,} pairs to verify"
        yield f"{self.path}: {self.crops:,} crops{pairs}"
        yield from (f"  note: {note}" for note in self.notes)
        several = {"largest": "the largest taken", "central": "the most central taken"}
        faceless = {"centre": "the middle taken"}
        profiles = {"keep": "kept"}
        policies = self.policies
        for what, done, names in (
            ("several faces", several.get(policies.several), self.several),
            ("no face found", faceless.get(policies.none), self.faceless),
            ("profiles", profiles.get(policies.profile), self.profiles),
            ("odd landmarks", "kept", self.doubtful),
            ("landmarks that cannot be", None, [str(error) for error in self.impossible]),
            ("unreadable", None, [str(error) for error in self.unreadable]),
        ):
            if names:
                odd = self._suspicion() if names is self.profiles else ""
                yield f"  {what}, {done or 'left out'} ({len(names):,}){odd}"
                yield from (f"    {name}" for name in names[:_SHOWN])
            if len(names) > _SHOWN:
                yield f"    ... and {len(names) - _SHOWN:,} more"
