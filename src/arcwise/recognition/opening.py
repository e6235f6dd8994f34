"""A gallery and the model that its vectors come from, opened together."""

from __future__ import annotations

from pathlib import Path

from arcwise import runtime
from arcwise.errors import ArcwiseError, GalleryError
from arcwise.gallery import Gallery, open_gallery, shown_address
from arcwise.runtime import Model


def open_with_model(
    gallery: str | Path, model: str | Path | Model | None, *, create: bool, mode: str
) -> tuple[Model, Gallery | None]:
    """Return the model, loaded, and the open gallery; None where it is about to be made.

    In a database it is made now, where it may be.

    The gallery refuses another model than its own.

    Args:
        gallery: the file.
        model: the model, or its folder; None for the one that the gallery recorded.
        create: whether the gallery may be missing.
        mode: "rw" or "r".

    Raises:
        ArcwiseError: no model is named or recorded, or it is not where it was.
        GalleryError: no gallery, or one of another model.
    """
    exists = gallery_may_exist(gallery)
    if not exists:
        if not create:
            raise no_such_gallery(gallery)
        if model is None:
            raise GalleryError(f"{gallery}: no such gallery; to make one, say --model runs/…/model")
        if not Path(gallery).parent.is_dir():
            raise GalleryError(f"{gallery}: no folder {Path(gallery).parent}; make it first")
    if model is not None:
        loaded = model if isinstance(model, Model) else runtime.load(model)
        if not exists:
            return loaded, None
        in_a_database = "://" in str(gallery)  # only opening tells whether it is there
        return loaded, open_gallery(
            gallery, mode=mode, model=loaded, create=create and in_a_database
        )
    store = open_gallery(gallery, mode=mode)
    try:
        return recorded_model(store, gallery), store
    except BaseException:
        store.close()
        raise


def recorded_model(store: Gallery, gallery: str | Path) -> Model:
    """Return the model that an open gallery recorded, loaded from where it was.

    Args:
        store: the open gallery.
        gallery: its file, for errors.

    Raises:
        ArcwiseError: none is recorded, or it is not there.
        GalleryError: another model is there.
    """
    about = store.about()
    if about.model_path is None:
        raise ArcwiseError(
            f"{shown_address(gallery)}: made without a model, so say which embeds: --model …"
        )
    if not Path(about.model_path).exists():
        raise ArcwiseError(
            f"{shown_address(gallery)}: its model was at {about.model_path} and is not there; say "
            "where it is: --model …"
        )
    loaded = runtime.load(about.model_path)
    if about.fingerprint != loaded.fingerprint:
        raise GalleryError(
            f"{about.model_path}: not the model that {shown_address(gallery)} was enrolled with "
            "(its fingerprint "
            "is another); it was trained again: enrol into a new gallery, or name the old model"
        )
    return loaded


def gallery_may_exist(gallery: str | Path) -> bool:
    """Return whether there may be a gallery: a file, or an address, which only opening can tell."""
    return "://" in str(gallery) or Path(gallery).exists()


def no_such_gallery(gallery: str | Path) -> GalleryError:
    """Return the error for a gallery that is not there."""
    return GalleryError(f"{gallery}: no such gallery; `arcwise enrol` makes one")
