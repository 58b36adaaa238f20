"""The workspace: channels, messages, people. No I/O; time comes from the clock it was given."""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from watchdog.doubles.slack.errors import NotThereError, SlackError

Json = dict[str, Any]

APP_ID = "A0WATCHDOG"
BOT_ID = "B0WATCHDOG"
BOT_USER = "U0WATCHDOG"
BOT_NAME = "watchdog"
TEAM_ID = "T0DOUBLE00"
TEAM_DOMAIN = "slack-double"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it is now.

    `ts` is its identity, seconds and microseconds as Slack writes them; `thread_ts` the parent's, None for a message
    that is not in a thread; `edited` the ts of the last change; `user` the author's id; `deleted` messages stay in
    `messages()` for tests but have left every answer of the Web API.
    """

    ts: str
    user: str
    text: str
    thread_ts: str | None = None
    blocks: tuple[Json, ...] = ()
    metadata: Json | None = None
    edited: str | None = None
    deleted: bool = False
    broadcast: bool = False
    files: tuple[str, ...] = ()
    reactions: tuple[tuple[str, str], ...] = ()
    only_for: str | None = None


@dataclass(slots=True)
class Channel:
    """A public channel; `members` are user ids, the app's bot among them when it has joined."""

    id: str
    name: str
    members: set[str]
    created: int
    archived: bool = False
    messages: dict[str, Message] = field(default_factory=dict)
    ephemerals: list[Message] = field(default_factory=list)
    last_micros: int = 0

    def visible(self) -> list[Message]:
        """Messages that were not deleted, oldest first."""
        return [message for message in self.messages.values() if not message.deleted]

    def replies(self, parent_ts: str) -> list[Message]:
        """The visible replies in a thread, oldest first."""
        return [m for m in self.visible() if m.thread_ts == parent_ts and m.ts != parent_ts]


@dataclass(slots=True)
class File:
    """An uploaded file; `content` is None until its bytes came."""

    id: str
    name: str
    length: int
    title: str = ""
    content: bytes | None = None


class Change(NamedTuple):
    """What an edit sets; None leaves the message's own."""

    text: str | None = None
    blocks: Sequence[Json] | None = None
    metadata: Json | None = None


def made_id(prefix: str, name: str) -> str:
    """A Slack-like id that is the same for the same name in every run."""
    return prefix + base64.b32encode(hashlib.sha256(name.encode(errors="surrogatepass")).digest()).decode()[:10]


