"""Calls of Slack's Web API: paced, repeated only when that is safe, every failure a `NotifyError`."""

import logging
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from watchdog.model.time import MILLISECOND, Time, in_seconds, span
from watchdog.notifiers.slack.blocks import Block
from watchdog.notifiers.slack.options import SlackOptions
from watchdog.notifiers.slack.pacer import Pacer
from watchdog.notifiers.slack.retry import GiveUp, SlackError, decide, translate
from watchdog.ports.clock import Clock
from watchdog.ports.errors import WatchdogError
from watchdog.ports.secrets import Secret

Json = dict[str, Any]

PAGE: Final = 999
"""Slack's most; the first alarm waits for the history to be read."""
MAX_PAGES: Final = 20

# slack-sdk logs whole answers and socket addresses with their tickets; what matters is logged by us.
QUIET: Final = logging.Logger("slack_sdk", logging.CRITICAL + 1)  # noqa: LOG001 - a registered one would be global state

_ID = re.compile(r"[CGD][A-Z0-9]{8,}")


@dataclass(frozen=True)
class Post:
    """What is to stand in a channel.

    Attributes:
        priority: Lower is sooner when several wait for the same channel.
    """

    text: str
    blocks: list[Block]
    metadata: Json
    priority: int = 0


@dataclass(frozen=True)
class Channel:
    """A channel by its id; `name` is what errors call it."""

    id: str
    name: str


@dataclass(frozen=True)
class _Call:
    method: str
    place: str
    arguments: Mapping[str, Any]
    repeatable: bool = True
    lane: str = ""
    priority: int = 0


