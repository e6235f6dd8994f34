"""The application: routes, errors and the gateway around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Scope

from arcwise.errors import ArcwiseError
from arcwise.serving import (
    auditing,
    correcting,
    enrolled,
    enrolling,
    explaining,
    problems,
    recognising,
    removing,
    state,
    web_page,
)
from arcwise.serving.galleries import OpenGalleries
from arcwise.serving.gateway import Gateway
from arcwise.serving.metrics import ServerMetrics
from arcwise.serving.problems import RequestProblem
from arcwise.serving.service import Service
from arcwise.serving.settings import Settings
from arcwise.version import __version__

DESCRIPTION = """\
Recognition of enrolled identities, at error rates that were measured.

Images come as files of a form (`multipart/form-data`, the parts called `images`), or as base64
texts in JSON. Every decision says at which rate it was made and which measurement that rests on.
Whatever fails is answered in one shape, `{"error": {"code", "message", "do", …}}`.
The header `Arcwise-Outgrown: true` says that the gallery has outgrown its calibration.
"""


class Application(NamedTuple):
    """What a server runs.

    Attributes:
        asgi: with the gateway.
        api: without it; it knows the OpenAPI.
        service: what all routes share.
    """

    asgi: ASGIApp
    api: FastAPI
    service: Service


def application(settings: Settings) -> Application:
    """Return the application, its galleries and models open; they are closed when it ends.

    Raises:
        ArcwiseError: one cannot be opened.
    """
    metrics = ServerMetrics()
    opened = OpenGalleries(settings.galleries, settings.batch, metrics.batches.observe)

    @asynccontextmanager
    async def open_until_the_end(_: FastAPI) -> AsyncIterator[None]:
        yield
        opened.close()

    service = Service(settings, opened.by_name, metrics)
    api = described(service, open_until_the_end)
    gateway = Gateway(api, settings.limits, metrics, frozenset(opened.by_name))
    return Application(gateway, api, service)


def described(service: Service, lifespan: Any = None) -> FastAPI:
    """Return the routes of a service with their OpenAPI, which says which role each takes.

    Args:
        service: that answers.
        lifespan: what is open while it does.
    """
    api = FastAPI(
        title="Arcwise",
        version=__version__,
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # it would load scripts of others
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    rooms = (
        recognising, explaining, enrolling, enrolled, auditing, correcting, removing, state
    )  # fmt: skip
    for room in rooms:
        routes = room.router(service)
        for one in routes.routes:
            if isinstance(one, APIRoute):
                needs = (getattr(way.call, "role", None) for way in one.dependant.dependencies)
                role = next(filter(None, needs), None)
                one.openapi_extra = {
                    **(one.openapi_extra or {}),
                    **({"x-role": role} if role else {}),
                }
        api.include_router(routes)
    api.include_router(web_page.router())
    _answer_errors(api)
    return api


def _answer_errors(api: FastAPI) -> None:
    """Answer every error in the one shape."""

    async def http(request: Request, problem: Any) -> Response:
        if problem.status_code == 405:
            problem.headers = {"Allow": ", ".join(_methods(api, request.scope))}
        return problems.answer(problem, problems.request_id(request))

    async def malformed(request: Request, problem: Any) -> Response:
        return problems.answer(problems.invalid(problem.errors()), problems.request_id(request))

    async def refused(request: Request, problem: Any) -> Response:
        return problems.answer(
            RequestProblem(500, "internal", "a gallery cannot be asked"),
            problems.request_id(request),
        )

    async def broken(request: Request, _: Exception) -> Response:
        return problems.internal(problems.request_id(request))

    api.add_exception_handler(HTTPException, http)
    api.add_exception_handler(RequestValidationError, malformed)
    api.add_exception_handler(ArcwiseError, refused)
    api.add_exception_handler(Exception, broken)


def _methods(api: FastAPI, scope: Scope) -> list[str]:
    """Return the methods of an address."""
    paths = api.openapi()["paths"].items()
    ways = (
        way for path, ways in paths if compile_path(path)[0].match(scope["path"]) for way in ways
    )
    return sorted(way.upper() for way in ways)
