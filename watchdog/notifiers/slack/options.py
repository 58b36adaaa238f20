"""What a Slack notifier is configured with."""

from dataclasses import dataclass
from typing import Final

from watchdog.model.time import SECOND
from watchdog.ports.kinds import Duration
from watchdog.ports.secrets import Secret

TIMEOUT: Final = Duration(10 * SECOND)


@dataclass(frozen=True)
class SlackOptions:
    """How to reach a workspace.

    Attributes:
        bot_token: `xoxb-…` with the scopes chat:write, channels:read, channels:history (groups:read, groups:history
            for private channels).
        app_token: `xapp-…` with the scope connections:write, for the buttons.
        api_url: Where the Web API is; empty means Slack's own. An address given here is reached without a proxy.
        timeout: For one call.
    """

    bot_token: Secret
    app_token: Secret
    api_url: str = ""
    timeout: Duration = TIMEOUT
