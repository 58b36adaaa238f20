"""The daemon's API on its Unix socket: what people and pipelines ask, and what they say.

Whoever can open the socket may do everything: the file's mode is the authorisation, and `X-Watchdog-Who` only names
the person for the record.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from watchdog import __version__
from watchdog.engine.refused import RefusedError
from watchdog.model import inputs
from watchdog.model.events import Event
from watchdog.ports.control import Control, UnknownGuardError
from watchdog.ports.errors import WatchdogError
from watchdog.web.baseline_views import baseline_view
from watchdog.web.bodies import (
    AboutIncident,
    AnswerBody,
    Body,
    BodyError,
    DisarmBody,
    HoldBody,
    Nothing,
    ReasonBody,
    ReleaseBody,
    ResolveBody,
    TriggerBody,
    parse,
)
from watchdog.web.event_views import event_view, incident_from_events, sentence
from watchdog.web.moments import iso
from watchdog.web.reversibility import Kept, nothing_kept
from watchdog.web.views import Json, guard_view

WHO_HEADER: Final = "X-Watchdog-Who"
LARGEST_BODY: Final = 1024 * 1024
"""Bytes."""
DEFAULT_EVENTS: Final = 1000
MOST_EVENTS: Final = 10_000

Handler = Callable[[Request], Awaitable[Response]]
AnyBody = TypeVar("AnyBody", bound=Body)


class TooLargeError(ValueError):
    """A body is larger than any that means something."""


def application(control: Control, kept: Callable[[str], Kept] = nothing_kept) -> Starlette:
    """The API over a running daemon."""
    api = _Api(control, kept)
    says: Mapping[str, Handler] = {
        "arm": api.word(Nothing, lambda _body, who: inputs.Arm(who)),
        "settle": api.word(Nothing, lambda _body, who: inputs.Settle(who)),
        "disarm": api.word(DisarmBody, lambda body, who: inputs.Disarm(who, body.reason)),
        "trigger": api.word(TriggerBody, lambda body, who: body.to_input(who)),
        "ack": api.word(AboutIncident, lambda body, who: inputs.Acknowledge(who, "api", body.incident)),
        "approve": api.word(AnswerBody, lambda body, who: inputs.Approve(who, body.incident, body.rung)),
        "deny": api.word(AnswerBody, lambda body, who: inputs.Deny(who, body.incident, body.rung)),
        "hold": api.word(HoldBody, lambda body, who: body.to_input(who)),
        "unhold": api.word(AboutIncident, lambda _body, who: inputs.ReleaseHold(who)),
        "abort": api.word(ReasonBody, lambda body, who: inputs.Abort(who, body.reason)),
        "resolve": api.word(ResolveBody, lambda body, who: inputs.Resolve(who, body.reason)),
    }
    return Starlette(
        routes=[
            Route("/v1/status", api.status, methods=["GET"]),
            Route("/v1/guards/{guard}", api.guard, methods=["GET"]),
            Route("/v1/guards/{guard}/baseline", api.baseline, methods=["GET"]),
            Route("/v1/guards/{guard}/events", api.events, methods=["GET"]),
            Route("/v1/guards/{guard}/incidents/{incident}", api.incident, methods=["GET"]),
            Route("/v1/guards/{guard}/release", api.start_release, methods=["POST"]),
            *(Route(f"/v1/guards/{{guard}}/{verb}", handler, methods=["POST"]) for verb, handler in says.items()),
        ],
        exception_handlers={
            RefusedError: _answer(409),
            UnknownGuardError: _answer(404),
            TooLargeError: _answer(413),
            BodyError: _answer(422),
            WatchdogError: _answer(503),
            HTTPException: _http_error,
        },
    )


class _Api:
    def __init__(self, control: Control, kept: Callable[[str], Kept]) -> None:
        self._control = control
        self._kept = kept

    async def status(self, _request: Request) -> Response:
        ready, reason = self._control.ready()
        guards = [self._view(name) for name in self._control.guards()]
        now = iso(self._control.now())
        return JSONResponse({"version": __version__, "now": now, "ready": ready, "reason": reason, "guards": guards})

    async def guard(self, request: Request) -> Response:
        return JSONResponse(self._view(_guard(request)))

    async def baseline(self, request: Request) -> Response:
        return JSONResponse(baseline_view(self._control.guard(_guard(request))))

    async def events(self, request: Request) -> Response:
        name = _guard(request)
        after = _query_number(request, "after", default=0, least=0)
        limit = _query_number(request, "limit", default=DEFAULT_EVENTS, least=1, most=MOST_EVENTS)
        guard = self._control.guard(name)
        stored = await self._control.events(name, after)
        page = stored[:limit]
        return JSONResponse(
            {
                "events": [event_view(guard, one) for one in page],
                "last": page[-1].seq if page else after,
                "more": len(stored) > len(page),
            }
        )

    async def incident(self, request: Request) -> Response:
        name, incident = _guard(request), request.path_params["incident"]
        settings = self._control.guard(name).settings
        view = incident_from_events(settings, await self._control.events(name), incident, self._control.now())
        if view is None:
            raise HTTPException(404, f"guard {name} has had no incident {incident}")
        return JSONResponse(view)

    async def start_release(self, request: Request) -> Response:
        name = _guard(request)
        self._control.guard(name)
        body = await _read(request, ReleaseBody)
        return self._done(name, await self._control.start_release(name, body.to_model()))

    def word(self, kind: type[AnyBody], make: Callable[[AnyBody, str], inputs.Input]) -> Handler:
        """A handler that hands a guard what somebody says."""

        async def say(request: Request) -> Response:
            name = _guard(request)
            guard = self._control.guard(name)
            body = await _read(request, kind)
            named = body.incident if isinstance(body, AboutIncident) else ""
            if named and (guard.incident is None or guard.incident.id != named):
                latest = f"the latest is {guard.incident.id}" if guard.incident else "none has been opened"
                raise RefusedError(f"incident {named} is not open: {latest}")
            return self._done(name, await self._control.say(name, make(body, _who(request))))

        return say

    def _view(self, name: str) -> Json:
        guard, verdicts = self._control.guard(name), self._control.verdicts(name)
        return guard_view(guard, verdicts, self._control.now(), self._kept(name))

    def _done(self, name: str, events: tuple[Event, ...]) -> Response:
        """What came of it: the events with their sentences, and the guard as it stands now."""
        guard = self._control.guard(name)
        said = [{"type": type(event).__name__, "sentence": sentence(guard, event)} for event in events]
        return JSONResponse({"events": said, "guard": self._view(name)})


def _guard(request: Request) -> str:
    return str(request.path_params["guard"])


def _who(request: Request) -> str:
    """Whom the record names; a header may say anything, so only a short printable part of it is kept."""
    raw = request.headers.get(WHO_HEADER, "").encode("latin-1", "replace").decode("utf-8", "replace")
    return "".join(mark for mark in raw if mark.isprintable()).strip()[:100] or "somebody at the socket"


async def _read(request: Request, kind: type[AnyBody]) -> AnyBody:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_BODY:
            raise TooLargeError(f"the body is larger than {LARGEST_BODY} bytes")
    return parse(kind, bytes(raw))


def _query_number(request: Request, name: str, *, default: int, least: int, most: int | None = None) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    bounds = f"a whole number of at least {least}" + (f" and at most {most}" if most is not None else "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BodyError(name, f"must be {bounds}")
    value = int(text)
    if value < least or (most is not None and value > most):
        raise BodyError(name, f"must be {bounds}")
    return value


def _answer(status: int) -> Callable[[Request, Exception], Response]:
    def answer(_request: Request, error: Exception) -> Response:
        content: dict[str, Any] = {"error": str(error)}
        if isinstance(error, BodyError):
            content["field"] = error.field
        return JSONResponse(content, status_code=status)

    return answer


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "internal error"
    return JSONResponse({"error": f"{request.method} {request.url.path}: {detail}"}, status_code=status)
