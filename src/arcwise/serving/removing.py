"""Routes that remove: an identity, a template, and every trace of both."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from arcwise.client.gallery_messages import RemovedAnswer
from arcwise.serving.enrolled import TemplateId, check_present, store
from arcwise.serving.problems import RESPONSES
from arcwise.serving.recognising import Identity, check_enrolled
from arcwise.serving.service import Access, Service


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/galleries/{gallery}", tags=["enrolled"], responses=RESPONSES)
    admin = Annotated[Access, Depends(service.for_role("admin"))]
    changed = service.changed

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
                check_present(access, [template])
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

    return routes
