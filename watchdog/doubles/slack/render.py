"""The workspace's objects as Slack writes them in JSON."""

import mimetypes

from watchdog.doubles.slack.state import (
    APP_ID,
    BOT_ID,
    BOT_NAME,
    BOT_USER,
    TEAM_ID,
    Channel,
    File,
    Json,
    Message,
    Workspace,
)


def message_json(workspace: Workspace, channel: Channel, message: Message, *, metadata: bool) -> Json:
    """A message as the Web API answers it; `metadata` only for those who ask, as in Slack."""
    out: Json = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text, "team": TEAM_ID}
    if message.user == BOT_USER:
        out |= {"bot_id": BOT_ID, "app_id": APP_ID, "bot_profile": _bot_profile()}
    if message.blocks:
        out["blocks"] = list(message.blocks)
    if message.edited is not None:
        out["edited"] = {"user": message.user, "ts": message.edited}
    if message.thread_ts is not None:
        out |= {"thread_ts": message.thread_ts}
        parent = channel.messages.get(message.thread_ts)
        out["parent_user_id"] = parent.user if parent else BOT_USER
    if message.broadcast:
        out["subtype"] = "thread_broadcast"
    if metadata and message.metadata is not None:
        out["metadata"] = message.metadata
    if message.files:
        out["files"] = [file_json(workspace.files[file_id]) for file_id in message.files]
    return out | _thread_summary(channel, message) | _reactions(message)


def _bot_profile() -> Json:
    return {"id": BOT_ID, "app_id": APP_ID, "name": BOT_NAME, "deleted": False, "updated": 0, "team_id": TEAM_ID}


def _thread_summary(channel: Channel, message: Message) -> Json:
    replies = channel.replies(message.ts)
    if not replies:
        return {}
    people = sorted({reply.user for reply in replies})
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users_count": len(people),
        "reply_users": people,
        "latest_reply": replies[-1].ts,
        "is_locked": False,
        "subscribed": False,
    }


def _reactions(message: Message) -> Json:
    if not message.reactions:
        return {}
    names = list(dict.fromkeys(name for name, _ in message.reactions))
    users = {name: [user for given, user in message.reactions if given == name] for name in names}
    return {"reactions": [{"name": name, "users": users[name], "count": len(users[name])} for name in names]}


def channel_json(channel: Channel) -> Json:
    """A conversation object."""
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": True,
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": False,
        "is_archived": channel.archived,
        "is_general": False,
        "is_shared": False,
        "is_member": BOT_USER in channel.members,
        "created": channel.created,
        "creator": BOT_USER,
        "context_team_id": TEAM_ID,
        "num_members": len(channel.members),
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
    }


def user_json(user_id: str, name: str) -> Json:
    """A user object."""
    handle = name.lower().replace(" ", ".")
    return {
        "id": user_id,
        "team_id": TEAM_ID,
        "name": handle,
        "real_name": name,
        "deleted": False,
        "is_bot": user_id == BOT_USER,
        "is_app_user": False,
        "tz": "Etc/UTC",
        "tz_offset": 0,
        "profile": {"real_name": name, "display_name": name, "real_name_normalized": name, "team": TEAM_ID},
    }


def file_json(file: File) -> Json:
    """A file object."""
    mimetype = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return {
        "id": file.id,
        "name": file.name,
        "title": file.title or file.name,
        "mimetype": mimetype,
        "filetype": file.name.rpartition(".")[2],
        "size": file.length,
        "user": BOT_USER,
        "mode": "hosted",
        "is_external": False,
    }
