"""Routes to look at what is enrolled."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from arcwise.client.gallery_messages import (
    HeldTemplate,
    IdentitiesAnswer,
    IdentityAnswer,
    IdentityCount,
    QuarantineAnswer,
    TemplateAbout,
)
from arcwise.errors import GalleryError
from arcwise.gallery import DamagedGallery, EnrolledTemplate, Gallery
from arcwise.serving.galleries import shown_metadata
from arcwise.serving.problems import RESPONSES, RequestProblem
from arcwise.serving.recognising import Identity, check_enrolled
from arcwise.serving.service import Access, Service

_PAGE = 1000
LARGEST_ID = 2**63 - 1

TemplateId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="Id of the template.")]


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/galleries/{gallery}", tags=["enrolled"], responses=RESPONSES)
    reads = Annotated[Access, Depends(service.for_role("read"))]
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
            check_present(access, [template])
            return store(access).thumbnail(template)

        image = await service.answer(access, response, work)
        if image is None:
            raise RequestProblem(404, "not_found", f"template {template} has no thumbnail")
        return Response(image, media_type="image/jpeg", headers=dict(response.headers))

    @routes.get("/quarantine")
    async def quarantined(response: Response, access: admin) -> QuarantineAnswer:
        """List the templates in quarantine."""

        def work() -> QuarantineAnswer:
            held = store(access).quarantined()
            return QuarantineAnswer([HeldTemplate(_shown(one), reason) for one, reason in held])

        return await service.answer(access, response, work)

    return routes


def store(access: Access) -> Gallery:
    """Return the gallery that a request is about."""
    return access.gallery.recogniser.gallery


def check_present(access: Access, ids: list[int]) -> None:
    """Refuse ids of templates that take part in nothing, or are not there.

    Raises:
        RequestProblem: one is such.
    """
    for one in ids:
        try:
            store(access).thumbnail(one)
        except DamagedGallery:
            raise
        except GalleryError:
            message = f"there is no template {one} in {access.gallery.name}"
            raise RequestProblem(404, "not_enrolled", message) from None


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
