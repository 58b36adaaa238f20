"""Socket Mode: several connections, envelopes, acknowledgements, redelivery, reconnects."""

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from watchdog.doubles.slack.bell import Bell
from watchdog.doubles.slack.errors import NotAcknowledgedError
from watchdog.doubles.slack.faults import Faults
from watchdog.doubles.slack.state import APP_ID, Json, made_id

MAX_CONNECTIONS = 10
REDELIVERIES = 3
HEARTBEAT_SECONDS = 10.0
DRAIN_SECONDS = 10.0
TICKET_SECONDS = 30
MAX_ENVELOPE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ack:
    """The app's answer to an envelope: its payload, and how many times it had been delivered until then."""

    envelope_id: str
    payload: Json | None
    deliveries: int


@dataclass(eq=False, slots=True)
class Connection:
    """One open socket; a draining one was asked to go and gets no new envelopes."""

    ws: web.WebSocketResponse
    request: web.Request
    closed: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    draining: bool = False

    def cut(self) -> None:
        """Drop the TCP connection without a close frame."""
        if self.request.transport is not None:
            self.request.transport.abort()


@dataclass(slots=True)
class _Delivery:
    """An envelope on its way; every redelivery shares the one answer."""

    answered: asyncio.Future[tuple[str, Json | None]]
    envelope_ids: list[str] = field(default_factory=list)


class SocketHub:
    """All Socket Mode connections of the app."""

    def __init__(self, *, clock: Callable[[], int], bell: Bell, ack_seconds: float) -> None:
        """`ack_seconds` is how long the app may take to acknowledge; Slack allows 3."""
        self.faults = Faults(self.disconnect_all, self.drop_all)
        self._clock = clock
        self._bell = bell
        self._ack_seconds = ack_seconds
        self._tickets: dict[str, int] = {}
        self._connections: list[Connection] = []
        self._deliveries: dict[str, _Delivery] = {}
        self._serial = itertools.count(1)
        self._turn = itertools.count()

    @property
    def connections(self) -> int:
        """How many sockets take envelopes now."""
        return len(self._ready())

    def new_ticket(self) -> str:
        """A ticket for one connection, good for half a minute."""
        ticket = made_id("t", f"{next(self._serial)} {self._clock()}")
        self._tickets[ticket] = self._clock() + TICKET_SECONDS * 1_000_000_000
        return ticket

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends; a stale or invented ticket is refused."""
        expires = self._tickets.pop(request.query.get("ticket", ""), 0)
        if expires < self._clock():
            return web.Response(status=404, text="unknown or used ticket")
        ws = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_ENVELOPE_BYTES)
        await ws.prepare(request)
        if len(self._connections) >= MAX_CONNECTIONS:
            await ws.send_json(_leave("too_many_websockets"))
            await ws.close()
            return ws
        connection = Connection(ws, request)
        self._connections.append(connection)
        try:
            await ws.send_json(self._hello())
            self._bell.ring()
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    self._acknowledged(message.data)
        except ConnectionResetError:
            pass  # the client left while we greeted it
        finally:
            self._connections.remove(connection)
            connection.closed.set_result(None)
            self._bell.ring()
        return ws

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self._connections),
            "debug_info": {"host": "slack-double", "build_number": 1, "approximate_connection_time": 3600},
            "connection_info": {"app_id": APP_ID},
        }

    def _acknowledged(self, data: str) -> None:
        try:
            answer: Any = json.loads(data)
        except (ValueError, RecursionError):
            return  # Slack ignores what it cannot read, too
        if not isinstance(answer, dict) or not isinstance(answer.get("envelope_id"), str):
            return
        delivery = self._deliveries.get(answer["envelope_id"])
        if delivery is not None and not delivery.answered.done():
            payload = answer.get("payload")
            delivery.answered.set_result((answer["envelope_id"], payload if isinstance(payload, dict) else None))

    def _ready(self) -> list[Connection]:
        return [connection for connection in self._connections if not connection.draining]

    async def deliver(self, kind: str, payload: Json, *, accepts_response_payload: bool = False) -> Ack:
        """Send an envelope to one connection and wait for its acknowledgement.

        Not acknowledged in time, or its connection lost: delivered again with a new id, `retry_attempt` and
        `retry_reason`; the payload stays the same.

        Raises:
            NotAcknowledgedError: no delivery was acknowledged.
        """
        delivery = _Delivery(asyncio.get_running_loop().create_future())
        reason = ""
        try:
            await asyncio.sleep(self.faults.take_delay())
            for attempt in range(1 + REDELIVERIES):
                envelope = self._envelope(kind, payload, accepts_response_payload)
                if attempt:
                    envelope |= {"retry_attempt": attempt, "retry_reason": reason}
                reason = await self._attempt(delivery, envelope)
                if delivery.answered.done():
                    envelope_id, answer = delivery.answered.result()
                    return Ack(envelope_id, answer, len(delivery.envelope_ids))
            raise NotAcknowledgedError(
                f"the app did not acknowledge a {kind} envelope in {1 + REDELIVERIES} deliveries of "
                f"{self._ack_seconds:g} s (last: {reason}); it has {self.connections} open sockets"
            )
        finally:
            for envelope_id in delivery.envelope_ids:
                del self._deliveries[envelope_id]

    def _envelope(self, kind: str, payload: Json, accepts_response_payload: bool) -> Json:  # noqa: FBT001 - a field of the envelope
        return {
            # Other than in every earlier run, because apps remember the ids they have seen.
            "envelope_id": made_id("e", f"{next(self._serial)} {self._clock()}"),
            "type": kind,
            "payload": payload,
            "accepts_response_payload": accepts_response_payload,
        }

    async def _attempt(self, delivery: _Delivery, envelope: Json) -> str:
        try:
            connection = await self._bell.wait_for(self._next_connection, self._ack_seconds)
        except TimeoutError:
            return "no_connection"
        delivery.envelope_ids.append(envelope["envelope_id"])
        self._deliveries[envelope["envelope_id"]] = delivery
        try:
            await connection.ws.send_json(envelope)
            if self.faults.take_duplicate():
                await (self._next_connection() or connection).ws.send_json(envelope)
        except ConnectionResetError:
            return "connection_lost"
        # After an answer within the time, or the end of the connection that should have carried it.
        ends: list[asyncio.Future[Any]] = [delivery.answered, connection.closed]
        await asyncio.wait(ends, timeout=self._ack_seconds, return_when=asyncio.FIRST_COMPLETED)
        return "connection_lost" if connection.closed.done() else "timeout"

    def _next_connection(self) -> Connection | None:
        ready = self._ready()
        return ready[next(self._turn) % len(ready)] if ready else None

    async def disconnect_all(self, reason: str) -> int:
        """Ask every connection to reconnect; those that stay are cut after ten seconds."""
        asked = self._ready()
        for connection in asked:
            await self._ask_to_leave(connection, reason)
        self._bell.ring()
        return len(asked)

    async def _ask_to_leave(self, connection: Connection, reason: str) -> None:
        connection.draining = True
        try:
            await connection.ws.send_json(_leave(reason))
        except ConnectionResetError:
            return  # it is gone already
        timer = asyncio.get_running_loop().call_later(DRAIN_SECONDS, connection.cut)
        connection.closed.add_done_callback(lambda _closed: timer.cancel())

    def drop_all(self) -> int:
        """Cut every connection without a word."""
        cut = list(self._connections)
        for connection in cut:
            connection.cut()
        return len(cut)

    async def close(self) -> None:
        """Close every connection."""
        for connection in list(self._connections):
            await connection.ws.close()


def _leave(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "slack-double"}}
