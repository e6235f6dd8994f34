"""From an address to a gallery: creating it, opening it, and binding it to a model."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from arcwise.errors import GalleryError, in_one_line
from arcwise.gallery.connection import create as create_file
from arcwise.gallery.contract import Gallery
from arcwise.gallery.embedded import EmbeddedGallery
from arcwise.gallery.sql import About

if TYPE_CHECKING:
    from arcwise.gallery.milvus import MilvusGallery
    from arcwise.gallery.milvus.address import MilvusAddress
    from arcwise.gallery.postgres import PostgresGallery
    from arcwise.gallery.postgres.address import PostgresAddress

_ON_A_SERVER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_POSTGRES = ("postgresql", "postgres")
_MILVUS = ("milvus", "milvus-lite")


class EmbeddingModel(Protocol):
    """What a gallery must know of the model that makes its vectors; `runtime.Model` is one."""

    @property
    def fingerprint(self) -> str:
        """The same for the same weights and preparation, and for no others."""

    @property
    def dim(self) -> int:
        """Dimensions of its embeddings."""

    @property
    def path(self) -> str | os.PathLike[str]:
        """Where it lies."""


def open_gallery(
    path: str | os.PathLike[str],
    *,
    create: bool = False,
    model: EmbeddingModel | None = None,
    dim: int | None = None,
    mode: str = "rw",
) -> Gallery:
    """Open the gallery at a path or an address; it is a context manager that closes itself.

    A gallery belongs to the model it was created with, and refuses another: vectors of two models
    cannot be compared. One created with `dim` alone belongs to none, and checks only the size and
    the length of the vectors.

    Args:
        path: one file, such as "shop.gallery"; while it is open, SQLite keeps two more beside it.
            Or "postgresql://user@host/database?gallery=shop", or "milvus://host:19530/?gallery=shop".
        create: make the gallery if there is none; one that exists is opened.
        model: the model whose vectors go in, or come to be searched.
        dim: dimensions of the vectors, where there is no model.
        mode: "rw", or "r" to search without being able to change anything.

    Raises:
        GalleryError: no gallery there, not a gallery, or one for another model or size.
        DamagedGallery: a gallery whose bytes are not those that were written.
    """
    if mode not in ("rw", "r"):
        raise GalleryError(f"mode is {mode!r}; expected 'rw' or 'r'")
    if create and mode == "r":
        raise GalleryError("create=True writes a gallery and mode='r' forbids it; choose one")
    size, writable = _size(model, dim), mode == "rw"
    if _ON_A_SERVER.match(os.fspath(path)):
        shown, gallery = _on_a_server(os.fspath(path), create, model, size, writable=writable)
    else:
        shown, gallery = str(path), _in_a_file(Path(path), create, model, size, writable=writable)
    try:
        _check_binding(gallery, shown, model, size)
    except BaseException:
        gallery.close()
        raise
    return gallery


def shown_address(gallery: str | os.PathLike[str]) -> str:
    """Return where a gallery is, as a message may say it: an address without a password."""
    text = os.fspath(gallery)
    scheme, _, rest = text.partition("://")
    if not _ON_A_SERVER.match(text):
        return text
    if scheme in ("http", "https"):
        return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
    read: Callable[[str], PostgresAddress | MilvusAddress]
    try:
        if scheme in _POSTGRES:
            from arcwise.gallery.postgres.address import read_address as read
        elif scheme in _MILVUS:
            from arcwise.gallery.milvus.address import read_address as read
        else:
            return f"{scheme}://…"
        return read(text).shown
    except (GalleryError, ImportError):  # what cannot be read may have a password in any part
        return f"{scheme}://…"


def _in_a_file(
    path: Path, create: bool, model: EmbeddingModel | None, size: int | None, *, writable: bool
) -> EmbeddedGallery:
    if create and not path.exists():
        if size is None:
            raise GalleryError(f"{path}: a new gallery needs model=..., or dim=... without one")
        create_file(path, _about(model, size))
    return EmbeddedGallery(path, writable=writable)


def _on_a_server(
    address: str, create: bool, model: EmbeddingModel | None, size: int | None, *, writable: bool
) -> tuple[str, Gallery]:
    """Return a gallery on a server, and its address without a password."""
    scheme = address.partition("://")[0]
    make: Callable[..., PostgresGallery | MilvusGallery]
    if scheme in _POSTGRES:
        _need("psycopg", "PostgreSQL", "postgres")
        from arcwise.gallery.postgres import PostgresGallery as make
    elif scheme in _MILVUS:
        _need("pymilvus", "Milvus", "milvus")
        from arcwise.gallery.milvus import MilvusGallery as make
    elif scheme in ("http", "https"):
        raise GalleryError(
            f"{address}: a server has no call for this command; run it where the gallery lies, "
            "with its file. Calls there are for search, watchlist, verify, enrol, remove, and "
            "gallery info, list, rename, release, purge and audit"
        )
    else:
        raise GalleryError(
            f"galleries at {scheme}:// addresses are not supported; give the path of a file, such "
            "as shop.gallery, or postgresql://user@host/database?gallery=shop, or "
            "milvus://host:19530/?gallery=shop"
        )
    about = None if model is None else _about(model, model.dim)
    gallery = make(
        address,
        writable=writable,
        create=create,
        dim=size,
        fingerprint=None if about is None else about.fingerprint,
        model=None if about is None else about.model,
    )
    return gallery.address.shown, gallery


def _need(package: str, server: str, extra: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise GalleryError(
            f"galleries on {server} need {package} ({in_one_line(error)}): "
            f"pip install 'arcwise[{extra}]'"
        ) from error


def _about(model: EmbeddingModel | None, dim: int) -> About:
    if model is None:
        return About(dim, None, None)
    path = os.fsencode(os.path.abspath(model.path)).decode(errors="replace")  # shown, not opened
    return About(dim, model.fingerprint, path)


def _size(model: EmbeddingModel | None, dim: int | None) -> int | None:
    if model is not None and not isinstance(getattr(model, "fingerprint", None), str):
        raise GalleryError(f"model is {model!r}; expected a loaded model: arcwise.load(path)")
    if model is not None and dim is not None and dim != model.dim:
        raise GalleryError(
            f"dim is {dim} and the model's vectors have {model.dim} dimensions; leave dim out"
        )
    size = dim if model is None else model.dim
    if size is not None and (not isinstance(size, int) or size < 1):
        raise GalleryError(f"dim is {size!r}; expected a whole number, 1 or more")
    return size


def _check_binding(
    gallery: Gallery, path: str, model: EmbeddingModel | None, size: int | None
) -> None:
    if model is not None and gallery.fingerprint not in (None, model.fingerprint):
        raise GalleryError(
            f"{path} belongs to the model {str(gallery.fingerprint)[:12]} (created from "
            f"{gallery.model_path}), and this one is {model.fingerprint[:12]} ({model.path}): use "
            "that model, or enrol into a new gallery"
        )
    if size is not None and size != gallery.dim:
        raise GalleryError(
            f"{path} holds vectors of {gallery.dim} dimensions, and {size} were asked for"
        )
