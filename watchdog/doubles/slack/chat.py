"""Methods that write: chat.*, reactions.add, views.open."""

import json
from typing import NamedTuple

from watchdog.doubles.slack.args import Args
from watchdog.doubles.slack.blocks import MAX_BLOCKS_IN_VIEW, check_blocks
from watchdog.doubles.slack.context import Context
from watchdog.doubles.slack.errors import SlackError, invalid_arguments
from watchdog.doubles.slack.lookup import channel_by_id, channel_to_post, joined
from watchdog.doubles.slack.render import message_json
from watchdog.doubles.slack.state import APP_ID, BOT_ID, BOT_USER, TEAM_ID, Change, Json, made_id

MAX_TEXT = 40_000
MAX_TEXT_OF_UPDATE = 4_000
MAX_METADATA_BYTES = 16 * 1024


class Content(NamedTuple):
    """What a message says; None where the call did not say."""

    text: str | None
    blocks: list[Json] | None
    metadata: Json | None


def read_content(args: Args, *, longest: int = MAX_TEXT) -> Content:
    """The checked content of a call.

    Raises:
        SlackError: `no_text`, `msg_too_long`, `invalid_blocks_format`, `invalid_blocks`, `invalid_metadata_format`,
            `metadata_too_large`.
    """
    text = args.optional("text")
    blocks = args.listing("blocks", "invalid_blocks_format")
    metadata = args.mapping("metadata", "invalid_metadata_format")
    if text is not None and len(text) > longest:
        raise SlackError("msg_too_long")
    if not text and not blocks and "attachments" not in args:
        raise SlackError("no_text")
    if blocks:
        check_blocks(blocks)
    if metadata:
        _check_metadata(metadata)
    return Content(text, blocks, metadata)


def _check_metadata(metadata: Json) -> None:
    well_formed = isinstance(metadata.get("event_type"), str) and isinstance(metadata.get("event_payload"), dict)
    if not well_formed or not metadata["event_type"]:
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(metadata).encode()) > MAX_METADATA_BYTES:
        raise SlackError("metadata_too_large")


def post_message(context: Context, args: Args) -> Json:
    """chat.postMessage."""
    channel = channel_to_post(context, args)
    content = read_content(args)
    if context.rate is not None:
        context.rate.take(channel.id)
    message = context.workspace.post(
        channel,
        BOT_USER,
        content.text or "",
        blocks=content.blocks or (),
        thread_ts=args.optional("thread_ts"),
        metadata=content.metadata or None,
        broadcast=args.flag("reply_broadcast"),
    )
    body = message_json(context.workspace, channel, message, metadata=True)
    return {"channel": channel.id, "ts": message.ts, "message": body}


def update(context: Context, args: Args) -> Json:
    """chat.update: what is not given stays; an empty list of blocks or an empty metadata object removes."""
    channel = joined(channel_by_id(context, args))
    ts = args.text("ts")
    content = read_content(args, longest=MAX_TEXT_OF_UPDATE)
    if channel.archived:
        raise SlackError("is_archived")
    if context.workspace.message(channel, ts).user != BOT_USER:
        raise SlackError("cant_update_message")
    message = context.workspace.edit(channel, ts, Change(*content))
    body = message_json(context.workspace, channel, message, metadata=True)
    return {"channel": channel.id, "ts": ts, "text": message.text, "message": body}


def delete(context: Context, args: Args) -> Json:
    """chat.delete."""
    channel = channel_by_id(context, args)
    ts = args.text("ts")
    if context.workspace.message(channel, ts).user != BOT_USER:
        raise SlackError("cant_delete_message")
    context.workspace.delete(channel, ts)
    return {"channel": channel.id, "ts": ts}


def post_ephemeral(context: Context, args: Args) -> Json:
    """chat.postEphemeral."""
    channel = channel_to_post(context, args)
    user = args.text("user")
    if user not in context.workspace.users:
        raise SlackError("user_not_found")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    content = read_content(args)
    message = context.workspace.post_ephemeral(
        channel, user, content.text or "", blocks=content.blocks or (), thread_ts=args.optional("thread_ts")
    )
    return {"message_ts": message.ts}


def get_permalink(context: Context, args: Args) -> Json:
    """chat.getPermalink; the address opens the double's page at the message."""
    channel = channel_by_id(context, args)
    message = context.workspace.message(channel, args.text("message_ts"))
    place = f"?channel={channel.id}#m{message.ts.replace('.', '')}"
    return {"channel": channel.id, "permalink": context.page_url + place}


def add_reaction(context: Context, args: Args) -> Json:
    """reactions.add."""
    channel = joined(channel_by_id(context, args))
    name = args.text("name")
    context.workspace.react(channel, args.text("timestamp"), name.strip(":"), BOT_USER)
    return {}


def open_view(context: Context, args: Args) -> Json:
    """views.open."""
    trigger_id = args.text("trigger_id")
    view = args.mapping("view", "invalid_arguments")
    if view is None or view.get("type") != "modal" or not isinstance(view.get("blocks"), list):
        raise invalid_arguments("must be a modal with blocks [json-pointer:/view]")
    title = view.get("title")
    if not isinstance(title, dict) or not 0 < len(str(title.get("text", ""))) <= 24:
        raise invalid_arguments("must be less than 25 characters [json-pointer:/view/title/text]")
    if not all(isinstance(block, dict) for block in view["blocks"]):
        raise SlackError("invalid_blocks_format")
    check_blocks(view["blocks"], most=MAX_BLOCKS_IN_VIEW)
    user = context.triggers.exchange(trigger_id)
    opened = {
        **view,
        "blocks": list(context.workspace.with_ids(view["blocks"])),
        "id": made_id("V", trigger_id),
        "team_id": TEAM_ID,
        "app_id": APP_ID,
        "bot_id": BOT_ID,
        "app_installed_team_id": TEAM_ID,
        "callback_id": view.get("callback_id", ""),
        "private_metadata": view.get("private_metadata", ""),
        "state": {"values": {}},
        "hash": made_id("", trigger_id),
        "root_view_id": made_id("V", trigger_id),
        "previous_view_id": None,
    }
    context.workspace.views.append({**opened, "opened_for": user})
    context.workspace.changed()
    return {"view": opened}
