"""The galleries of a server, open, with their models and audit logs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from arcwise import runtime
from arcwise.errors import ArcwiseError
from arcwise.gallery import open_gallery
from arcwise.recognition import Recogniser
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery
from arcwise.recognition.together import TOGETHER, images_of
from arcwise.runtime import Model
from arcwise.serving.audit_log import AuditLog
from arcwise.serving.batching import BatchingEngine
from arcwise.serving.settings import BatchSettings, GallerySettings


class Counts(NamedTuple):
    """How many templates a gallery has of what.

    Attributes:
        spread: of an identity: the fewest, the median and the most; None in an empty gallery.
        of_several: of several images together.
        images: that these are of.
    """

    spread: tuple[int, float, int] | None
    of_several: int
    images: int


class ServedGallery:
    """One gallery, as a server has it.

    Args:
        name: in addresses.
        settings: of the gallery.
        model: loaded; its engine takes calls of many threads.

    Attributes:
        name: in addresses.
        recogniser: that answers.
        audit: the log of who did what.
        thumbnails: longer side of what is kept for a person to see; 0 keeps nothing.
    """

    def __init__(self, name: str, settings: GallerySettings, model: Model) -> None:
        if settings.audit is None and "://" in settings.path:
            raise ArcwiseError(f"galleries.{name}: not in a file, so say where its log is: audit")
        self.name, self.thumbnails = name, settings.thumbnails
        self.recogniser = Recogniser(model, settings.path, create=True)
        self._path = settings.path
        self._numbers = lru_cache(1)(lambda about: self._counted())  # until something changes
        log = settings.audit or Path(f"{settings.path}.audit.jsonl")
        try:
            _ = self.recogniser.gallery  # made now, and not by the first who enrols
            self.audit = AuditLog(log, settings.audit_images)
        except BaseException:
            self.recogniser.close()
            raise

    @property
    def files(self) -> list[Path]:
        """The gallery's file, and those of SQLite next to it; none of one on a database server."""
        every = [Path(f"{self._path}{suffix}") for suffix in ("", "-wal", "-shm")]
        return [one for one in every if one.exists()]

    def counted(self) -> Counts:
        """Return how many templates there are of what; nothing is counted again in vain."""
        return self._numbers(self.recogniser.gallery.about())

    def _counted(self) -> Counts:
        gallery = self.recogniser.gallery
        counts = list(gallery.counts().values())
        spread = (min(counts), float(median(counts)), max(counts)) if counts else None
        sizes = [len(images_of(one.metadata)) for one in gallery.templates()]
        several = [one for one in sizes if one > 1]
        return Counts(spread, len(several), sum(several))

    def outgrown(self) -> bool:
        """Return whether more is enrolled than when the gallery was calibrated."""
        size, calibration, _ = self.recogniser.operating_point()
        return calibration is not None and calibration.outgrown(size)

    def public(self, text: str) -> str:
        """Return a message without the places of files on this machine."""
        model = self.recogniser.model
        for place, name in ((self._path, self.name), (os.fspath(model.path), "MODEL")):
            for form in (os.path.abspath(place), place):
                text = text.replace(form, name)
        return re.sub(r"\bpostgres(ql)?://\S+\w", self.name, text)


def open_galleries(
    settings: Mapping[str, GallerySettings],
    batch: BatchSettings,
    on_batch: Callable[[int], object],
) -> tuple[dict[str, ServedGallery], list[BatchingEngine]]:
    """Return the open galleries and the engines behind them; a model is loaded once.

    Args:
        settings: by name.
        batch: how images become one call.
        on_batch: called with the images of every call of a model.

    Raises:
        ArcwiseError: a gallery or its model cannot be opened; none is left open then.
    """
    models: dict[str, Model] = {}
    engines: list[BatchingEngine] = []
    opened: dict[str, ServedGallery] = {}
    try:
        for name, one in settings.items():
            place = os.path.realpath(one.model or _recorded_model(one.path))
            if place not in models:
                loaded = runtime.load(place, runtime="onnx")
                engine = BatchingEngine(
                    loaded.engine, images=batch.images, wait=batch.wait, on_batch=on_batch
                )
                engines.append(engine)
                models[place] = replace(loaded, engine=engine)
            opened[name] = ServedGallery(name, one, models[place])
    except BaseException:
        close_galleries(opened, engines)
        raise
    return opened, engines


def close_galleries(opened: Mapping[str, ServedGallery], engines: list[BatchingEngine]) -> None:
    """Close all of them."""
    for engine in engines:
        engine.close()
    for one in opened.values():
        one.recogniser.close()


def shown_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata without the places of files on this machine."""
    return {key: _shown(key, value) for key, value in metadata.items() if key != "root"}


def _shown(key: str, value: Any) -> Any:
    if key == "image" and isinstance(value, str) and os.path.isabs(value):
        return os.path.basename(value)
    if key == TOGETHER and isinstance(value, list):
        return [shown_metadata(one) if isinstance(one, dict) else one for one in value]
    return value


def _recorded_model(path: str) -> str:
    """Return where a gallery says that its model is."""
    if not gallery_may_exist(path):
        raise no_such_gallery(path)
    with open_gallery(path, mode="r") as gallery:
        recorded = gallery.about().model_path
    if recorded is None or not Path(recorded).exists():
        where = "none is recorded" if recorded is None else f"it was at {recorded}"
        raise ArcwiseError(
            f"{path}: say which model embeds, as {where}: arcwise serve MODEL GALLERY"
        )
    return recorded
