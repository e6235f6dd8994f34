"""Routes to look at what is enrolled, to correct it and to remove it."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response

from arcwise.client.messages import (
    ChangedAnswer,
    HeldTemplate,
    IdentitiesAnswer,
    IdentityAnswer,
    IdentityCount,
    QuarantineAnswer,
    RemovedAnswer,
    TemplateAbout,
)
from arcwise.errors import GalleryError
from arcwise.gallery import DamagedGallery, EnrolledTemplate, Gallery
from arcwise.serving.galleries import shown_metadata
from arcwise.serving.problems import RESPONSES, Problem
from arcwise.serving.recognising import Identity, check_enrolled
from arcwise.serving.service import Access, Service
from arcwise.serving.uploads import RESERVED, own_metadata

_PAGE = 1000
_LARGEST_ID = 2**63 - 1

TemplateId = Annotated[int, Path(ge=1, le=_LARGEST_ID, description="Id of the template.")]
TemplateIds = Annotated[
    list[Annotated[int, Query(ge=1, le=_LARGEST_ID)]],
    Body(embed=True, min_length=1, max_length=1000, description="Ids.", examples=[[17, 18]]),
]


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/galleries/{gallery}", tags=["enrolled"], responses=RESPONSES)
    reads = Annotated[Access, Depends(service.for_role("read"))]
    enrols = Annotated[Access, Depends(service.for_role("enrol"))]
    admin = Annotated[Access, Depends(service.for_role("admin"))]

    @routes.get("/identities")
    async def identities(
        response: Response,
        access: reads,
        after: Annotated[
            str | None, Query(max_length=1000, description="Last identity of the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE, description="Identities of a page.")] = 100,
    ) -> IdentitiesAnswer:
        """List the enrolled identities by name, a page at a time."""

        def work() -> IdentitiesAnswer:
            counts = store(access).counts()
            names = [one for one in sorted(counts) if after is None or one > after]
            page = [IdentityCount(one, counts[one]) for one in names[:limit]]
            following = names[limit - 1] if len(names) > limit else None
            return IdentitiesAnswer(page, len(counts), following)

        return await service.answer(access, response, work)

    @routes.get("/identity")
    async def identity(response: Response, access: reads, identity: Identity) -> IdentityAnswer:
        """Show an identity with its templates."""

        def work() -> IdentityAnswer:
            forms = check_enrolled(access, identity)
            found = store(access).templates(identity)
            return IdentityAnswer(forms[0], forms, [_about(access, one) for one in found])

        return await service.answer(access, response, work)

    @routes.get(
        "/templates/{template}/thumbnail",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}, "description": "The small image."}},
    )
    async def thumbnail(response: Response, access: reads, template: TemplateId) -> Response:
        """Return the small image of a template."""

        def work() -> bytes | None:
            _check_present(access, [template])
            return store(access).thumbnail(template)

        image = await service.answer(access, response, work)
        if image is None:
            raise Problem(404, "not_found", f"template {template} has no thumbnail")
        return Response(image, media_type="image/jpeg", headers=dict(response.headers))

    @routes.patch("/identity")
    async def rename(
        response: Response,
        access: admin,
        identity: Identity,
        to: Annotated[
            str, Body(embed=True, min_length=1, max_length=1000, description="The new name.")
        ],
    ) -> ChangedAnswer:
        """Rename an identity; where the new name is enrolled, its templates join that one's."""

        def rename_it() -> list[int]:
            check_enrolled(access, identity)
            ids = [one.template for one in store(access).templates(identity)]
            store(access).assign(ids, to)
            return ids

        return await changed("rename", response, access, rename_it, identity=identity, to=to)

    @routes.put("/templates/{template}/metadata")
    async def annotate(
        response: Response,
        access: enrols,
        template: TemplateId,
        metadata: Annotated[dict[str, Any], Body(examples=[{"shelf": 3}])],
    ) -> ChangedAnswer:
        """Put metadata in the place of a template's; what is recorded of its image stays."""
        own = own_metadata(metadata)

        def annotate_it() -> list[int]:
            _check_present(access, [template])
            found = (one.metadata for one in store(access).templates() if one.template == template)
            before = next(found, {})
            recorded = {key: before[key] for key in RESERVED & set(before)}
            store(access).annotate(template, {**recorded, **own})
            return [template]

        return await changed("annotate", response, access, annotate_it, template=template)

    @routes.put("/templates/{template}/identity")
    async def reassign(
        response: Response,
        access: admin,
        template: TemplateId,
        identity: Annotated[
            str, Body(embed=True, min_length=1, max_length=1000, description="Whose it is.")
        ],
    ) -> ChangedAnswer:
        """Give a template to another identity, enrolled or new."""

        def reassign_it() -> list[int]:
            _check_present(access, [template])
            store(access).assign([template], identity)
            return [template]

        facts = {"template": template, "to": identity}
        return await changed("reassign", response, access, reassign_it, **facts)

    @routes.delete("/identity")
    async def remove(response: Response, access: admin, identity: Identity) -> RemovedAnswer:
        """Remove an identity, in all its written forms, and the vectors of its templates."""

        def remove_it() -> RemovedAnswer:
            gallery = store(access)
            forms = check_enrolled(access, identity)
            return RemovedAnswer(gallery.remove(identity), forms)

        def work() -> RemovedAnswer:
            return access.change(
                "remove", remove_it, lambda one: {"removed": one.templates}, identity=identity
            )

        return await service.answer(access, response, work)

    @routes.delete("/templates/{template}")
    async def remove_template(
        response: Response, access: admin, template: TemplateId
    ) -> RemovedAnswer:
        """Remove one template, in quarantine or not."""

        def remove_it() -> list[int]:
            if template not in {one.template for one, _ in store(access).quarantined()}:
                _check_present(access, [template])
            store(access).remove_templates([template])
            return [template]

        await changed("remove template", response, access, remove_it, template=template)
        return RemovedAnswer(1, [])

    @routes.post("/purge", status_code=204)
    async def purge(response: Response, access: admin) -> None:
        """Make every byte of what was removed or changed unreadable: the file is written again."""

        def purge_it() -> list[int]:
            store(access).purge()
            return []

        await changed("purge", response, access, purge_it)

    @routes.get("/quarantine")
    async def quarantined(response: Response, access: admin) -> QuarantineAnswer:
        """List the templates in quarantine."""

        def work() -> QuarantineAnswer:
            held = store(access).quarantined()
            return QuarantineAnswer([HeldTemplate(_shown(one), reason) for one, reason in held])

        return await service.answer(access, response, work)

    @routes.post("/quarantine")
    async def quarantine(
        response: Response,
        access: admin,
        templates: TemplateIds,
        reason: Annotated[
            str, Body(embed=True, min_length=1, max_length=1000, examples=["blurred"])
        ],
    ) -> ChangedAnswer:
        """Let templates take part in nothing until they are released."""

        def quarantine_them() -> list[int]:
            _check_present(access, templates)
            store(access).quarantine(templates, reason)
            return templates

        facts = {"templates": templates, "why": reason}
        return await changed("quarantine", response, access, quarantine_them, **facts)

    @routes.post("/release")
    async def release(response: Response, access: admin, templates: TemplateIds) -> ChangedAnswer:
        """Let templates in quarantine take part again."""

        def release_them() -> list[int]:
            store(access).release(templates)
            return templates

        return await changed("release", response, access, release_them, templates=templates)

    async def changed(
        action: str,
        response: Response,
        access: Access,
        change: Callable[[], list[int]],
        **facts: Any,
    ) -> ChangedAnswer:
        """Return the ids of the templates that a change was of; it is in the audit log."""
        ids = await service.answer(
            access,
            response,
            lambda: access.change(action, change, lambda ids: {"changed": len(ids)}, **facts),
        )
        return ChangedAnswer(ids)

    return routes


def store(access: Access) -> Gallery:
    """Return the gallery that a request is about."""
    return access.gallery.recogniser.gallery


def _check_present(access: Access, ids: list[int]) -> None:
    """Refuse ids of templates that take part in nothing, or are not there.

    Raises:
        Problem: one is such.
    """
    for one in ids:
        try:
            store(access).thumbnail(one)
        except DamagedGallery:
            raise
        except GalleryError:
            message = f"there is no template {one} in {access.gallery.name}"
            raise Problem(404, "not_enrolled", message) from None


def _about(access: Access, one: EnrolledTemplate) -> TemplateAbout:
    shown = store(access).thumbnail(one.template) is not None
    address = f"/v1/galleries/{access.gallery.name}/templates/{one.template}/thumbnail"
    return TemplateAbout(
        one.template,
        one.identity,
        shown_metadata(one.metadata),
        one.quality,
        address if shown else None,
    )


def _shown(one: EnrolledTemplate) -> EnrolledTemplate:
    metadata = shown_metadata(one.metadata)
    return EnrolledTemplate(one.template, one.identity, metadata, one.quality)
