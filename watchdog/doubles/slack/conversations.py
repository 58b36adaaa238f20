"""Methods that read: conversations.*, users.info, usergroups.users.list."""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from watchdog.doubles.slack.args import Args
from watchdog.doubles.slack.context import Context
from watchdog.doubles.slack.errors import SlackError
from watchdog.doubles.slack.lookup import channel_by_id, joined
from watchdog.doubles.slack.render import channel_json, message_json, user_json
from watchdog.doubles.slack.state import BOT_USER, Json, Message

T = TypeVar("T")


def _micros(message: Message) -> int:
    return int(message.ts.replace(".", ""))


def _cursor(kind: str, position: int) -> str:
    return base64.b64encode(f"{kind}:{position}".encode()).decode()


def _position(args: Args, kind: str) -> int | None:
    text = args.optional("cursor")
    if not text:
        return None
    try:
        found, _, position = base64.b64decode(text, validate=True).decode("ascii").partition(":")
        if found == kind:
            return int(position)
    except (binascii.Error, ValueError) as problem:
        raise SlackError("invalid_cursor") from problem
    raise SlackError("invalid_cursor")


def _between(messages: Sequence[Message], args: Args) -> list[Message]:
    oldest, latest = args.moment("oldest"), args.moment("latest")
    # Slack's bounds are exclusive unless asked otherwise.
    slack = 0 if args.flag("inclusive") else 1
    return [
        message
        for message in messages
        if (oldest is None or _micros(message) >= oldest + slack)
        and (latest is None or _micros(message) <= latest - slack)
    ]


def history(context: Context, args: Args) -> Json:
    """conversations.history: newest first, without replies, unless these were broadcast."""
    channel = joined(channel_by_id(context, args))
    limit = args.number("limit", 100, 999)
    start = _position(args, "next_ts")
    top = [message for message in channel.visible() if message.thread_ts is None or message.broadcast]
    found = [m for m in reversed(_between(top, args)) if start is None or _micros(m) <= start]
    page, rest = found[:limit], found[limit:]
    metadata = args.flag("include_all_metadata")
    answer: Json = {
        "messages": [message_json(context.workspace, channel, message, metadata=metadata) for message in page],
        "has_more": bool(rest),
        "pin_count": 0,
        "channel_actions_ts": None,
        "channel_actions_count": 0,
    }
    if rest:
        answer["response_metadata"] = {"next_cursor": _cursor("next_ts", _micros(rest[0]))}
    return answer


def replies(context: Context, args: Args) -> Json:
    """conversations.replies: oldest first; the parent leads every page, as in Slack."""
    channel = joined(channel_by_id(context, args))
    limit = args.number("limit", 999, 1000)
    start = _position(args, "next_ts")
    asked = channel.messages.get(args.text("ts"))
    parent = channel.messages.get((asked.thread_ts or asked.ts) if asked else "")
    if parent is None or parent.deleted:
        raise SlackError("thread_not_found")
    thread = _between(channel.replies(parent.ts), args)
    found = [message for message in thread if start is None or _micros(message) >= start]
    page, rest = found[:limit], found[limit:]
    metadata = args.flag("include_all_metadata")
    answer: Json = {
        "messages": [message_json(context.workspace, channel, m, metadata=metadata) for m in (parent, *page)],
        "has_more": bool(rest),
    }
    if rest:
        answer["response_metadata"] = {"next_cursor": _cursor("next_ts", _micros(rest[0]))}
    return answer


def _paged(items: Sequence[T], args: Args, kind: str) -> tuple[Sequence[T], str]:
    limit = args.number("limit", 100, 1000)
    start = _position(args, kind) or 0
    page, more = items[start : start + limit], len(items) > start + limit
    return page, _cursor(kind, start + limit) if more else ""


def list_channels(context: Context, args: Args) -> Json:
    """conversations.list."""
    with_archived = not args.flag("exclude_archived")
    wanted = (args.optional("types") or "public_channel").split(",")
    channels = [c for c in context.workspace.channels.values() if with_archived or not c.archived]
    page, cursor = _paged(channels if "public_channel" in wanted else [], args, "channel")
    return {
        "channels": [channel_json(channel) for channel in page],
        "response_metadata": {"next_cursor": cursor},
    }


def info(context: Context, args: Args) -> Json:
    """conversations.info."""
    return {"channel": channel_json(channel_by_id(context, args))}


def join(context: Context, args: Args) -> Json:
    """conversations.join."""
    channel = channel_by_id(context, args)
    if channel.archived:
        raise SlackError("is_archived")
    already = BOT_USER in channel.members
    channel.members.add(BOT_USER)
    context.workspace.changed()
    answer: Json = {"channel": channel_json(channel)}
    if already:
        answer |= {"warning": "already_in_channel", "response_metadata": {"warnings": ["already_in_channel"]}}
    return answer


def user_info(context: Context, args: Args) -> Json:
    """users.info."""
    user = args.text("user")
    name = context.workspace.users.get(user)
    if name is None:
        raise SlackError("user_not_found")
    return {"user": user_json(user, name)}


def usergroup_users(context: Context, args: Args) -> Json:
    """usergroups.users.list."""
    members = context.workspace.usergroups.get(args.text("usergroup"))
    if members is None:
        raise SlackError("no_such_subteam")
    return {"users": list(members)}
