"""Routes that say how the server and its galleries are."""

import os
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from arcwise.client.gallery_messages import (
    CalibrationAnswer,
    GalleriesAnswer,
    GalleryAnswer,
    HealthAnswer,
    ReadyAnswer,
    ReadyGallery,
    RequestLimits,
)
from arcwise.errors import ArcwiseError
from arcwise.gallery import OperatingPoint, nearest, operating_points
from arcwise.serving import examples
from arcwise.serving.galleries import ServedGallery
from arcwise.serving.metrics import CONTENT_TYPE
from arcwise.serving.problems import DESCRIBED, RESPONSES, RequestProblem
from arcwise.serving.recognising import Far, Fpir
from arcwise.serving.service import Access, Credentials, Service, problem_of
from arcwise.version import __version__


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["state"])
    reads = Annotated[Access, Depends(service.for_role("read"))]

    @routes.get("/health")
    async def health() -> HealthAnswer:
        """Say that the process answers; needs no key."""
        return HealthAnswer("ok", __version__)

    @routes.get(
        "/ready",
        responses={503: {"model": ReadyAnswer}},
        openapi_extra={"security": [{}]},  # a key is not needed
    )
    async def ready(request: Request, response: Response, key: Credentials) -> ReadyAnswer:
        """Say whether every gallery answers, and whether one has outgrown its calibration.

        Without a key no gallery is named.
        """
        every = await service.work(lambda: [_state(one) for one in service.galleries.values()])
        holder = service.keys.holder(None if key is None else key.credentials)
        shown = [one for one in every if holder is not None and holder.opens(one.gallery)]
        well = all(one.ready for one in every)
        response.status_code = 200 if well else 503
        return ReadyAnswer(well, any(one.outgrown for one in every), shown)

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **RESPONSES},
    )
    async def metrics(request: Request, key: Credentials) -> Response:
        """Count for Prometheus: what the key opens, and for a key to all the process too."""
        holder = service.holder(request, key)

        def work() -> bytes:
            for name, served in service.galleries.items():
                if holder.opens(name):
                    try:
                        with served.in_use():
                            size, calibration, _ = served.recogniser.operating_point()
                    except (ArcwiseError, RequestProblem):  # the others are still measured
                        service.metrics.measure(name, None, False)
                        continue
                    outgrown = calibration is not None and calibration.outgrown(size)
                    service.metrics.measure(name, size, outgrown)
            return service.metrics.text(holder.opens, process=holder.opens_all)

        return Response(await service.work(work), media_type=CONTENT_TYPE)

    @routes.get("/v1/galleries", responses={**RESPONSES, **DESCRIBED})
    async def galleries(request: Request, key: Credentials) -> GalleriesAnswer:
        """List the galleries that the key opens."""
        holder = service.holder(request, key)
        return GalleriesAnswer([one for one in sorted(service.galleries) if holder.opens(one)])

    @routes.get("/v1/galleries/{gallery}", responses=RESPONSES)
    async def gallery(response: Response, access: reads) -> GalleryAnswer:
        """Show a gallery: what is enrolled, by which model, and what decides."""
        limits = service.settings.limits

        def work() -> GalleryAnswer:
            served = access.gallery
            model, files = served.recogniser.model, served.files
            size, _, _ = served.recogniser.operating_point()
            counts = served.counted()
            written = max((one.stat().st_mtime for one in files[:2]), default=None)
            changed = None
            if written is not None:
                changed = datetime.fromtimestamp(written).astimezone().isoformat(timespec="seconds")
            return GalleryAnswer(
                gallery=served.name,
                role=access.holder.role,
                size=size,
                dim=model.dim,
                model=model.name,
                fingerprint=model.fingerprint,
                licence=model.licence,
                estimates_quality=model.estimates_quality,
                templates_an_identity=counts.spread,
                bytes=sum(os.path.getsize(one) for one in files),
                changed=changed,
                of_several=counts.of_several,
                images=counts.images,
                decides=_calibration(served, None, None),
                limits=RequestLimits(
                    limits.images, limits.image_bytes, limits.body_bytes, limits.pixels, limits.hits
                ),
                aligns=model.aligns,
            )

        return await service.answer(access, response, work)

    @routes.get(
        "/v1/galleries/{gallery}/calibration", responses={**RESPONSES, **examples.CALIBRATION}
    )
    async def calibration(
        response: Response, access: reads, far: Far = None, fpir: Fpir = None
    ) -> CalibrationAnswer:
        """Say what decides a search at a rate, and the measurement that it rests on."""
        return await service.answer(
            access, response, lambda: _calibration(access.gallery, far, fpir)
        )

    return routes


def _calibration(served: ServedGallery, far: float | None, fpir: float | None) -> CalibrationAnswer:
    model = served.recogniser.model
    size, calibration, point = served.recogniser.operating_point(far=far, fpir=fpir)
    points = []
    if size.templates:
        every = operating_points(size, model.thresholds, model.search_thresholds, calibration)
        points = _deciding(every, point)
    return CalibrationAnswer(
        point=point,
        promise="" if point is None else str(point),
        points=points,
        thresholds=list(model.thresholds),
        measured_on="" if model.bundle is None else model.bundle.measured_on,
        calibration=calibration,
        outgrown=calibration is not None and calibration.outgrown(size),
    )


def _deciding(points: list[OperatingPoint], used: OperatingPoint | None) -> list[OperatingPoint]:
    """Return the points that decide at some rate and the one in use, the highest rate first.

    Of a dozen measurements of galleries of other sizes most decide at none.
    """
    chosen = [nearest(points, one.fpir) for one in points if one.promises]
    kept = [one for one in points if one == used or one in chosen]
    return sorted(kept, key=lambda one: (-one.fpir, one.threshold))


def _state(served: ServedGallery) -> ReadyGallery:
    try:
        with served.in_use():
            outgrown = served.outgrown()
            served.note_database("")
    except RequestProblem as problem:
        return ReadyGallery(served.name, False, False, problem.detail)
    except ArcwiseError as problem:
        return ReadyGallery(served.name, False, False, problem_of(problem, served).detail)
    return ReadyGallery(served.name, True, outgrown, "")
