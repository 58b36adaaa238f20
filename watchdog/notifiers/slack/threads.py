"""Which message is the head of an incident's thread: from memory, or from the history after a restart."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any, Final

from watchdog.model.time import HOUR
from watchdog.notifiers.slack.blocks import blocks, plain_text
from watchdog.notifiers.slack.client import Channel, Json, Post, SlackClient
from watchdog.notifiers.slack.retry import SlackError
from watchdog.ports.errors import NotifyError
from watchdog.ports.notifiers import Message

EVENT_TYPE: Final = "watchdog_notice"
HEAD_AGE: Final = 3 * 24 * HOUR
"""How far back the head of a thread is looked for, counted from when the message at hand was due."""
KEYS: Final = 40
"""How many keys a head remembers: one for each time that it was rewritten."""


@dataclass(frozen=True)
class Head:
    """The first message of a thread.

    Attributes:
        keys: Of every header message that it has shown, the newest last.
        text: What it shows now, if this process wrote it.
    """

    ts: str
    keys: tuple[str, ...] = ()
    text: Message | None = None


@dataclass
class Threads:
    """Heads by channel and thread."""

    client: SlackClient
    _heads: dict[tuple[str, str], Head | None] = field(default_factory=dict)
    _locks: defaultdict[tuple[str, str], asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def write_head(self, channel: Channel, message: Message) -> str:
        """Posts the head, or rewrites it when it is there; its ts."""
        place = (channel.id, message.thread)
        async with self._locks[place]:
            head = await self._known(channel, message)
            if head is not None and await self._rewritten(channel, head, message):
                return head.ts
            return (await self._new(channel, message, head)).ts

    async def head_for(self, channel: Channel, message: Message, *, needed: bool) -> str:
        """The ts of the head that a reply belongs under; a new one is posted first if somebody has deleted it.

        Args:
            channel: Where.
            message: The reply.
            needed: Post a head also if there never was one; otherwise the answer is empty then.
        """
        place = (channel.id, message.thread)
        async with self._locks[place]:
            head = await self._known(channel, message)
            if head is not None and await self.client.exists(channel, head.ts):
                return head.ts
            if head is None and not needed:
                return ""
            text = head.text if head is not None else None
            return (await self._new(channel, text or _substitute(message), head)).ts

    def forget(self, channel: Channel, thread: str) -> None:
        """Makes the next message look the head up again."""
        self._heads.pop((channel.id, thread), None)

    async def in_history(self, channel: Channel, message: Message) -> Head | None:
        """The head as the channel's history has it."""
        async for found in self.client.history(channel, message.due_at - HEAD_AGE):
            payload = payload_of(found)
            if payload.get("head") is True and payload.get("thread") == message.thread:
                return Head(str(found.get("ts")), keys_of(found))
        return None

    async def _known(self, channel: Channel, message: Message) -> Head | None:
        place = (channel.id, message.thread)
        if place not in self._heads:
            self._heads[place] = await self.in_history(channel, message)
        return self._heads[place]

    async def _rewritten(self, channel: Channel, head: Head, message: Message) -> bool:
        keys = _with(head.keys, message.key)
        try:
            await self.client.update(channel, head.ts, as_post(message, 0, head=True, keys=keys))
        except SlackError as error:
            if error.code in {"message_not_found", "cant_update_message"}:
                return False
            raise
        self._heads[channel.id, message.thread] = Head(head.ts, keys, message)
        return True

    async def _new(self, channel: Channel, message: Message, before: Head | None) -> Head:
        keys = _with(before.keys if before is not None else (), message.key)
        try:
            ts, _ = await self.client.post(channel, as_post(message, 0, head=True, keys=keys))
        except NotifyError:
            # It may stand there all the same: the history knows.
            self.forget(channel, message.thread)
            raise
        head = Head(ts, keys, message)
        self._heads[channel.id, message.thread] = head
        return head


def as_post(message: Message, priority: int, *, head: bool = False, keys: tuple[str, ...] = ()) -> Post:
    """The message with the metadata by which it can be found again."""
    payload: Json = {
        "key": message.key,
        "guard": message.guard,
        "incident": message.incident,
        "thread": message.thread,
        "head": head,
    }
    if head or message.also:
        payload["keys"] = "\n".join(keys or (message.key, *message.also))
    return Post(plain_text(message), blocks(message), {"event_type": EVENT_TYPE, "event_payload": payload}, priority)


def payload_of(found: Json) -> dict[str, Any]:
    """Our metadata on a message of the history; empty for a message of somebody else."""
    metadata = found.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE:
        return {}
    payload = metadata.get("event_payload")
    return payload if isinstance(payload, dict) else {}


def keys_of(found: Json) -> tuple[str, ...]:
    """The keys of the messages that this one of the history has shown."""
    payload = payload_of(found)
    keys = str(payload.get("keys") or payload.get("key") or "")
    return tuple(keys.split("\n")) if keys else ()


def _with(keys: tuple[str, ...], key: str) -> tuple[str, ...]:
    return (*(known for known in keys if known != key), key)[-KEYS:]


def _substitute(message: Message) -> Message:
    """A head for a thread whose own head this process has not seen."""
    text = f"Incident {message.incident} on {message.guard}"
    return replace(message, key=f"{message.thread}/head", text=text, header=True, buttons=(), fields=())
