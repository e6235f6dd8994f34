"""The route that enrols: images of one identity, of which those that can be used are kept."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from arcwise.client.messages import EnrolAnswer, LowQualityImage
from arcwise.errors import ImageError, UnreadableImages
from arcwise.gallery import Receipt
from arcwise.recognition.new_templates import templates_of
from arcwise.recognition.together import weighting
from arcwise.runtime import Embedded
from arcwise.serving import examples
from arcwise.serving.problems import RESPONSES, RequestProblem
from arcwise.serving.recognising import Identity, embedded_images, failed
from arcwise.serving.service import Access, Service
from arcwise.serving.uploads import REQUEST_BODY, Upload, read_upload


def router(service: Service) -> APIRouter:
    """Return the route."""
    routes = APIRouter(prefix="/v1/galleries/{gallery}", tags=["enrolled"], responses=RESPONSES)
    enrols = Annotated[Access, Depends(service.for_role("enrol"))]

    @routes.post("/enrol", openapi_extra={"requestBody": REQUEST_BODY}, responses=examples.ENROL)
    async def enrol(
        request: Request,
        response: Response,
        access: enrols,
        identity: Identity,
        together: Annotated[bool, Query(description="Make one template of all images.")] = False,
        replace: Annotated[
            bool, Query(description="Remove the identity's older templates; takes an admin key.")
        ] = False,
        new: Annotated[bool, Query(description="Refuse an identity that is enrolled.")] = False,
        partial: Annotated[
            bool, Query(description="Enrol the images that can be used, and report the others.")
        ] = True,
        least_quality: Annotated[
            float | None,
            Query(
                ge=0,
                allow_inf_nan=False,
                description="Refuse images below this quality, for a model that estimates one.",
            ),
        ] = None,
    ) -> EnrolAnswer:
        """Enrol images of one identity; they are on disk before the answer.

        An image that cannot be used does not stop the others: it is in `failures`. Without
        `partial` all are enrolled, or none.
        """
        if replace:
            access.need("admin")
        upload = await read_upload(
            request, service.settings.limits, takes=("metadata", "landmarks")
        )

        def work() -> EnrolAnswer:
            recogniser = access.gallery.recogniser
            model = recogniser.model
            if least_quality is not None and not model.estimates_quality:
                raise RequestProblem(
                    422, "refused", "least_quality: the model estimates no quality"
                )
            if new and (forms := recogniser.gallery.forms(identity)):
                raise RequestProblem(409, "conflict", f"{forms[0]!r} is enrolled already")
            embedded = embedded_images(
                service, access, upload, thumbnails=access.gallery.thumbnails
            )
            if embedded.failures and not partial:
                raise embedded.failures[0]
            kept, refused = _good_enough(embedded, upload, least_quality)
            if refused and (not partial or not len(kept.rows)):
                raise _too_poor(refused, embedded.failures, least_quality)
            items = templates_of(
                identity, upload.images, kept, metadata=upload.metadata, together=together
            )
            receipt = access.change(
                "enrol",
                lambda: recogniser.gallery.enrol(items, replace=replace),
                _told,
                identity=identity,
                images=len(kept.rows),
                replace=replace,
            )
            size, calibration, _ = recogniser.operating_point()
            return EnrolAnswer(
                identity=recogniser.gallery.forms(identity)[0],
                templates=list(receipt.templates),
                images=[upload.images.images[row] for row in kept.rows.tolist()],
                replaced=receipt.replaced,
                failures=failed(embedded.failures),
                refused=refused,
                qualities=None if kept.quality is None else kept.quality.tolist(),
                weighting=weighting(model) if together else "",
                notes=list(embedded.notes),
                size=size,
                outgrown=calibration is not None and calibration.outgrown(size),
            )

        return await service.answer(access, response, work)

    return routes


def _too_poor(
    refused: list[LowQualityImage], failures: list[ImageError], least: float | None
) -> ImageError | UnreadableImages:
    """Return the error where no image is good enough."""
    poor = [
        ImageError(one.image, f"its quality is {one.quality:.3f}, below {least:g}")
        for one in refused
    ]
    if len(poor) + len(failures) == 1:
        return poor[0]
    return UnreadableImages(f"{poor[0]}; nothing is enrolled", [*poor, *failures])


def _told(receipt: Receipt) -> dict[str, object]:
    return {"templates": list(receipt.templates), "replaced": receipt.replaced}


def _good_enough(
    embedded: Embedded, upload: Upload, least: float | None
) -> tuple[Embedded, list[LowQualityImage]]:
    """Return what is enrolled, and the images whose quality is too low."""
    if least is None or embedded.quality is None:
        return embedded, []
    good = embedded.quality >= least
    refused = [
        LowQualityImage(upload.images.images[row], quality)
        for row, quality in zip(
            embedded.rows[~good].tolist(), embedded.quality[~good].tolist(), strict=True
        )
    ]
    kept = Embedded(
        embedded.vectors[good],
        embedded.rows[good],
        embedded.failures,
        notes=embedded.notes,
        quality=embedded.quality[good],
        thumbnails=tuple(
            one for one, kept in zip(embedded.thumbnails, good.tolist(), strict=False) if kept
        ),
    )
    return kept, refused
