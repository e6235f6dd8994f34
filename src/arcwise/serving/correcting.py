"""Routes that correct what is enrolled: names, metadata, and what takes part."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response

from arcwise.client.gallery_messages import ChangedAnswer
from arcwise.identity import identity_key
from arcwise.serving.enrolled import LARGEST_ID, TemplateId, check_present, store
from arcwise.serving.problems import RESPONSES
from arcwise.serving.recognising import Identity, check_enrolled
from arcwise.serving.service import Access, Service
from arcwise.serving.uploads import RESERVED, own_metadata

TemplateIds = Annotated[
    list[Annotated[int, Query(ge=1, le=LARGEST_ID, strict=True)]],  # `true` is not template 1
    Body(embed=True, min_length=1, max_length=1000, description="Ids.", examples=[[17, 18]]),
]
_Name = Annotated[str, Body(embed=True, min_length=1, max_length=1000, description="Whose.")]


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/galleries/{gallery}", tags=["enrolled"], responses=RESPONSES)
    enrols = Annotated[Access, Depends(service.for_role("enrol"))]
    admin = Annotated[Access, Depends(service.for_role("admin"))]
    changed = service.changed

    @routes.patch("/identity")
    async def rename(
        response: Response,
        access: admin,
        identity: Identity,
        to: Annotated[
            str, Body(embed=True, min_length=1, max_length=1000, description="The new name.")
        ],
    ) -> ChangedAnswer:
        """Rename an identity, with what it has in quarantine.

        Where the new name is enrolled, its templates join that one's.
        """

        def rename_it() -> list[int]:
            key = identity_key(identity)
            held = [one for one, _ in store(access).quarantined()]
            ids = [one.template for one in held if identity_key(one.identity) == key]
            if not ids:
                check_enrolled(access, identity)
            ids += [one.template for one in store(access).templates(identity)]
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
            check_present(access, [template])
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
            check_present(access, [template])
            store(access).assign([template], identity)
            return [template]

        facts = {"template": template, "to": identity}
        return await changed("reassign", response, access, reassign_it, **facts)

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
            check_present(access, templates)
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

    return routes
