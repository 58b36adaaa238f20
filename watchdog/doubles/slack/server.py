"""The running double: a port on loopback, a Python API for tests and the demo, a page for a person."""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import TypeVar

from aiohttp import web

from watchdog.doubles.slack.args import Args
from watchdog.doubles.slack.bell import Bell
from watchdog.doubles.slack.chat import read_content
from watchdog.doubles.slack.clock import steady_clock
from watchdog.doubles.slack.context import Context
from watchdog.doubles.slack.control import Control
from watchdog.doubles.slack.errors import SlackError
from watchdog.doubles.slack.faults import Faults
from watchdog.doubles.slack.http import HttpSide, new_application
from watchdog.doubles.slack.interactions import Interactions
from watchdog.doubles.slack.page import Page
from watchdog.doubles.slack.rate import MessageRate
from watchdog.doubles.slack.socket_mode import Ack, SocketHub
from watchdog.doubles.slack.state import Json, Message, Workspace
from watchdog.doubles.slack.web_api import ALL_BOT_SCOPES, WebApi

T = TypeVar("T")

DEFAULT_USERS: Mapping[str, str] = MappingProxyType({"U0ANA00001": "Ana Souza", "U0BEN00002": "Ben Okafor"})
SHUTDOWN_SECONDS = 0.5


