"""The galleries of a server, open, with their models and audit logs."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from arcwise import runtime
from arcwise.bundle import read_bundle
from arcwise.bundle.description import CALIBRATION, DESCRIPTION
from arcwise.errors import ArcwiseError
from arcwise.gallery import open_gallery, shown_address
from arcwise.recognition import Recogniser
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery
from arcwise.recognition.together import TOGETHER, images_of
from arcwise.runtime import Model
from arcwise.serving.audit_log import AuditLog
from arcwise.serving.batching import BatchingEngine
from arcwise.serving.handover import Handover, Turnstile
from arcwise.serving.problems import RequestProblem
from arcwise.serving.settings import BatchSettings, GallerySettings

_LOG = logging.getLogger("arcwise.serving")


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
        models: that loads its model.

    Attributes:
        name: in addresses.
        recogniser: that answers.
        audit: the log of who did what.
        thumbnails: whether a small image is kept with each template.
        turnstile: that requests pass.
        problem: why it could not be opened again; empty where it is open.
    """

    def __init__(self, name: str, settings: GallerySettings, models: Models) -> None:
        self.name, self.thumbnails = name, settings.thumbnails
        self._path, self._models = settings.path, models
        self.turnstile, self.problem = Turnstile(), ""
        self._guard, self._away = threading.Lock(), ""
        model = models.load(settings.model or _recorded_model(settings.path))
        self.recogniser = Recogniser(model, settings.path, create=True)
        self._numbers = lru_cache(1)(lambda about: self._counted())  # until something changes
        try:
            _ = self.recogniser.gallery  # made now, and not by the first who enrols
            self.audit = AuditLog(settings.log, settings.audit_images)
        except BaseException:
            self.recogniser.close()
            raise

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Keep the gallery open in a block; wait while another takes its place.

        Raises:
            RequestProblem: it could not be opened again.
        """
        with self.turnstile.passing():
            if self.problem:
                raise RequestProblem(503, "not_ready", f"gallery {self.name}: {self.problem}")
            yield

    def note_database(self, away: str) -> None:
        """Log that the gallery's database has gone away, and that it is back: once each.

        Args:
            away: why it does not answer; empty where it does.
        """
        with self._guard:
            before, self._away = self._away, away
        if away and not before:
            _LOG.error("gallery %s: its database does not do what it is asked: %s", self.name, away)
        elif before and not away:
            _LOG.warning("gallery %s: its database answers again", self.name)

    def open_again(self) -> None:
        """Open what is now in the gallery's place, by the model that it records.

        Raises:
            ArcwiseError: it cannot be opened.
        """
        try:
            if not gallery_may_exist(self._path):
                raise no_such_gallery(self._path)
            with open_gallery(self._path, mode="r") as now:
                same = now.fingerprint == self.recogniser.model.fingerprint
            model = self.recogniser.model
            if not same:
                model = self._models.load(_recorded_model(self._path))
            self.recogniser = Recogniser(model, self._path)
        except ArcwiseError as problem:
            self.problem = self.public(str(problem))
            raise
        self.problem = ""

    def take_up_thresholds(self) -> None:
        """Decide by what `arcwise calibrate` wrote into the model folder since it was read."""
        self.recogniser.model = self._models.as_it_is_now(self.recogniser.model)

    @property
    def file(self) -> Path:
        """The gallery's file."""
        return Path(self._path)

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
            text = text.replace(os.path.abspath(place), name)
            for form in {place, os.path.normpath(place)}:
                text = re.sub(rf"(?<![\w./-]){re.escape(form)}(?!\w)", name, text)
        return re.sub(r"\bpostgres(ql)?://\S+\w", self.name, text)


