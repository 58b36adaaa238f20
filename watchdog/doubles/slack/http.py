"""The Web API, Socket Mode, response addresses and uploads over HTTP, with the faults that were asked for."""

import asyncio
import json
import mimetypes
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from watchdog.doubles.slack.args import Args
from watchdog.doubles.slack.errors import NotThereError, SlackError
from watchdog.doubles.slack.faults import Fault, Faults, Kind
from watchdog.doubles.slack.files import MAX_BYTES, receive
from watchdog.doubles.slack.interactions import Interactions
from watchdog.doubles.slack.socket_mode import SocketHub
from watchdog.doubles.slack.state import Json, Workspace
from watchdog.doubles.slack.web_api import WebApi

_HTML = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_SHOWN_AS_IMAGE = ("image/png", "image/jpeg", "image/gif")


async def arguments(request: web.Request) -> Json:
    """The arguments of a request: query, then form or JSON body.

    Raises:
        SlackError: `invalid_json`, `json_not_object` or `invalid_form_data`.
    """
    values: Json = dict(request.query)
    if request.content_type == "application/json":
        try:
            body: Any = json.loads(await request.text())
        except (ValueError, LookupError, RecursionError) as problem:
            raise SlackError("invalid_json") from problem
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        return values | body
    return values | await form_fields(request)


async def form_fields(request: web.Request) -> dict[str, str]:
    """The text fields of a form; files are left out.

    Raises:
        SlackError: `invalid_form_data`.
    """
    try:
        form = await request.post()
    except (ValueError, LookupError, BadHttpMessage) as problem:
        raise SlackError("invalid_form_data") from problem
    return {key: value for key, value in form.items() if isinstance(value, str)}


class HttpSide:
    """Handlers of the paths that an app uses."""

    def __init__(
        self, api: WebApi, *, workspace: Workspace, interactions: Interactions, hub: SocketHub, faults: Faults
    ) -> None:
        """Answer from these parts."""
        self._api = api
        self._workspace = workspace
        self._interactions = interactions
        self._hub = hub
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """The paths."""
        return [
            web.route("GET", "/api/{method}", self.call),
            web.route("POST", "/api/{method}", self.call),
            web.get("/link/", self._hub.connect),
            web.post("/response/{key}", self.respond),
            web.post("/upload/{file_id}", self.upload),
            web.get("/files/{file_id}", self.download),
        ]

    async def call(self, request: web.Request) -> web.StreamResponse:
        """One call of the Web API."""
        method = request.match_info["method"]
        fault = self._faults.take(method)
        if fault is not None and fault.kind not in {Kind.SLOW, Kind.RESET_AFTER_COMMIT}:
            return _refusal(request, fault)
        try:
            values = await arguments(request)
            answer = web.json_response(self._api.call(method, _token(request, values), Args(values)))
        except SlackError as problem:
            answer = _error(problem)
        if fault is not None and fault.kind is Kind.SLOW:
            await asyncio.sleep(fault.seconds)
        elif fault is not None:
            return _cut(request)
        answer.headers["X-OAuth-Scopes"] = ",".join(sorted(self._api.granted(method)))
        return answer

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """A message posted to a response address; these answer text, not JSON, when all is well."""
        fault = self._faults.take("response_url")
        if fault is not None and fault.kind not in {Kind.SLOW, Kind.RESET_AFTER_COMMIT}:
            return _refusal(request, fault)
        try:
            self._interactions.respond(request.match_info["key"], await arguments(request))
        except SlackError as problem:
            return _error(problem)
        if fault is not None and fault.kind is Kind.SLOW:
            await asyncio.sleep(fault.seconds)
        elif fault is not None:
            return _cut(request)
        return web.Response(text="ok")

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """The bytes of a file."""
        content = await request.read()
        try:
            receive(self._workspace, request.match_info["file_id"], content)
        except NotThereError as problem:
            return web.Response(status=404, text=str(problem))
        return web.Response(text=f"OK - {len(content)}")

    async def download(self, request: web.Request) -> web.StreamResponse:
        """An uploaded file, for the page; only raster images are shown, everything else is saved."""
        file = self._workspace.files.get(request.match_info["file_id"])
        if file is None or file.content is None:
            return web.Response(status=404, text="no such file")
        kind = mimetypes.guess_type(file.name)[0]
        headers = {"X-Content-Type-Options": "nosniff"}
        if kind not in _SHOWN_AS_IMAGE:
            return web.Response(
                body=file.content,
                content_type="application/octet-stream",
                headers=headers | {"Content-Disposition": "attachment"},
            )
        return web.Response(body=file.content, content_type=kind, headers=headers)


def new_application() -> web.Application:
    """An application that takes uploads up to the double's limit."""
    return web.Application(client_max_size=MAX_BYTES + 1024)


def _token(request: web.Request, values: Mapping[str, Any]) -> str | None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    given = values.get("token")
    return given if isinstance(given, str) else None


def _error(problem: SlackError) -> web.Response:
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after is not None else {}
    body = {"ok": False, "error": problem.code, **problem.extra}
    return web.json_response(body, status=problem.status, headers=headers)


def _refusal(request: web.Request, fault: Fault) -> web.Response:
    match fault.kind:
        case Kind.RATE_LIMITED:
            return _error(SlackError("ratelimited", status=429, retry_after=max(1, round(fault.seconds))))
        case Kind.ERROR:
            return _error(SlackError(fault.error))
        case Kind.RESET_BEFORE:
            return _cut(request)
        case Kind.STATUS if fault.status == 500:
            return _error(SlackError("internal_error", status=500))
        case _:
            page = _HTML.format(f"{fault.status} from the Slack double")
            return web.Response(status=fault.status, text=page, content_type="text/html")


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