class SlackDouble:
    """A Slack workspace with one app in it, on 127.0.0.1. Make it with `start`, end it with `stop`."""

    def __init__(self, listener: socket.socket, workspace: Workspace, bell: Bell, hub: SocketHub) -> None:
        """Put together by `start`."""
        host, port = listener.getsockname()
        self.page_url = f"http://{host}:{port}/"
        self.api_url = f"{self.page_url}api/"
        self.faults: Faults = hub.faults
        self.workspace = workspace
        self.hub = hub
        self.interactions = Interactions(workspace, new_response_url=lambda key: f"{self.page_url}response/{key}")
        self.socket_url = f"ws://{host}:{port}/link/"
        self._listener = listener
        self._bell = bell
        self._runner: web.AppRunner | None = None

    @classmethod
    async def start(  # noqa: PLR0913 - a workspace has this many settings
        cls,
        *,
        port: int = 0,
        bot_token: str,
        app_token: str,
        channels: Sequence[str] = ("incidents",),
        users: Mapping[str, str] = DEFAULT_USERS,
        usergroups: Mapping[str, Sequence[str]] = MappingProxyType({}),
        scopes: Sequence[str] = tuple(sorted(ALL_BOT_SCOPES)),
        rate_limit: bool = False,
        ack_seconds: float = 3.0,
        clock: Callable[[], int] | None = None,
    ) -> "SlackDouble":
        """Open a workspace in this event loop.

        Args:
            port: where to listen on 127.0.0.1; 0 takes a free one.
            bot_token: the only bot token that is accepted, `xoxb-…`.
            app_token: the only app-level token that is accepted, `xapp-…`.
            channels: names of public channels; the app is in all of them.
            users: ids and names of people.
            usergroups: ids of user groups and the ids of their members.
            scopes: what the bot token may do.
            rate_limit: whether more than about one message a second in a channel is refused.
            ack_seconds: how long the app may take to acknowledge an envelope.
            clock: nanoseconds UTC; must not go back.

        Raises:
            OSError: the port is taken.
        """
        now = clock or steady_clock()
        bell = Bell()
        workspace = Workspace(channels=channels, users=users, usergroups=usergroups, clock=now, changed=bell.ring)
        hub = SocketHub(clock=now, bell=bell, ack_seconds=ack_seconds)
        double = cls(_listen(port), workspace, bell, hub)
        async with AsyncExitStack() as on_failure:
            on_failure.push_async_callback(double.stop)
            rate = MessageRate(now) if rate_limit else None
            await double._serve(double._web_api(rate, bot_token, app_token, set(scopes)))
            on_failure.pop_all()
        return double

    def _web_api(self, rate: MessageRate | None, bot_token: str, app_token: str, scopes: set[str]) -> WebApi:
        context = Context(
            workspace=self.workspace,
            rate=rate,
            triggers=self.interactions,
            page_url=self.page_url,
            new_socket_url=lambda: f"{self.socket_url}?ticket={self.hub.new_ticket()}",
        )
        return WebApi(context, bot_token=bot_token, app_token=app_token, scopes=scopes)

    async def _serve(self, api: WebApi) -> None:
        self._api = api
        app = new_application()
        http = HttpSide(api, workspace=self.workspace, interactions=self.interactions, hub=self.hub, faults=self.faults)
        app.add_routes([*http.routes(), *Page(self).routes(), *Control(self).routes()])
        app.on_shutdown.append(self._close_sockets)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()

    async def _close_sockets(self, _app: web.Application) -> None:
        await self.hub.close()

    async def stop(self) -> None:
        """Close every socket and the port; calls still under way are cut after half a second."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._listener.close()

    @property
    def scopes(self) -> set[str]:
        """The bot token's scopes; change the set to grant or revoke."""
        return self._api.scopes

    @property
    def connections(self) -> int:
        """How many Socket Mode connections take envelopes now."""
        return self.hub.connections

    def messages(self, channel: str) -> list[Message]:
        """All messages ever posted to a channel (id or name), as they are now, replies among them, oldest first.

        Raises:
            NotThereError: there is no such channel.
        """
        return list(self.workspace.channel(channel).messages.values())

    def ephemerals(self, channel: str) -> list[Message]:
        """Messages in a channel that only one person sees (`only_for`), oldest first."""
        return list(self.workspace.channel(channel).ephemerals)

    def views(self) -> list[Json]:
        """Modals that the app opened, oldest first; `opened_for` is the user's id."""
        return list(self.workspace.views)

    def say(self, channel: str, user: str, text: str, *, thread_ts: str | None = None) -> Message:
        """A message written by a person (id or name)."""
        place = self.workspace.channel(channel)
        return self.workspace.post(place, self.workspace.user(user), text, thread_ts=thread_ts)

    def delete(self, channel: str, ts: str) -> None:
        """Delete a message, as a person would."""
        self.workspace.delete(self.workspace.channel(channel), ts)

    def archive(self, channel: str, *, archived: bool = True) -> None:
        """Archive a channel, or open it again."""
        self.workspace.channel(channel).archived = archived
        self.workspace.changed()

    async def press(self, channel: str, ts: str, action_id: str, user: str, value: str | None = None) -> Ack:
        """Press the button `action_id` in a message as it is now, and wait for the app's acknowledgement.

        Args:
            channel: id or name.
            ts: the message; one that only one person sees will do, too.
            action_id: which button.
            user: id or name of who presses.
            value: sent in place of the button's own value.

        Raises:
            NotThereError: no such channel, message, user, or no such button in the message now.
            NotAcknowledgedError: the app answered no delivery in time.
        """
        place, who = self.workspace.channel(channel), self.workspace.user(user)
        payload = self.interactions.block_actions(place, ts, action_id, who, value)
        return await self.hub.deliver("interactive", payload)

    async def slash(self, command: str, text: str, user: str, channel: str) -> Ack:
        """Type `command text`; a message in the acknowledgement is shown, as in Slack.

        Raises:
            NotThereError: no such channel or user.
            NotAcknowledgedError: the app answered no delivery in time.
        """
        place, who = self.workspace.channel(channel), self.workspace.user(user)
        payload = self.interactions.slash_command(place, who, command, text)
        ack = await self.hub.deliver("slash_commands", payload, accepts_response_payload=True)
        if ack.payload:
            args = Args(ack.payload)
            try:
                self.interactions.say(place, who, read_content(args), args)
            except SlackError as problem:
                self.workspace.post_ephemeral(place, who, f"{command} failed: {problem.code}")
        return ack

    async def wait_for(self, predicate: Callable[["SlackDouble"], T | None], timeout: float) -> T:  # noqa: ASYNC109 - says what was there when time was up
        """What `predicate` finds, as soon as it is neither None nor False; looked at on every change.

        Raises:
            TimeoutError: not within `timeout` seconds; the message says what the channels hold.
        """
        try:
            return await self._bell.wait_for(lambda: predicate(self), timeout)
        except TimeoutError as problem:
            there = "; ".join(
                f"#{channel.name}: {len(channel.messages)} messages, last {_last(channel.visible())}"
                for channel in self.workspace.channels.values()
            )
            raise TimeoutError(f"not seen in the Slack double within {timeout:g} s; it has {there}") from problem


def _last(messages: Sequence[Message]) -> str:
    return repr(messages[-1].text[:80]) if messages else "none"


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError as problem:
        listener.close()
        raise OSError(problem.errno, f"cannot listen on 127.0.0.1:{port}: {problem.strerror}") from problem
    return listener


async def serve(  # noqa: PLR0913 - the settings of `start`
    *,
    port: int,
    bot_token: str,
    app_token: str,
    channels: Sequence[str] = ("incidents",),
    users: Mapping[str, str] = DEFAULT_USERS,
    usergroups: Mapping[str, Sequence[str]] = MappingProxyType({}),
    rate_limit: bool = True,
    ready: Callable[[SlackDouble], None] = lambda _double: None,
) -> None:
    """Run a double as this process's work until SIGINT or SIGTERM; `ready` is called once it answers.

    Raises:
        OSError: the port is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    double = await SlackDouble.start(
        port=port,
        bot_token=bot_token,
        app_token=app_token,
        channels=channels,
        users=users,
        usergroups=usergroups,
        rate_limit=rate_limit,
    )
    try:
        ready(double)
        await stop.wait()
    finally:
        await double.stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
