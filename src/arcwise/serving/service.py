"""What all routes share: galleries, keys, limits, and the threads that do the work."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

import anyio.to_thread
from fastapi import Path, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from arcwise.client.gallery_messages import ChangedAnswer
from arcwise.errors import ArcwiseError, ImageError, UnreadableImages, suggestion
from arcwise.gallery import DamagedGallery, UnavailableGallery
from arcwise.serving.galleries import ServedGallery
from arcwise.serving.keys import Holder, KeyRing
from arcwise.serving.limiting import PixelBudget, RateLimiter
from arcwise.serving.metrics import ServerMetrics
from arcwise.serving.problems import RequestProblem, request_id
from arcwise.serving.settings import NAME, Role, Settings, is_loopback

T = TypeVar("T")

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A key that `arcwise serve --new-key ROLE` printed.",
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
_GalleryName = Annotated[
    str, Path(pattern=f"^{NAME}$", description="Name of the gallery.", examples=["shop"])
]


class Access(NamedTuple):
    """A request that may go on.

    Attributes:
        gallery: it is about.
        holder: whose key it came with.
        request: its id.
        address: it came from.
    """

    gallery: ServedGallery
    holder: Holder
    request: str
    address: str

    def log(self, action: str, *, durable: bool = False, **facts: Any) -> None:
        """Write a line to the gallery's audit log.

        Raises:
            RequestProblem: it cannot be written.
        """
        who = {"request": self.request, "key": self.holder.name, "address": self.address}
        try:
            self.gallery.audit.write({"action": action, **who, **facts}, durable=durable)
        except ArcwiseError as problem:
            raise RequestProblem(503, "no_audit", self.gallery.public(str(problem))) from None

    def change(
        self,
        action: str,
        change: Callable[[], T],
        recorded: Callable[[T], Mapping[str, Any]],
        **facts: Any,
    ) -> T:
        """Return what a change gives back; that it begins and how it ends are both on disk.

        Args:
            action: what it is called in the log.
            change: does it.
            recorded: what the log says of its result.
            facts: of the change, for the log.
        """
        self.log(action, durable=True, state="begun", **facts)
        try:
            result = change()
        except BaseException as problem:
            reason = str(problem)[:500]
            self.log(action, durable=True, state="failed", reason=reason, **facts)
            raise
        self.log(action, durable=True, state="done", **facts, **recorded(result))
        return result

    def need(self, role: Role) -> None:
        """Refuse a key that does not allow what a role does.

        Raises:
            RequestProblem: it does not.
        """
        if not self.holder.may(role):
            message = (
                f"the key {self.holder.name} has the role {self.holder.role}; this takes {role}"
            )
            raise RequestProblem(403, "forbidden", message)


class Service:
    """A running server, without HTTP.

    Args:
        settings: as they were given.
        galleries: open, by name.
        metrics: what is counted.
    """

    def __init__(
        self, settings: Settings, galleries: Mapping[str, ServedGallery], metrics: ServerMetrics
    ) -> None:
        self.settings, self.galleries, self.metrics = settings, galleries, metrics
        self.keys = KeyRing(settings.keys)
        self.pixels = PixelBudget(settings.limits.decoding_pixels)
        self._rates = RateLimiter(settings.limits.rate, settings.limits.burst)
        self._threads = anyio.CapacityLimiter(2 * settings.batch.images)

    async def work(self, function: Callable[[], T]) -> T:
        """Return what a thread computes."""
        return await anyio.to_thread.run_sync(function, limiter=self._threads)

    async def answer(self, access: Access, response: Response, work: Callable[[], T]) -> T:
        """Return what a thread computes, whatever becomes of the client meanwhile.

        The answer's head says where the gallery has outgrown its calibration.

        Raises:
            RequestProblem: what was wrong with the request, without places on this machine.
        """

        def done() -> tuple[T, bool]:
            with access.gallery.in_use():
                result = work()
                outgrown = getattr(result, "outgrown", None)
                return result, access.gallery.outgrown() if outgrown is None else outgrown

        try:
            result, outgrown = await self.work(done)
        except ArcwiseError as problem:
            raise problem_of(problem, access.gallery) from None
        access.gallery.note_database("")
        if outgrown:
            response.headers["Arcwise-Outgrown"] = "true"
        return result

    async def changed(
        self,
        action: str,
        response: Response,
        access: Access,
        change: Callable[[], list[int]],
        **facts: Any,
    ) -> ChangedAnswer:
        """Return the templates that a change was of; it is in the audit log."""
        ids = await self.answer(
            access,
            response,
            lambda: access.change(action, change, lambda ids: {"changed": len(ids)}, **facts),
        )
        return ChangedAnswer(ids)

    def holder(self, request: Request, credentials: HTTPAuthorizationCredentials | None) -> Holder:
        """Return whose key a request has.

        Raises:
            RequestProblem: no key, a wrong one, or too many requests.
        """
        if self.keys.empty:
            self._check_own_page(request)
        holder = self.keys.holder(None if credentials is None else credentials.credentials)
        self._check_rate(f"address {address(request)}" if holder is None else f"key {holder.name}")
        if holder is None:
            message = "no key" if credentials is None else "a key that this server does not know"
            raise RequestProblem(401, "no_key", message, {"WWW-Authenticate": "Bearer"})
        return holder

    def for_role(self, role: Role) -> Callable[..., Awaitable[Access]]:
        """Return a dependency of routes: who has a key of this role for the gallery."""

        async def access(
            request: Request, gallery: _GalleryName, credentials: Credentials
        ) -> Access:
            holder = self.holder(request, credentials)
            served = self.galleries.get(gallery)
            if served is None or not holder.opens(gallery):
                raise RequestProblem(404, "not_found", f"no gallery {gallery!r} for this key")
            _check_known(request)
            given = Access(served, holder, request_id(request), address(request))
            given.need(role)
            return given

        access.role = role  # type: ignore[attr-defined]  # for the OpenAPI
        return access

    def _check_rate(self, name: str) -> None:
        seconds = self._rates.wait(name)
        if seconds:
            message = f"more than {self.settings.limits.rate:g} requests a second"
            again = {"Retry-After": str(math.ceil(seconds))}
            raise RequestProblem(429, "too_many_requests", message, again)

    def _check_own_page(self, request: Request) -> None:
        """Refuse what a page of another server makes a browser send where no key is needed."""
        host = request.headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        origin = request.headers.get("origin")
        if not is_loopback(name):
            raise RequestProblem(
                403, "not_this_page", f"the host {host[:100]!r}; expected a loopback address"
            )
        if origin is not None and origin.partition("://")[2] != host:
            raise RequestProblem(
                403, "not_this_page", f"a request that {origin[:100]!r} made a browser send"
            )


def address(request: Request) -> str:
    """Return where a request came from; the proxy's word only where that is believed."""
    return "" if request.client is None else request.client.host


def _check_known(request: Request) -> None:
    """Refuse parameters that a route does not have: none is passed over in silence.

    Raises:
        RequestProblem: there is one.
    """
    known = [one.alias for one in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            hint = suggestion(name, known) or f"expected {', '.join(known) or 'none'}"
            raise RequestProblem(422, "malformed", f"no parameter {name[:50]!r} here; {hint}")


def problem_of(error: ArcwiseError, gallery: ServedGallery) -> RequestProblem:
    """Return what to answer where a gallery raises an error: nothing of what is behind it."""
    message = gallery.public(str(error))
    if isinstance(error, UnavailableGallery):
        gallery.note_database(error.outcome)
        return RequestProblem(503, "unavailable", f"gallery {gallery.name}: {error.outcome}")
    if isinstance(error, DamagedGallery):
        return RequestProblem(
            500, "damaged", f"gallery {gallery.name}: its stored bytes are damaged"
        )
    if isinstance(error, ImageError):
        return RequestProblem(422, "image_unreadable", message, images=[error])
    if isinstance(error, UnreadableImages):
        return RequestProblem(422, "image_unreadable", message, images=error.failures)
    return RequestProblem(422, "refused", message)
