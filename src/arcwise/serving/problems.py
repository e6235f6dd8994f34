"""What goes wrong, in the one shape of every answer that is an error; never a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from arcwise.client.messages import ErrorAnswer
from arcwise.errors import ImageError
from arcwise.serving.examples import ERROR

CODES = {
    "malformed": "send the request as /v1/openapi.json describes it",
    "no_key": "send the header `Authorization: Bearer KEY` with a key of this server",
    "forbidden": "ask whoever runs the server for a key of that role",
    "not_this_page": "open the server by the address that it printed; for others, give it keys",
    "not_found": "check the address, and whether the key opens that gallery",
    "not_enrolled": "GET /v1/galleries/GALLERY/identities lists who is; …/identity the templates",
    "wrong_method": "see /v1/openapi.json for the methods of this address",
    "too_slow": "send the body faster, or in parts",
    "conflict": "leave out new=true to add to what is there, or say replace=true to remove that",
    "too_large": "send less at a time; GET /v1/galleries/GALLERY says the limits",
    "wrong_type": "send multipart/form-data with the files `images`, or JSON with base64 texts",
    "image_unreadable": "send whole image files, no larger than GET /v1/galleries/GALLERY says",
    "refused": "change the request as the message says",
    "too_many_requests": "wait as many seconds as the header Retry-After says",
    "internal": "tell whoever runs the server the id of the request: its log says more",
    "damaged": "tell whoever runs the server; nothing of this gallery is answered meanwhile",
    "no_audit": "tell whoever runs the server; nothing is done without the audit log",
    "not_ready": "tell whoever runs the server; the other galleries are answered",
    "unavailable": "come again later; where it lasts, tell whoever runs the server",
    "busy": "come again in a second",
}
"""What to do about each kind of problem."""

_OF_STATUS = {404: "not_found", 405: "wrong_method", 413: "too_large", 415: "wrong_type"}


class RequestProblem(HTTPException):
    """A request that fails, and why.

    Args:
        status: of HTTP.
        code: one of `CODES`.
        message: what was got, and what was expected.
        headers: of the answer.
        images: those that cannot be used, where no image can.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: dict[str, str] | None = None,
        images: Sequence[ImageError] = (),
    ) -> None:
        super().__init__(status, message, headers)
        self.code = code
        self.images = tuple(images)


def answer(problem: HTTPException, request_id: str) -> Response:
    """Return the answer to a request that fails."""
    code = getattr(problem, "code", None) or _OF_STATUS.get(problem.status_code, "malformed")
    message = problem.detail
    if (
        not isinstance(problem, RequestProblem)
        and message == HTTPStatus(problem.status_code).phrase
    ):
        message = {404: "there is nothing at this address"}.get(problem.status_code, message)
    images = [{"image": one.name, "reason": one.reason} for one in getattr(problem, "images", ())]
    content = {
        "code": code,
        "message": message,
        "do": CODES[code],
        "request": request_id,
        "images": images,
    }
    return JSONResponse({"error": content}, problem.status_code, headers=problem.headers)


def internal(request_id: str) -> Response:
    """Return the answer to a request that failed by a mistake of the server's."""
    return answer(RequestProblem(500, "internal", "the server made a mistake"), request_id)


def invalid(errors: list[Any]) -> RequestProblem:
    """Return the problem of a request whose parameters or body are not what they should be.

    Args:
        errors: as pydantic lists them.
    """
    first = errors[0] if errors else {"loc": (), "msg": "not what is expected"}
    place = ".".join(str(one) for one in first["loc"])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return RequestProblem(422, "malformed", f"{place}: {first['msg']}{more}"[:500])


def request_id(request: Request) -> str:
    """Return the id of a request, which the gateway gave it."""
    return request.scope["state"]["request"]


_ERROR = {
    "application/json": {
        "schema": {"$ref": f"#/components/schemas/{ErrorAnswer.__name__}"},
        "example": ERROR,
    }
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": _ERROR}
    for status, description in {
        400: "A body that is no form or no JSON.",
        401: "No key, or none of this server.",
        403: "A key of another role.",
        404: "No such gallery for this key, or no such identity or template.",
        408: "The body came too slowly.",
        409: "What is there does not allow it.",
        413: "Too many bytes, or images.",
        415: "A body of another type.",
        422: "Not what is expected, or images that cannot be used.",
        429: "Too many requests of this key.",
        500: "A mistake of the server's, or a damaged gallery.",
        503: "Too many requests at a time, or a gallery whose database does not answer.",
    }.items()
}
"""The errors that every route may answer with, for the OpenAPI; `DESCRIBED` is the one of them that
brings the schema, as each that does costs time at every start."""

DESCRIBED: dict[int | str, dict[str, Any]] = {500: {**RESPONSES[500], "model": ErrorAnswer}}
