"""The route that says what does not look right among enrolled templates."""

import threading
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from arcwise.client.gallery_messages import AuditAnswer
from arcwise.errors import ArcwiseError, missing_package
from arcwise.gallery import operating_points
from arcwise.serving import examples
from arcwise.serving.enrolled import store
from arcwise.serving.problems import RESPONSES, RequestProblem
from arcwise.serving.service import Access, Service


def router(service: Service) -> APIRouter:
    """Return the route."""
    routes = APIRouter(prefix="/v1/galleries/{gallery}", tags=["enrolled"], responses=RESPONSES)
    admin = Annotated[Access, Depends(service.for_role("admin"))]
    free = threading.Semaphore(1)  # each takes all cores

    @routes.get("/audit", responses=examples.AUDIT)
    async def audit(response: Response, access: admin) -> AuditAnswer:
        """Find duplicates, hubs, one identity under two names, and templates that do not fit.

        Nothing is changed. All templates are compared, which takes time with the square of their
        number: a gallery of more than `limits.audit_templates` is refused, and a server makes one
        audit at a time: meanwhile others get the status 503.
        """

        def work() -> AuditAnswer:
            size, calibration, _ = access.gallery.recogniser.operating_point()
            most = service.settings.limits.audit_templates
            if size.templates > most:
                raise ArcwiseError(
                    f"{size.templates:,} templates, more than the {most:,} that are audited over "
                    "HTTP; run arcwise gallery audit where the gallery lies"
                )
            model, points = access.gallery.recogniser.model, []
            if size.templates:
                points = operating_points(
                    size, model.thresholds, model.search_thresholds, calibration
                )
            try:
                from arcwise.verbs.gallery_audit import audit_store  # scipy: not for every server
            except ImportError as problem:
                package = missing_package(str(problem.name))
                raise ArcwiseError(f"the server cannot audit; {package}, there") from None
            found = audit_store(store(access), points, "sound")
            access.log("audit", findings=len(found.findings))
            return found

        def alone() -> AuditAnswer:
            if not free.acquire(blocking=False):
                raise RequestProblem(503, "busy", "another audit is made", {"Retry-After": "1"})
            try:
                return work()
            finally:
                free.release()

        return await service.answer(access, response, alone)

    return routes
