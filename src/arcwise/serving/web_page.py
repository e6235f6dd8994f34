"""The page at /: plain files, which load nothing from elsewhere."""

import mimetypes
from importlib.resources import files

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""Policy for the browser: only these files run, and text never becomes a script."""

_START = "index.html"


def router() -> APIRouter:
    """Return the routes; the files are read once, and no others are reachable."""
    routes = APIRouter(include_in_schema=False)
    folder = files("arcwise.serving") / "page"
    content = {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}

    def sent(name: str) -> Response:
        kind = mimetypes.guess_type(name)[0]
        return Response(content[name], media_type=kind, headers=_HEADERS)

    @routes.get("/")
    async def page() -> Response:
        return sent(_START)

    @routes.get("/page/{name}")
    async def part(name: str) -> Response:
        if name not in content or name == _START:
            raise HTTPException(404)
        return sent(name)

    return routes
