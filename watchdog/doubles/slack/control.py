"""Control over HTTP, under /double/, for a double that runs in another process. JSON in, JSON out."""

import dataclasses
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from watchdog.doubles.slack.double import Double
from watchdog.doubles.slack.errors import NotAcknowledgedError, NotThereError, SlackError
from watchdog.doubles.slack.faults import Fault, Kind
from watchdog.doubles.slack.page import refuse_other_sites
from watchdog.doubles.slack.state import Json

Action = Callable[[Json], Awaitable[Json]]


class Control:
    """Handlers of the paths that a test or a demo in another process uses."""

    def __init__(self, double: Double) -> None:
        """Control this double."""
        self._double = double
        self._faults = double.faults

    def routes(self) -> list[web.RouteDef]:
        """The paths."""
        actions: dict[str, Action] = {
            "faults": self._add_fault,
            "clear": self._clear,
            "duplicate": self._duplicate,
            "late": self._late,
            "disconnect": self._disconnect,
            "drop": self._drop,
            "press": self._press,
            "slash": self._slash,
            "say": self._say,
            "delete": self._delete,
            "archive": self._archive,
        }
        posts = [web.post(f"/double/{name}", self._answer(action)) for name, action in actions.items()]
        return [web.get("/double/state", self.state), *posts]

    async def state(self, _request: web.Request) -> web.StreamResponse:
        """Every channel's messages, the faults still to come, the open sockets."""
        workspace = self._double.workspace
        channels = [
            {
                "id": channel.id,
                "name": channel.name,
                "archived": channel.archived,
                "messages": [dataclasses.asdict(message) for message in channel.messages.values()],
                "ephemerals": [dataclasses.asdict(message) for message in channel.ephemerals],
            }
            for channel in workspace.channels.values()
        ]
        pending = [dataclasses.asdict(fault) for fault in self._faults.pending]
        return web.json_response({"channels": channels, "faults": pending, "connections": self._double.connections})

    def _answer(self, action: Action) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            refuse_other_sites(request)
            try:
                body = await _json_object(request)
                return web.json_response({"ok": True, **await action(body)})
            except NotThereError as problem:
                return web.json_response({"ok": False, "error": str(problem)}, status=404)
            except NotAcknowledgedError as problem:
                return web.json_response({"ok": False, "error": str(problem)}, status=504)
            except (LookupError, RecursionError, TypeError, ValueError, SlackError) as problem:
                return web.json_response({"ok": False, "error": f"bad request: {problem}"}, status=400)

        return handler

    async def _add_fault(self, body: Json) -> Json:
        self._faults.add(Fault(**{**body, "kind": Kind(body["kind"])}))
        return {"pending": len(self._faults.pending)}

    async def _clear(self, _body: Json) -> Json:
        self._faults.clear()
        return {}

    async def _duplicate(self, body: Json) -> Json:
        self._faults.duplicate_envelopes(int(body.get("times", 1)))
        return {}

    async def _late(self, body: Json) -> Json:
        self._faults.late_envelopes(float(body["seconds"]), int(body.get("times", 1)))
        return {}

    async def _disconnect(self, body: Json) -> Json:
        return {"sockets": await self._faults.disconnect_all(str(body.get("reason", "refresh_requested")))}

    async def _drop(self, _body: Json) -> Json:
        return {"sockets": self._faults.drop_all()}

    async def _press(self, body: Json) -> Json:
        ack = await self._double.press(
            str(body["channel"]), str(body["ts"]), str(body["action_id"]), str(body["user"]), body.get("value")
        )
        return {"ack": dataclasses.asdict(ack)}

    async def _slash(self, body: Json) -> Json:
        ack = await self._double.slash(
            str(body["command"]), str(body.get("text", "")), str(body["user"]), str(body["channel"])
        )
        return {"ack": dataclasses.asdict(ack)}

    async def _say(self, body: Json) -> Json:
        message = self._double.say(
            str(body["channel"]), str(body["user"]), str(body["text"]), thread_ts=body.get("thread_ts")
        )
        return {"ts": message.ts}

    async def _delete(self, body: Json) -> Json:
        self._double.delete(str(body["channel"]), str(body["ts"]))
        return {}

    async def _archive(self, body: Json) -> Json:
        self._double.archive(str(body["channel"]), archived=bool(body.get("archived", True)))
        return {}


async def _json_object(request: web.Request) -> Json:
    if request.content_type != "application/json":
        # A form on another site can send any other type without asking first.
        raise TypeError("send application/json")
    body: Any = json.loads(await request.text())
    if not isinstance(body, dict):
        raise TypeError("send a JSON object")
    return body
