"""The route that says why an image matches: which parts of it the similarity rests on."""

import base64
import threading
from typing import Annotated

import cv2
import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response

from arcwise.client.messages import ExplainAnswer
from arcwise.errors import ImageError
from arcwise.images.decode import decode
from arcwise.recognition.occlusion import occlusion
from arcwise.serving.problems import RESPONSES, RequestProblem
from arcwise.serving.recognising import Identity, check_enrolled, note_images
from arcwise.serving.service import Access, Service
from arcwise.serving.uploads import REQUEST_BODY, read_upload

_AT_A_TIME = 1  # each is as much work as a hundred searches


def router(service: Service) -> APIRouter:
    """Return the route."""
    routes = APIRouter(prefix="/v1/galleries/{gallery}", tags=["recognition"], responses=RESPONSES)
    reads = Annotated[Access, Depends(service.for_role("read"))]
    free = threading.Semaphore(_AT_A_TIME)

    @routes.post("/explain", openapi_extra={"requestBody": REQUEST_BODY})
    async def explain(
        request: Request,
        response: Response,
        access: reads,
        identity: Identity,
        grid: Annotated[int, Query(ge=2, le=10, description="Parts of a side: G x G in all.")] = 7,
    ) -> ExplainAnswer:
        """Say which parts of an image its similarity to an identity rests on.

        Each part is covered by grey, and the image embedded again. It takes one image, and a
        server makes one map at a time: meanwhile others get the status 503.
        """
        upload = await read_upload(request, service.settings.limits, takes=("landmarks",))
        if len(upload.images) > 1:
            raise RequestProblem(422, "refused", f"{len(upload.images)} images; expected one")

        def work() -> ExplainAnswer:
            check_enrolled(access, identity)
            recogniser, source = access.gallery.recogniser, upload.images.sources[0]
            if isinstance(source, ImageError):
                raise source
            assert isinstance(source, bytes)
            landmarks = upload.images.landmarks
            with service.pixels.of(upload.pixels):
                image = decode(source, upload.images.images[0])
                points = None if landmarks is None else landmarks[0]
                pixels = recogniser.model.prepare(image, points)
            found = occlusion(
                recogniser, identity, pixels, grid=grid, batch=service.settings.batch.images
            )
            note_images(service, access, upload)
            access.log("explain", images=1, identity=identity, similarity=found.similarity)
            bgr = np.ascontiguousarray(pixels[..., ::-1])
            _, jpeg = cv2.imencode(".jpg", bgr)
            seen = base64.b64encode(jpeg.tobytes()).decode()
            return ExplainAnswer(identity, found.similarity, found.fall.tolist(), seen)

        def alone() -> ExplainAnswer:
            if not free.acquire(blocking=False):
                message = "another map is being made"
                raise RequestProblem(503, "busy", message, {"Retry-After": "1"})
            try:
                return work()
            finally:
                free.release()

        return await service.answer(access, response, alone)

    return routes
