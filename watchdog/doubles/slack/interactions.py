"""What a person does in Slack: pressing a button, typing a command; and what the app may do with it afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from watchdog.doubles.slack.args import Args
from watchdog.doubles.slack.blocks import elements_of
from watchdog.doubles.slack.chat import Content, read_content
from watchdog.doubles.slack.errors import NotThereError, SlackError
from watchdog.doubles.slack.render import message_json
from watchdog.doubles.slack.state import (
    APP_ID,
    BOT_USER,
    TEAM_DOMAIN,
    TEAM_ID,
    Change,
    Channel,
    Json,
    Message,
    Workspace,
    made_id,
)

TRIGGER_SECONDS = 3
RESPONSE_URL_SECONDS = 30 * 60
RESPONSE_URL_USES = 5
_SECOND = 1_000_000_000


@dataclass(slots=True)
class _Trigger:
    user: str
    expires: int
    used: bool = False


@dataclass(slots=True)
class _ResponseUrl:
    channel: Channel
    user: str
    message_ts: str | None
    expires: int
    uses: int = 0


class Interactions:
    """Builds payloads and keeps the trigger ids and response addresses that went out with them."""

    def __init__(self, workspace: Workspace, *, new_response_url: Callable[[str], str]) -> None:
        """`new_response_url` turns a key into the address that leads to `respond` with it."""
        self._workspace = workspace
        self._new_response_url = new_response_url
        self._triggers: dict[str, _Trigger] = {}
        self._responses: dict[str, _ResponseUrl] = {}

    def exchange(self, trigger_id: str) -> str:
        """Use up a trigger id; the id of the user who caused it.

        Raises:
            SlackError: `invalid_trigger_id`, `expired_trigger_id` (after 3 s) or `exchanged_trigger_id`.
        """
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if trigger.expires < self._workspace.clock():
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger.user

    def block_actions(self, channel: Channel, ts: str, action_id: str, user: str, value: str | None) -> Json:
        """The payload of a press on the button `action_id` in the message as it is now.

        Raises:
            NotThereError: there is no such message, or no such button in it; says which there are.
        """
        message = next((m for m in (*channel.visible(), *channel.ephemerals) if m.ts == ts), None)
        if message is None:
            raise NotThereError(f"no message {ts} in #{channel.name}; it may have been deleted")
        action = _action(channel, message, action_id) | {"action_ts": self._workspace.next_ts(channel)}
        if value is not None:
            action["value"] = value
        return {
            "type": "block_actions",
            "user": self._user(user),
            "api_app_id": APP_ID,
            "token": "verification-token",
            "container": _container(channel, message),
            "trigger_id": self._new_trigger(user),
            "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": channel.id, "name": channel.name},
            "message": message_json(self._workspace, channel, message, metadata=True),
            "state": {"values": {}},
            "response_url": self._response_url(channel, user, ts),
            "actions": [action],
        }

    def slash_command(self, channel: Channel, user: str, command: str, text: str) -> Json:
        """The payload of `command text` typed in a channel."""
        return {
            "token": "verification-token",
            "team_id": TEAM_ID,
            "team_domain": TEAM_DOMAIN,
            "channel_id": channel.id,
            "channel_name": channel.name,
            "user_id": user,
            "user_name": self._user(user)["username"],
            "command": command,
            "text": text,
            "api_app_id": APP_ID,
            "is_enterprise_install": "false",
            "response_url": self._response_url(channel, user, None),
            "trigger_id": self._new_trigger(user),
        }

    def respond(self, key: str, values: Mapping[str, Any]) -> None:
        """What the app posted to a response address.

        Raises:
            SlackError: `invalid_url`, `expired_url`, `used_url`, or what is wrong with the message.
        """
        url = self._responses.get(key)
        if url is None:
            raise SlackError("invalid_url", status=404)
        if url.expires < self._workspace.clock():
            raise SlackError("expired_url", status=404)
        if url.uses >= RESPONSE_URL_USES:
            raise SlackError("used_url", status=404)
        url.uses += 1
        args = Args(values)
        if args.flag("delete_original"):
            self._replace(url, None)
            return
        content = read_content(args)
        if args.flag("replace_original"):
            self._replace(url, content)
        else:
            self.say(url.channel, url.user, content, args)

    def say(self, channel: Channel, user: str, content: Content, args: Args) -> None:
        """The app's words after an interaction: for everybody if it says `in_channel`, else for `user` alone."""
        blocks, thread_ts = content.blocks or (), args.optional("thread_ts")
        if args.optional("response_type") == "in_channel":
            self._workspace.post(channel, BOT_USER, content.text or "", blocks=blocks, thread_ts=thread_ts)
        else:
            self._workspace.post_ephemeral(channel, user, content.text or "", blocks=blocks, thread_ts=thread_ts)

    def _replace(self, url: _ResponseUrl, content: Content | None) -> None:
        if url.message_ts is None:
            raise SlackError("message_not_found", status=404)
        ephemeral = next((m for m in url.channel.ephemerals if m.ts == url.message_ts), None)
        if ephemeral is not None:
            url.channel.ephemerals.remove(ephemeral)
            if content is not None:
                self._workspace.post_ephemeral(url.channel, url.user, content.text or "", blocks=content.blocks or ())
        elif content is None:
            self._workspace.delete(url.channel, url.message_ts)
        else:
            self._workspace.edit(url.channel, url.message_ts, Change(*content))

    def _user(self, user: str) -> Json:
        handle = self._workspace.users[user].lower().replace(" ", ".")
        return {"id": user, "username": handle, "name": handle, "team_id": TEAM_ID}

    def _new_trigger(self, user: str) -> str:
        trigger_id = made_id("", f"trigger {self._workspace.serial()} {self._workspace.clock()}")
        self._triggers[trigger_id] = _Trigger(user, self._workspace.clock() + TRIGGER_SECONDS * _SECOND)
        return trigger_id

    def _response_url(self, channel: Channel, user: str, message_ts: str | None) -> str:
        key = made_id("R", f"response {self._workspace.serial()} {self._workspace.clock()}")
        expires = self._workspace.clock() + RESPONSE_URL_SECONDS * _SECOND
        self._responses[key] = _ResponseUrl(channel, user, message_ts, expires)
        return self._new_response_url(key)


def _action(channel: Channel, message: Message, action_id: str) -> Json:
    buttons = {
        element["action_id"]: (block["block_id"], element)
        for block in message.blocks
        for element in elements_of(block)
        if element.get("type") == "button"
    }
    if action_id not in buttons:
        there = ", ".join(buttons) or "none"
        raise NotThereError(f"no button {action_id!r} in message {message.ts} of #{channel.name}; it has: {there}")
    block_id, element = buttons[action_id]
    kept: Json = {key: element[key] for key in ("value", "style", "text") if key in element}
    return {"type": "button", "action_id": action_id, "block_id": block_id, **kept}


def _container(channel: Channel, message: Message) -> Json:
    ephemeral = message.only_for is not None
    place: Json = {"type": "message", "message_ts": message.ts, "channel_id": channel.id, "is_ephemeral": ephemeral}
    return place | ({"thread_ts": message.thread_ts} if message.thread_ts is not None else {})
