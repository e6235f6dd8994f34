"""The positional arguments of the commands, under the names that their help shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

ModelFolder = Annotated[Path, Positional, arg(metavar="MODEL")]
ModelName = Annotated[str, Positional, arg(metavar="MODEL")]
Data = Annotated[Path, Positional, arg(metavar="DATA")]
Source = Annotated[Path, Positional, arg(metavar="SOURCE")]
Destination = Annotated[Path, Positional, arg(metavar="DESTINATION")]
OutFile = Annotated[Path, Positional, arg(metavar="OUT")]
GalleryName = Annotated[str, Positional, arg(metavar="GALLERY")]
IdentityName = Annotated[str, Positional, arg(metavar="IDENTITY")]
ImageFile = Annotated[Path, Positional, arg(metavar="IMAGE")]
ImageFiles = Annotated[
    tuple[Path, ...], Positional, arg(metavar="IMAGE [IMAGE ...]", help_behavior_hint="(required)")
]
NetworkFile = Annotated[Path | None, Positional, arg(metavar="NETWORK")]