@dataclass
class SlackClient:
    """One workspace."""

    options: SlackOptions
    clock: Clock
    pacer: Pacer
    web: AsyncWebClient = field(init=False)
    _channels: dict[str, Channel] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.web = AsyncWebClient(
            base_url=self.options.api_url or AsyncWebClient.BASE_URL,
            timeout=max(1, round(in_seconds(self.options.timeout))),
            retry_handlers=[],
            logger=QUIET,
        )
        if self.options.api_url:
            # slack-sdk would use the environment's proxy for loopback, too.
            self.web.proxy = None

    async def channel(self, to: str) -> Channel:
        """The channel with this id or name; names are looked up once.

        Raises:
            SlackError: There is none that the app can see.
        """
        name = to.removeprefix("#")
        if _ID.fullmatch(name):
            return Channel(name, name)
        if name not in self._channels:
            self._channels[name] = await self._look_up(name)
        return self._channels[name]

    async def post(self, channel: Channel, post: Post, thread: str = "") -> tuple[str, bool]:
        """Posts, in a thread if one is given.

        Returns:
            The message's ts, and whether it stands in the thread (Slack posts to the channel when that is gone).
        """
        arguments = _content(channel, post) | {"unfurl_links": False, "unfurl_media": False}
        if thread:
            arguments["thread_ts"] = thread
        call = _Call(
            "chat.postMessage", f"#{channel.name}", arguments, repeatable=False, lane=channel.id, priority=post.priority
        )
        answer = await self._ask(call)
        message = answer.get("message")
        in_thread = isinstance(message, dict) and message.get("thread_ts") == thread
        return str(answer["ts"]), in_thread

    async def update(self, channel: Channel, ts: str, post: Post) -> None:
        """Rewrites a message of ours."""
        arguments = _content(channel, post) | {"ts": ts}
        place = f"#{channel.name}"
        await self._ask(_Call("chat.update", place, arguments, lane=channel.id, priority=post.priority))

    async def say_privately(self, channel: str, user: str, text: str, thread: str = "") -> None:
        """Says something to one person."""
        arguments = {"channel": channel, "user": user, "text": text} | ({"thread_ts": thread} if thread else {})
        await self._ask(_Call("chat.postEphemeral", f"#{channel}", arguments, repeatable=False))

    async def exists(self, channel: Channel, ts: str) -> bool:
        """Whether a message has not been deleted."""
        arguments = {"channel": channel.id, "message_ts": ts}
        try:
            await self._ask(_Call("chat.getPermalink", f"#{channel.name}", arguments))
        except SlackError as error:
            if error.code == "message_not_found":
                return False
            raise
        return True

    async def history(self, channel: Channel, oldest: Time) -> AsyncIterator[Json]:
        """Top-level messages since `oldest`, newest first, with metadata."""
        arguments = {"channel": channel.id, "oldest": _ts(oldest), "include_all_metadata": True}
        async for message in self._pages("conversations.history", channel.name, arguments, "messages"):
            yield message

    async def replies(self, channel: Channel, thread: str, oldest: Time) -> AsyncIterator[Json]:
        """Messages of a thread since `oldest`, with metadata; the head comes along."""
        arguments = {"channel": channel.id, "ts": thread, "oldest": _ts(oldest), "include_all_metadata": True}
        async for message in self._pages("conversations.replies", channel.name, arguments, "messages"):
            yield message

    async def socket_address(self) -> str:
        """A fresh address for Socket Mode; good for one connection."""
        answer = await self._ask(_Call("apps.connections.open", "", {"app_token": _reveal(self.options.app_token)}))
        return str(answer.get("url"))

    async def _look_up(self, name: str) -> Channel:
        for kind in ("public_channel", "private_channel"):
            arguments = {"types": kind, "exclude_archived": False}
            try:
                async for found in self._pages("conversations.list", name, arguments, "channels"):
                    if found.get("name") == name:
                        return Channel(str(found["id"]), name)
            except SlackError as error:
                # Without groups:read there are simply no private channels to see.
                if kind == "public_channel" or error.code != "missing_scope":
                    raise
        raise SlackError(
            f"Slack: there is no channel #{name} that the app can see; correct `to` of the channel in config.yaml, "
            "or invite the app with /invite if the channel is private",
            code="channel_not_found",
            recoverable=False,
        )

    async def _pages(self, method: str, name: str, arguments: Json, items: str) -> AsyncIterator[Json]:
        cursor = ""
        for _ in range(MAX_PAGES):
            page = arguments | {"limit": PAGE} | ({"cursor": cursor} if cursor else {})
            answer = await self._ask(_Call(method, f"#{name}", page))
            for item in answer.get(items) or ():
                yield item
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return

    async def _ask(self, call: _Call) -> Json:
        attempt = 1
        while True:
            if call.lane:
                await self.pacer.turn(call.lane, call.priority)
            try:
                return await self._once(call)
            except SlackError as error:
                decision = decide(error, attempt)
                if isinstance(decision, GiveUp):
                    raise decision.error from error.__cause__
            attempt += 1
            if call.lane:
                self.pacer.hold(call.lane, span(decision.after))
            else:
                await self.clock.sleep(span(decision.after))

    async def _once(self, call: _Call) -> Json:
        self.web.token = _reveal(self.options.bot_token)
        method = getattr(self.web, call.method.replace(".", "_"))
        try:
            response = await method(**call.arguments)
        except (SlackApiError, aiohttp.ClientError, OSError) as error:
            raise translate(error, call.method, call.place, repeatable=call.repeatable) from error
        except (AttributeError, ValueError) as error:
            # slack-sdk stumbles so over a body that is neither JSON nor HTML.
            raise translate(error, call.method, call.place, repeatable=call.repeatable) from error
        answer: Json = response.data
        return answer


def _reveal(secret: Secret) -> str:
    try:
        return secret.reveal()
    except WatchdogError as error:
        raise SlackError(f"Slack: {error}") from error


def _content(channel: Channel, post: Post) -> Json:
    return {"channel": channel.id, "text": post.text, "blocks": post.blocks, "metadata": post.metadata}


def _ts(time: Time) -> str:
    seconds, micros = divmod(max(0, time) // (MILLISECOND // 1000), 1_000_000)
    return f"{seconds}.{micros:06d}"