def without_nulls(value: Any) -> Any:
    """The same JSON without the keys that say null, which mean nothing to Slack."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


class Workspace:
    """Everything that the double knows; each change calls `changed`."""

    def __init__(
        self,
        *,
        channels: Iterable[str],
        users: Mapping[str, str],
        usergroups: Mapping[str, Sequence[str]],
        clock: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        """Open a workspace with these channels (names), users (id to name) and user groups (id to user ids)."""
        self.clock = clock
        self.changed = changed
        self.users = {BOT_USER: BOT_NAME, **users}
        self.usergroups = {group: list(members) for group, members in usergroups.items()}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self.views: list[Json] = []
        self._serial = 0
        for name in channels:
            self.add_channel(name)

    def add_channel(self, name: str) -> Channel:
        """A new public channel with everybody and the app in it."""
        channel = Channel(made_id("C", name), name, set(self.users), self.clock() // 1_000_000_000)
        self.channels[channel.id] = channel
        self.changed()
        return channel

    def channel(self, reference: str) -> Channel:
        """The channel with this id or name, with or without `#`.

        Raises:
            NotThereError: there is none.
        """
        name = reference.removeprefix("#")
        for channel in self.channels.values():
            if name in {channel.id, channel.name}:
                return channel
        names = ", ".join(f"#{channel.name}" for channel in self.channels.values()) or "none"
        raise NotThereError(f"no channel {reference!r} in the Slack double; it has: {names}")

    def user(self, reference: str) -> str:
        """The id of the user with this id or name.

        Raises:
            NotThereError: there is none.
        """
        for user_id, name in self.users.items():
            if reference in {user_id, name}:
                return user_id
        known = ", ".join(f"{user_id} ({name})" for user_id, name in self.users.items())
        raise NotThereError(f"no user {reference!r} in the Slack double; it has: {known}")

    def serial(self) -> int:
        """The next number in a row without gaps, for ids."""
        self._serial += 1
        return self._serial

    def next_ts(self, channel: Channel) -> str:
        """A timestamp later than every other one in the channel."""
        channel.last_micros = max(channel.last_micros + 1, self.clock() // 1_000)
        return f"{channel.last_micros // 1_000_000}.{channel.last_micros % 1_000_000:06d}"

    def with_ids(self, blocks: Sequence[Json]) -> tuple[Json, ...]:
        """The blocks with the `block_id` and `action_id` that Slack makes up where there is none."""
        return tuple(self._with_ids(block) for block in blocks)

    def _with_ids(self, block: Json) -> Json:
        block = without_nulls(block)
        out = {**block, "block_id": block.get("block_id") or f"b{self.serial():04x}"}
        if block.get("type") == "actions":
            out["elements"] = [self._with_action_id(element) for element in block["elements"]]
        elif block.get("accessory") is not None and block["accessory"].get("type") != "image":
            out["accessory"] = self._with_action_id(block["accessory"])
        return out

    def _with_action_id(self, element: Json) -> Json:
        return {**element, "action_id": element.get("action_id") or f"a{self.serial():04x}"}

    def post(  # noqa: PLR0913 - a message has this many parts
        self,
        channel: Channel,
        user: str,
        text: str,
        *,
        blocks: Sequence[Json] = (),
        thread_ts: str | None = None,
        metadata: Json | None = None,
        broadcast: bool = False,
        files: Sequence[str] = (),
    ) -> Message:
        """A new message; top-level, as in Slack, when the thread's parent is gone."""
        parent = self._parent(channel, thread_ts)
        message = Message(
            ts=self.next_ts(channel),
            user=user,
            text=text,
            thread_ts=parent,
            blocks=self.with_ids(blocks),
            metadata=metadata,
            broadcast=broadcast and parent is not None,
            files=tuple(files),
        )
        channel.messages[message.ts] = message
        self.changed()
        return message

    def post_ephemeral(
        self, channel: Channel, user: str, text: str, *, blocks: Sequence[Json] = (), thread_ts: str | None = None
    ) -> Message:
        """A message that only `user` sees and that no history has."""
        message = Message(
            ts=self.next_ts(channel),
            user=BOT_USER,
            text=text,
            thread_ts=self._parent(channel, thread_ts),
            blocks=self.with_ids(blocks),
            only_for=user,
        )
        channel.ephemerals.append(message)
        self.changed()
        return message

    def _parent(self, channel: Channel, thread_ts: str | None) -> str | None:
        if thread_ts is None:
            return None
        found = channel.messages.get(thread_ts)
        if found is None or found.deleted:
            return None
        # A reply's own ts leads to its thread.
        return found.thread_ts or found.ts

    def message(self, channel: Channel, ts: str) -> Message:
        """The visible message with this ts.

        Raises:
            SlackError: `message_not_found`.
        """
        found = channel.messages.get(ts)
        if found is None or found.deleted:
            raise SlackError("message_not_found")
        return found

    def edit(self, channel: Channel, ts: str, change: Change) -> Message:
        """Change a message in place; an empty metadata object removes the metadata.

        Raises:
            SlackError: `message_not_found`.
        """
        before = self.message(channel, ts)
        after = replace(
            before,
            text=before.text if change.text is None else change.text,
            blocks=before.blocks if change.blocks is None else self.with_ids(change.blocks),
            metadata=before.metadata if change.metadata is None else (change.metadata or None),
            edited=self.next_ts(channel),
        )
        channel.messages[ts] = after
        self.changed()
        return after

    def delete(self, channel: Channel, ts: str) -> None:
        """Take a message away from everybody.

        Raises:
            SlackError: `message_not_found`.
        """
        channel.messages[ts] = replace(self.message(channel, ts), deleted=True)
        self.changed()

    def react(self, channel: Channel, ts: str, name: str, user: str) -> None:
        """Add a reaction.

        Raises:
            SlackError: `message_not_found`, or `already_reacted` when this user gave this one before.
        """
        message = self.message(channel, ts)
        if (name, user) in message.reactions:
            raise SlackError("already_reacted")
        channel.messages[ts] = replace(message, reactions=(*message.reactions, (name, user)))
        self.changed()
