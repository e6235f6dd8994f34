"""The model that a gallery's vectors come from."""

from __future__ import annotations

from pathlib import Path

from arcwise import runtime
from arcwise.errors import ArcwiseError, GalleryError
from arcwise.gallery import open_gallery
from arcwise.runtime import Model


def gallery_model(gallery: str | Path, model: str | Path | None, *, create: bool = False) -> Model:
    """Return the model named, or else the one that the gallery recorded; its fingerprint must fit.

    What is wrong with the gallery is said before any image is embedded.

    Args:
        gallery: the file.
        model: the model folder, or None for the one recorded.
        create: whether the gallery may be missing, and is then about to be made.

    Raises:
        ArcwiseError: no model is named or recorded, or it is not where it was.
        GalleryError: no gallery, or one of another model.
    """
    if not gallery_may_exist(gallery):
        if not create:
            raise no_such_gallery(gallery)
        if model is None:
            raise GalleryError(f"{gallery}: no such gallery; to make one, say --model runs/…/model")
        if not Path(gallery).parent.is_dir():
            raise GalleryError(f"{gallery}: no folder {Path(gallery).parent}; make it first")
        return runtime.load(model)
    if model is not None:
        loaded = runtime.load(model)
        with open_gallery(gallery, mode="r", model=loaded):  # refuses another model
            return loaded
    with open_gallery(gallery, mode="r") as store:
        recorded, fingerprint = store.model_path, store.fingerprint
    if recorded is None:
        raise ArcwiseError(f"{gallery}: made without a model, so say which embeds: --model …")
    if not Path(recorded).exists():
        raise ArcwiseError(
            f"{gallery}: its model was at {recorded} and is not there; say where it is: --model …"
        )
    loaded = runtime.load(recorded)
    if fingerprint != loaded.fingerprint:
        raise GalleryError(
            f"{recorded}: not the model that {gallery} was enrolled with (its fingerprint is "
            "another); it was trained again: enrol into a new gallery, or name the old model"
        )
    return loaded


def gallery_may_exist(gallery: str | Path) -> bool:
    """Return whether there may be a gallery: a file, or an address, which only opening can tell."""
    return "://" in str(gallery) or Path(gallery).exists()


def no_such_gallery(gallery: str | Path) -> GalleryError:
    """Return the error for a gallery that is not there."""
    return GalleryError(f"{gallery}: no such gallery; `arcwise enrol` makes one")
