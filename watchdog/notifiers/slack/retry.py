"""What a failed call means, and whether to make it again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import aiohttp
from slack_sdk.errors import SlackApiError

from watchdog.ports.errors import NotifyError

MAX_ATTEMPTS: Final = 3
MAX_WAIT: Final = 30.0
FIRST_WAIT: Final = 0.5
UNSTATED_WAIT: Final = 5.0


class SlackError(NotifyError):
    """A call that failed; `code` is Slack's own word for it, empty when Slack did not answer."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        recoverable: bool = True,
        uncertain: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, recoverable=recoverable, uncertain=uncertain, retry_after=retry_after)
        self.code = code


@dataclass(frozen=True)
class Retry:
    """Make the call again after so many seconds."""

    after: float


@dataclass(frozen=True)
class GiveUp:
    """Hand the error to whoever asked."""

    error: NotifyError


Decision: TypeAlias = Retry | GiveUp


def decide(error: NotifyError, attempt: int) -> Decision:
    """Whether to make a call again that failed at this attempt (the first is 1).

    Only what certainly had no effect is repeated; in doubt the caller reads the history first. A wait that Slack asks
    for is kept to, or, when it is too long to sit out here, handed on.
    """
    after = FIRST_WAIT * 2 ** (attempt - 1) if error.retry_after is None else error.retry_after
    if not error.recoverable or error.uncertain or attempt >= MAX_ATTEMPTS or after > MAX_WAIT:
        return GiveUp(error)
    return Retry(after)


def translate(error: Exception, call: str, place: str, *, repeatable: bool) -> SlackError:
    """What an exception of slack-sdk means for a call.

    Args:
        error: A `SlackApiError`, or what a connection raises.
        call: The method of the Web API.
        place: Where to, for the message: `#incidents`.
        repeatable: The call may be made twice without harm, so nothing about it is uncertain.
    """
    failed = f"Slack: {call}{f' in {place}' if place else ''}"
    if isinstance(error, SlackApiError):
        return _refusal(error.response, call, place, failed, repeatable=repeatable)
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = type(error).__name__
        return SlackError(f"{failed}: no connection to {error.host}:{error.port} ({reason}); check network and api_url")
    if isinstance(error, aiohttp.InvalidURL):
        return SlackError(f"{failed}: api_url is no address; write https://…/api/ or nothing", recoverable=False)
    lost = "no answer in time" if isinstance(error, asyncio.TimeoutError) else f"answer lost ({type(error).__name__})"
    return SlackError(f"{failed}: {lost}{_doubt(repeatable=repeatable)}", uncertain=not repeatable)


def _doubt(*, repeatable: bool) -> str:
    return "" if repeatable else "; it may have been said all the same"


def _refusal(response: Any, call: str, place: str, failed: str, *, repeatable: bool) -> SlackError:
    status = _status(response)
    data = getattr(response, "data", None)
    answer: Mapping[str, Any] = data if isinstance(data, dict) else {}
    code = str(answer.get("error") or "")
    if status == 429 or code in {"ratelimited", "rate_limited"}:
        after = _retry_after(response.headers)
        return SlackError(f"{failed}: too many calls, wait {after:g} s", code="ratelimited", retry_after=after)
    if status >= 500 or code in _MAYBE_DONE or (not code and status < 400):
        said = code or f"HTTP {status} without Slack's JSON"
        return SlackError(f"{failed}: {said}{_doubt(repeatable=repeatable)}", code=code, uncertain=not repeatable)
    if not code:
        return SlackError(f"{failed}: HTTP {status} without Slack's JSON; check api_url and what stands between")
    advice = _ADVICE.get(code)
    if advice is None:
        return SlackError(f"{failed}: {code}", code=code, recoverable=code not in _NEVER)
    token = "app_token" if call == "apps.connections.open" else "bot_token"
    told = advice.format(token=token, place=place or "the channel", needed=answer.get("needed") or "that it needs")
    return SlackError(f"{failed}: {code}: {told}", code=code, recoverable=False)


def _status(response: Any) -> int:
    # Of a body that is not JSON, slack-sdk hands over aiohttp's own response, which has `status`.
    status: int = response.status_code if hasattr(response, "status_code") else response.status
    return status


def _retry_after(headers: Mapping[str, str]) -> float:
    stated = str(headers.get("Retry-After", ""))
    return float(stated) if stated.isdecimal() else UNSTATED_WAIT


_MAYBE_DONE: Final = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
_NEVER: Final = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text", "metadata_too_large"}
    | {"invalid_arguments", "invalid_metadata_format", "message_not_found", "cant_update_message", "thread_not_found"}
    | {"edit_window_closed", "user_not_in_channel", "user_not_found", "unknown_method"}
)
_REFUSED: Final = "Slack refuses the {token}; put a valid one into {token} of the Slack notifier in config.yaml"
_ADVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not_authed": "no token was sent; set {token} of the Slack notifier in config.yaml",
        "invalid_auth": _REFUSED,
        "account_inactive": _REFUSED,
        "token_revoked": _REFUSED,
        "token_expired": _REFUSED,
        "not_allowed_token_type": "a token of another kind stands in {token}; bot_token begins with xoxb-, "
        "app_token with xapp-",
        "missing_scope": "{token} lacks the scope {needed}; add it to the Slack app and install the app again",
        "no_permission": "the workspace does not let the app do this; ask an admin of the workspace to allow it",
        "restricted_action": "the workspace does not let the app post in {place}; ask an admin of it to allow it",
        "access_denied": "the workspace does not let the app do this; ask an admin of the workspace to allow it",
        "channel_not_found": "there is no channel {place} that the app can see; correct `to` of the channel in "
        "config.yaml, or invite the app with /invite if the channel is private",
        "not_in_channel": "the app is not in {place}; invite the app with /invite",
        "is_archived": "{place} is archived; unarchive it, or set `to` of the channel in config.yaml to another",
    }
)
