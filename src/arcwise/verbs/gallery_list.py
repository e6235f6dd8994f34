"""Gallery list: who is enrolled, and with which templates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arcwise.client import Client
from arcwise.client.gallery_messages import TemplateAbout
from arcwise.errors import ArcwiseError, GalleryError, suggestion
from arcwise.gallery import EnrolledTemplate, open_gallery, shown_address
from arcwise.identity import identity_key
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery
from arcwise.recognition.thresholds import unmet_condition
from arcwise.verbs.asking import is_address


@dataclass(frozen=True)
class ListedTemplate:
    """One template.

    Attributes:
        template: its number.
        identity: whose it is.
        quality: as the model estimated it; None where it did not.
        metadata: the JSON object of it.
        quarantine: why it takes part in nothing; None where it does.
    """

    template: int
    identity: str
    quality: float | None
    metadata: dict[str, Any]
    quarantine: str | None = None


def list_identities(gallery: str | Path) -> dict[str, int]:
    """Return how many templates each identity has, in the order of the identities.

    Raises:
        GalleryError: no gallery.
    """
    if is_address(gallery):
        with Client(str(gallery)) as client:
            return client.identities()
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery, mode="r") as store:
        return store.counts()


def list_templates(
    gallery: str | Path,
    identity: str | None = None,
    *,
    where: str | None = None,
    quarantined: bool = False,
) -> list[ListedTemplate]:
    """Return templates, the oldest first.

    Args:
        gallery: the file, or its address on a server.
        identity: whose; of an identity, those in quarantine too.
        where: a condition on the metadata of those that take part.
        quarantined: only those in quarantine.

    Raises:
        GalleryError: no gallery, nobody of that name, or a condition that cannot be read.
    """
    if is_address(gallery):
        if where is not None:
            raise ArcwiseError(
                f"{shown_address(gallery)}: a server lists no templates by --where; run it where "
                "the gallery lies, or search there with --where"
            )
        with Client(str(gallery)) as client:
            return _on_server(client, identity)
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery, mode="r") as store:
        part = [] if quarantined else store.templates(identity, where=where)
        held = store.quarantined() if where is None else []
        if identity is not None:
            key = identity_key(identity)
            held = [(one, why) for one, why in held if identity_key(one.identity) == key]
            if not part and not held and not store.forms(identity):
                hint = suggestion(identity, store.identities()) or "`arcwise gallery list` has all"
                raise GalleryError(
                    f"{shown_address(gallery)}: {identity!r} is not enrolled; {hint}"
                )
        elif not quarantined:
            held = []
    rows = [_listed(one) for one in part] + [_listed(one, why) for one, why in held]
    return sorted(rows, key=lambda one: one.template)


def unmet(gallery: str | Path, where: str) -> str:
    """Return why no template of a file can meet a condition, in words; empty where one could."""
    with open_gallery(gallery, mode="r") as store:
        return unmet_condition(store, where)


def shows_quarantine(gallery: str | Path) -> bool:
    """Return whether templates in quarantine are listed: by a server, for the role admin alone."""
    if not is_address(gallery):
        return True
    with Client(str(gallery)) as client:
        return client.about().role == "admin"


def _on_server(client: Client, identity: str | None) -> list[ListedTemplate]:
    """Return the templates of an identity, or those in quarantine."""
    if identity is None:
        return [_listed(one.template, one.reason) for one in client.quarantined()]
    key = identity_key(identity)
    held = client.quarantined() if client.about().role == "admin" else []
    rows = [
        _listed(one.template, one.reason)
        for one in held
        if identity_key(one.template.identity) == key
    ]
    try:
        rows += map(_listed, client.identity(identity).templates)
    except GalleryError:
        if not rows:
            raise
    return sorted(rows, key=lambda one: one.template)


def _listed(one: EnrolledTemplate | TemplateAbout, why: str | None = None) -> ListedTemplate:
    return ListedTemplate(one.template, one.identity, one.quality, one.metadata, why)
