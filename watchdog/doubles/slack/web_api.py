"""The table of methods: which token and scope each needs, and who answers it."""

import hmac
from dataclasses import dataclass
from enum import Enum

from watchdog.doubles.slack import chat, conversations, files
from watchdog.doubles.slack.args import Args
from watchdog.doubles.slack.context import Context, Method
from watchdog.doubles.slack.errors import SlackError
from watchdog.doubles.slack.state import BOT_ID, BOT_NAME, BOT_USER, TEAM_DOMAIN, TEAM_ID, Json


class Token(Enum):
    """Whose token a method takes."""

    NONE = "none"
    BOT = "bot"
    APP = "app"


@dataclass(frozen=True, slots=True)
class Entry:
    """A method of the Web API; `scope` is None when any token of the right kind will do."""

    answer: Method
    scope: str | None = None
    token: Token = Token.BOT


def _api_test(_context: Context, args: Args) -> Json:
    error = args.optional("error")
    if error:
        raise SlackError(error, {"args": {"error": error}})
    return {"args": {}}


def _auth_test(context: Context, _args: Args) -> Json:
    return {
        "url": context.page_url,
        "team": TEAM_DOMAIN,
        "user": BOT_NAME,
        "team_id": TEAM_ID,
        "user_id": BOT_USER,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def _open_connection(context: Context, _args: Args) -> Json:
    return {"url": context.new_socket_url()}


METHODS: dict[str, Entry] = {
    "api.test": Entry(_api_test, token=Token.NONE),
    "auth.test": Entry(_auth_test),
    "apps.connections.open": Entry(_open_connection, "connections:write", Token.APP),
    "chat.delete": Entry(chat.delete, "chat:write"),
    "chat.getPermalink": Entry(chat.get_permalink),
    "chat.postEphemeral": Entry(chat.post_ephemeral, "chat:write"),
    "chat.postMessage": Entry(chat.post_message, "chat:write"),
    "chat.update": Entry(chat.update, "chat:write"),
    "conversations.history": Entry(conversations.history, "channels:history"),
    "conversations.info": Entry(conversations.info, "channels:read"),
    "conversations.join": Entry(conversations.join, "channels:join"),
    "conversations.list": Entry(conversations.list_channels, "channels:read"),
    "conversations.replies": Entry(conversations.replies, "channels:history"),
    "files.completeUploadExternal": Entry(files.complete_upload, "files:write"),
    "files.getUploadURLExternal": Entry(files.get_upload_url, "files:write"),
    "reactions.add": Entry(chat.add_reaction, "reactions:write"),
    "usergroups.users.list": Entry(conversations.usergroup_users, "usergroups:read"),
    "users.info": Entry(conversations.user_info, "users:read"),
    "views.open": Entry(chat.open_view),
}

ALL_BOT_SCOPES = frozenset(
    {"commands"} | {entry.scope for entry in METHODS.values() if entry.scope and entry.token is Token.BOT}
)


class WebApi:
    """Checks token and scope, then answers."""

    def __init__(self, context: Context, *, bot_token: str, app_token: str, scopes: set[str]) -> None:
        """Answer for these two tokens; `scopes` are the bot token's, and may be changed while running."""
        self._context = context
        self._tokens = {Token.BOT: bot_token, Token.APP: app_token}
        self.scopes = scopes

    def call(self, method: str, token: str | None, args: Args) -> Json:
        """The answer of a call that succeeds.

        Raises:
            SlackError: every answer that is not ok.
        """
        entry = METHODS.get(method)
        if entry is None:
            raise SlackError("unknown_method", {"req_method": method})
        self._authorize(entry, token)
        return {"ok": True, **entry.answer(self._context, args)}

    def granted(self, method: str) -> set[str]:
        """The scopes of the token that this method takes, for the `x-oauth-scopes` header."""
        entry = METHODS.get(method)
        return {"connections:write"} if entry and entry.token is Token.APP else self.scopes

    def _authorize(self, entry: Entry, token: str | None) -> None:
        if entry.token is Token.NONE:
            return
        if not token:
            raise SlackError("not_authed")
        given = token.encode(errors="surrogateescape")
        matches = {kind for kind, known in self._tokens.items() if hmac.compare_digest(known.encode(), given)}
        if not matches:
            raise SlackError("invalid_auth")
        if entry.token not in matches:
            raise SlackError("not_allowed_token_type")
        if entry.token is Token.BOT and entry.scope is not None and entry.scope not in self.scopes:
            raise SlackError("missing_scope", {"needed": entry.scope, "provided": ",".join(sorted(self.scopes))})