class Models:
    """Models, each loaded once, whose engines take calls of many threads.

    Args:
        batch: how images become one call.
        on_batch: called with the images of every call of a model.
    """

    def __init__(self, batch: BatchSettings, on_batch: Callable[[int], object]) -> None:
        self._batch, self._on_batch = batch, on_batch
        self._loaded: dict[tuple[str, int], Model] = {}
        self._looked_at: set[tuple[str, int]] = set()
        self._engines: list[BatchingEngine] = []

    def load(self, model: str | Path) -> Model:
        """Return a model.

        Raises:
            ArcwiseError: it cannot be loaded.
        """
        place = os.path.realpath(model)
        version = _written(place)
        if (place, version) not in self._loaded:
            loaded = runtime.load(place, runtime="onnx")
            engine = BatchingEngine(
                loaded.engine,
                images=self._batch.images,
                wait=self._batch.wait,
                on_batch=self._on_batch,
            )
            self._engines.append(engine)
            self._loaded[place, version] = replace(loaded, engine=engine)
        return self._loaded[place, version]

    def as_it_is_now(self, model: Model) -> Model:
        """Return a loaded model with the thresholds that are now in its folder.

        Where another model is there, or none that can be read, it is the one that is loaded.
        """
        place = os.fspath(model.path)
        version = _written(place)
        if model.bundle is None or not version:
            return model
        found = self._loaded.get((place, version), model)
        if (place, version) in self._loaded or (place, version) in self._looked_at:
            return found if found.fingerprint == model.fingerprint else model
        self._looked_at.add((place, version))
        try:
            now = read_bundle(place)
        except ArcwiseError as problem:
            _LOG.error("model %s: its thresholds stay as they were: %s", model.name, problem)
            return model
        if now.fingerprint != model.fingerprint:
            _LOG.error("model %s: another one is in its folder now, and not used", model.name)
            return model
        measured = {name: getattr(now, name) for name in (*CALIBRATION, "history", "digests")}
        again = replace(model, bundle=replace(model.bundle, **measured))
        self._loaded[place, version] = again
        _LOG.warning("model %s: the thresholds of its folder decide from now on", model.name)
        return again

    def close(self) -> None:
        """End all engines."""
        for one in self._engines:
            one.close()


class OpenGalleries:
    """The galleries of a server.

    Args:
        settings: by name.
        batch: how images become one call.
        on_batch: called with the images of every call of a model.

    Attributes:
        by_name: the galleries.

    Raises:
        ArcwiseError: a gallery or its model cannot be opened; none is left open then.
    """

    def __init__(
        self,
        settings: Mapping[str, GallerySettings],
        batch: BatchSettings,
        on_batch: Callable[[int], object],
    ) -> None:
        self._models = Models(batch, on_batch)
        self.by_name: dict[str, ServedGallery] = {}
        self._handover: Handover | None = None
        try:
            for name, one in settings.items():
                self.by_name[name] = ServedGallery(name, one, self._models)
        except BaseException:
            self.close()
            raise
        in_files = [self.by_name[name] for name, one in settings.items() if "://" not in one.path]
        self._handover = Handover(in_files, self._take_up_thresholds)

    def _take_up_thresholds(self) -> None:
        for one in self.by_name.values():
            one.take_up_thresholds()

    def close(self) -> None:
        """Close all of them."""
        if self._handover is not None:
            self._handover.close()
        self._models.close()
        for one in self.by_name.values():
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


def _written(model: str) -> int:
    """Return when a model folder was written last, in nanoseconds; 0 where there is none."""
    description = Path(model, DESCRIPTION)
    written = description if description.exists() else Path(model)
    try:
        return written.stat().st_mtime_ns
    except OSError:
        return 0


def _recorded_model(path: str) -> str:
    """Return where a gallery says that its model is."""
    if not gallery_may_exist(path):
        raise no_such_gallery(path)
    with open_gallery(path, mode="r") as gallery:
        recorded = gallery.about().model_path
    if recorded is None or not Path(recorded).exists():
        where = "none is recorded" if recorded is None else f"it was at {recorded}"
        raise ArcwiseError(
            f"{shown_address(path)}: say which model embeds, as {where}: arcwise serve MODEL "
            "GALLERY"
        )
    return recorded
