"""What the methods of the Web API work with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from watchdog.doubles.slack.args import Args
from watchdog.doubles.slack.rate import MessageRate
from watchdog.doubles.slack.state import Json, Workspace


class Triggers(Protocol):
    """Trigger ids handed out with interactions."""

    def exchange(self, trigger_id: str) -> str:
        """Use up a trigger id; the id of the user who caused it."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """The workspace and what surrounds it; `page_url` and `socket_url` end where a path or ticket continues."""

    workspace: Workspace
    rate: MessageRate | None
    triggers: Triggers
    page_url: str
    new_socket_url: Callable[[], str]


Method = Callable[[Context, Args], Json]
