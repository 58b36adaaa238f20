"""Socket Mode: keeps one connection open for ever, hands presses to the inbox, answers envelopes."""

import asyncio
from collections import OrderedDict
from typing import Any, Final

import structlog
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse

from watchdog.model.time import MILLISECOND, SECOND, Span, in_seconds, span
from watchdog.notifiers.slack.blocks import escape
from watchdog.notifiers.slack.client import QUIET, SlackClient
from watchdog.notifiers.slack.presses import Press, read_press
from watchdog.ports.clock import Clock
from watchdog.ports.errors import NotifyError, WatchdogError
from watchdog.ports.notifiers import Inbox

ANSWER_WITHIN: Final = 2.5
"""Seconds for persisting a press; Slack gives up after 3."""
PATIENCE: Final = 5.0
"""Seconds for a connection to come about; after that a fresh address is asked for."""
CHECK: Final[Span] = 500 * MILLISECOND
FIRST_WAIT: Final[Span] = SECOND
LONGEST_WAIT: Final[Span] = 30 * SECOND
REMEMBERED: Final = 1000
"""How many presses are remembered, so that a second delivery does nothing."""

_log = structlog.get_logger(__name__)


class SocketMode:
    """The listening half of the notifier.

    slack-sdk's client speaks the protocol and follows Slack's requests to reconnect. That it has a connection at all is
    seen to here, because it tries a refused address again for ever.
    """

    def __init__(self, client: SlackClient, clock: Clock, *, patience: float = PATIENCE) -> None:
        self.connected = False
        self._was_connected = False
        self._client = client
        self._clock = clock
        self._patience = patience
        self._keeper: asyncio.Task[None] | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self._presses: OrderedDict[tuple[str, ...], asyncio.Task[str]] = OrderedDict()

    def start(self, inbox: Inbox) -> None:
        """Begins to connect, in a task of its own."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(inbox), name="slack socket")

    async def close(self) -> None:
        """Stops; presses that are not persisted yet are left to be pressed again."""
        tasks = [task for task in (self._keeper, *self._handlers, *self._presses.values()) if task is not None]
        self._keeper = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, inbox: Inbox) -> None:
        wait = FIRST_WAIT // 2
        while True:
            connection = asyncio.create_task(self._listen(inbox), name="slack connection")
            try:
                # Waiting does not raise what the connection ended with, so nothing that slack-sdk raises ends us.
                await asyncio.wait({connection})
            finally:
                connection.cancel()
                await asyncio.wait({connection})
                self.connected = False
            error = connection.exception()
            wait = FIRST_WAIT if self._was_connected else min(2 * wait, LONGEST_WAIT)
            self._was_connected = False
            if isinstance(error, NotifyError) and error.retry_after is not None:
                wait = max(wait, span(error.retry_after))
            # What aiohttp says of a failed handshake has the address in it, and that has a ticket.
            said = str(error) if isinstance(error, WatchdogError) else type(error).__name__
            _log.warning("slack socket is not connected", error=said, next_try_seconds=in_seconds(wait))
            await self._clock.sleep(wait)

    async def _listen(self, inbox: Inbox) -> None:
        """One client of slack-sdk, until it is without a connection and cannot get one in time."""
        client = SocketModeClient(
            app_token=self._client.options.app_token.reveal(),
            logger=QUIET,
            web_client=self._client.web,
            auto_reconnect_enabled=False,
        )
        client.proxy = self._client.web.proxy

        async def receive(_: AsyncBaseSocketModeClient, message: dict[str, Any], __: str | None = None) -> None:
            self._receive(client, message, inbox)

        client.message_listeners.append(receive)
        try:
            while True:
                await self._ensure_connected(client)
                self.connected = self._was_connected = True
                await self._clock.sleep(CHECK)
        finally:
            await client.close()  # type: ignore[no-untyped-call]  # slack-sdk leaves it so

    async def _ensure_connected(self, client: SocketModeClient) -> None:
        # slack-sdk holds the lock while it follows a request to reconnect, and may never come back from that.
        async with asyncio.timeout(self._patience):
            await client.connect_operation_lock.acquire()
        try:
            if await client.is_connected():
                return
            self.connected = False
            client.wss_uri = await self._client.socket_address()
            async with asyncio.timeout(self._patience):
                await client.connect()  # type: ignore[no-untyped-call]  # slack-sdk leaves it so
            _log.info("slack socket is connected")
        finally:
            client.connect_operation_lock.release()

    def _receive(self, client: SocketModeClient, message: dict[str, Any], inbox: Inbox) -> None:
        if message.get("type") == "hello":
            return
        task = asyncio.create_task(self._handle(client, message, inbox), name="slack envelope")
        self._handlers.add(task)
        task.add_done_callback(self._handled)

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._handlers.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("slack envelope failed", error=type(error).__name__, exc_info=error)

    async def _handle(self, client: SocketModeClient, message: dict[str, Any], inbox: Inbox) -> None:
        envelope = message.get("envelope_id")
        if not isinstance(envelope, str):
            _log.warning("slack sent something that is no envelope", type=str(message.get("type"))[:40])
            return
        press = read_press(message.get("payload")) if message.get("type") == "interactive" else "no press of a button"
        if isinstance(press, str):
            _log.warning("slack envelope is ignored", reason=press, type=str(message.get("type"))[:40])
            await _acknowledge(client, envelope)
            return
        first = press.id not in self._presses
        taking = self._take(press, inbox)
        done, _ = await asyncio.wait({taking}, timeout=ANSWER_WITHIN)
        if done and taking.exception() is None:
            await _acknowledge(client, envelope)
        elif not done:
            # Not persisted yet, so not acknowledged: Slack warns the person, or delivers again.
            _log.warning("slack press is not persisted yet", guard=press.guard, seconds=ANSWER_WITHIN)
        if first:
            await self._tell(press, taking)

    def _take(self, press: Press, inbox: Inbox) -> asyncio.Task[str]:
        """The one task that hands this press to the inbox, however often it is delivered."""
        known = self._presses.get(press.id)
        if known is not None:
            return known

        async def hand_over() -> str:
            return await inbox(press.guard, press.input)

        taking = asyncio.create_task(hand_over(), name="slack press")
        self._presses[press.id] = taking
        taking.add_done_callback(lambda task: self._taken(press, task))
        while len(self._presses) > REMEMBERED:
            self._presses.popitem(last=False)
        return taking

    def _taken(self, press: Press, task: asyncio.Task[str]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        # What failed may be delivered, or pressed, again.
        self._presses.pop(press.id, None)
        _log.error("slack press was not taken", guard=press.guard, error=str(task.exception()))

    async def _tell(self, press: Press, taking: asyncio.Task[str]) -> None:
        try:
            sentence = await asyncio.shield(taking)
        except WatchdogError as error:
            sentence = f"That was not taken: {error}. Press again, or use the command line."
        try:
            await self._client.say_privately(press.channel, press.user, escape(sentence), press.thread)
        except NotifyError as error:
            _log.warning("slack did not pass on an answer", error=str(error))


async def _acknowledge(client: SocketModeClient, envelope: str) -> None:
    try:
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=envelope))
    except ConnectionError:
        _log.warning("slack connection was lost before an answer; the envelope comes again")
