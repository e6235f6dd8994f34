"""Routes that answer who or what it is: embed, search, verify."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from arcwise.client.messages import (
    EmbedAnswer,
    FailedImage,
    QueryAnswer,
    SearchAnswer,
    VerifyAnswer,
)
from arcwise.errors import ImageError
from arcwise.gallery import Hit
from arcwise.recognition import Answer, SearchResult, Verified
from arcwise.runtime import Embedded
from arcwise.serving import examples
from arcwise.serving.galleries import shown_metadata
from arcwise.serving.problems import RESPONSES, RequestProblem
from arcwise.serving.service import Access, Service
from arcwise.serving.uploads import REQUEST_BODY, Upload, read_upload

Far = Annotated[
    float | None, Query(gt=0, lt=1, description="Decide at this false-accept rate of a comparison.")
]
Fpir = Annotated[
    float | None,
    Query(gt=0, lt=1, description="Answer at most this part of the images of strangers."),
]
Together = Annotated[
    bool, Query(description="Take all images for one: several frames of one query, decided once.")
]
Identity = Annotated[
    str, Query(min_length=1, max_length=1000, description="Identity.", examples=["oat-milk"])
]


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/galleries/{gallery}", tags=["recognition"], responses=RESPONSES)
    reads = Annotated[Access, Depends(service.for_role("read"))]
    limits = service.settings.limits

    @routes.post("/embed", openapi_extra={"requestBody": REQUEST_BODY})
    async def embed(request: Request, response: Response, access: reads) -> EmbedAnswer:
        """Embed images: a vector of length 1 for each."""
        upload = await read_upload(request, limits, takes=("landmarks",))

        def work() -> EmbedAnswer:
            embedded = embedded_images(service, access, upload)
            access.log("embed", images=len(upload.images))
            quality = embedded.quality
            return EmbedAnswer(
                vectors=embedded.vectors.tolist(),
                quality=None if quality is None else quality.tolist(),
                rows=embedded.rows.tolist(),
                failures=failed(embedded.failures),
                notes=list(embedded.notes),
                fingerprint=access.gallery.recogniser.model.fingerprint,
            )

        return await service.answer(access, response, work)

    @routes.post("/search", openapi_extra={"requestBody": REQUEST_BODY}, responses=examples.SEARCH)
    async def search(
        request: Request,
        response: Response,
        access: reads,
        k: Annotated[int, Query(ge=1, le=limits.hits, description="Identities to show.")] = 5,
        together: Together = False,
        far: Far = None,
        fpir: Fpir = None,
        where: Annotated[
            str | None,
            Query(
                max_length=10_000,
                description="Condition on metadata: which templates take part.",
                examples=['shelf == 3 and colour in ("red", "blue")'],
            ),
        ] = None,
        everyone: Annotated[
            bool, Query(description="Show all identities from the threshold on, not the K closest.")
        ] = False,
    ) -> SearchAnswer:
        """Find whose images these are, or that they are unknown, at a stated error rate.

        One image, or several with an answer each; with `together` several frames of one query;
        with `boxes` several objects of an image, each a query of its own.
        """
        upload = await read_upload(request, limits, takes=("landmarks", "boxes"))

        def work() -> SearchAnswer:
            recogniser = access.gallery.recogniser
            with service.pixels.of(upload.pixels):
                found = recogniser.search(
                    upload.objects(), k=k, together=together, far=far, fpir=fpir, where=where,
                    everyone=everyone,
                )  # fmt: skip
            note_images(service, access, upload)
            said = search_answer(found, access, limits.hits)
            decisions = [one.decision for one in said.queries if one.decision is not None]
            for one in decisions:
                verdict = "unknown" if one.identity is None else "known"
                service.metrics.answers.labels(access.gallery.name, verdict).inc()
            access.log(
                "search",
                images=len(upload.images),
                answers=[one.identity for one in decisions],
                similarities=[one.similarity for one in decisions],
                threshold=None if found.point is None else found.point.threshold,
            )
            return said

        return await service.answer(access, response, work)

    @routes.post("/verify", openapi_extra={"requestBody": REQUEST_BODY}, responses=examples.VERIFY)
    async def verify(
        request: Request, response: Response, access: reads, identity: Identity, far: Far = None
    ) -> VerifyAnswer:
        """Check whether an image, or several of one claim together, are of an identity."""
        upload = await read_upload(request, limits, takes=("landmarks",))

        def work() -> VerifyAnswer:
            recogniser = access.gallery.recogniser
            check_enrolled(access, identity)
            with service.pixels.of(upload.pixels):
                found = recogniser.verify(identity, upload.images, far=far)
            note_images(service, access, upload)
            verdict = "accepted" if found.accepted else "rejected"
            service.metrics.answers.labels(access.gallery.name, verdict).inc()
            access.log(
                "verify",
                images=len(upload.images),
                identity=identity,
                accepted=found.accepted,
                similarity=found.similarity,
                threshold=found.threshold.threshold,
            )
            return _verify_answer(found, access)

        return await service.answer(access, response, work)

    return routes


def embedded_images(
    service: Service, access: Access, upload: Upload, *, thumbnails: bool = False
) -> Embedded:
    """Return the embeddings of what was sent; keep and count the images."""
    with service.pixels.of(upload.pixels):
        embedded = access.gallery.recogniser.embed(upload.images, thumbnails=thumbnails)
    note_images(service, access, upload)
    return embedded


def note_images(service: Service, access: Access, upload: Upload) -> None:
    """Count the images that were sent, and keep them where the audit log does."""
    service.metrics.images.labels(access.gallery.name).inc(len(upload.images))
    for source in upload.images.sources:
        if isinstance(source, bytes):
            access.gallery.audit.keep(source)


def check_enrolled(access: Access, identity: str) -> list[str]:
    """Return how an identity is written in the gallery.

    Raises:
        RequestProblem: nobody of that name is enrolled.
    """
    forms = access.gallery.recogniser.gallery.forms(identity)
    if not forms:
        raise RequestProblem(
            404, "not_enrolled", f"{identity!r} is not enrolled in {access.gallery.name}"
        )
    return forms


def failed(failures: list[ImageError] | tuple[ImageError, ...]) -> list[FailedImage]:
    """Return why images could not be used."""
    return [FailedImage(one.name, one.reason) for one in failures]


def search_answer(found: SearchResult, access: Access, most: int) -> SearchAnswer:
    """Return what is said of a search, with so many hits a query at most."""
    return SearchAnswer(
        queries=[_query_answer(one, most) for one in found.queries],
        point=found.point,
        promise="" if found.point is None or found.unmeasured else str(found.point),
        size=found.size,
        calibration=found.calibration,
        outgrown=access.gallery.outgrown(),  # the whole of it, whatever the condition
        unmeasured=access.gallery.public(found.unmeasured),
        together=found.together,
        weighting=found.weighting,
        notes=[*found.notes, *_not_shown(found, most)],
        licence=found.licence,
    )


def _not_shown(found: SearchResult, most: int) -> list[str]:
    """Return which queries have more hits than one answer may hold."""
    return [
        f"{one.image}: the {most} closest of {len(one.hits)} hits are shown"
        for one in found.answers
        if len(one.hits) > most
    ]


def _query_answer(one: Answer | ImageError, most: int) -> QueryAnswer:
    if isinstance(one, ImageError):
        return QueryAnswer(one.name, one.reason, None, [])
    hits = [
        Hit(hit.identity, hit.similarity, hit.template, shown_metadata(hit.metadata))
        for hit in one.hits[:most]
    ]
    return QueryAnswer(one.image, None, one.decision, hits)


def _verify_answer(found: Verified, access: Access) -> VerifyAnswer:
    return VerifyAnswer(
        accepted=found.accepted,
        similarity=found.similarity,
        templates=found.templates,
        threshold=found.threshold,
        promise="; ".join(filter(None, (str(found.threshold), found.promise))),
        outgrown=access.gallery.outgrown(),
        unmeasured=access.gallery.public(found.unmeasured),
        together=found.together,
        weighting=found.weighting,
        notes=list(found.notes),
        failures=failed(found.failures),
    )
