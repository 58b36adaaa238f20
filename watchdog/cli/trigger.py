"""`watchdog trigger`."""

from enum import StrEnum
from typing import Annotated

import typer

from watchdog.cli.answers import show_answer
from watchdog.cli.client import Daemon
from watchdog.cli.options import DEFAULT_CONFIG, Config, Guard, Json, Socket
from watchdog.model.rules import RungKind


class TriggerKind(StrEnum):
    """What a person has seen."""

    SUPPORT = "support-escalation"
    CUSTOMERS = "customer-impact"
    PERFORMANCE = "performance-degradation"

    @property
    def sentence(self) -> str:
        """As the record says it."""
        match self:
            case TriggerKind.SUPPORT:
                return "support escalation"
            case TriggerKind.CUSTOMERS:
                return "customer impact"
            case TriggerKind.PERFORMANCE:
                return "performance degradation confirmed"


def trigger(
    *,
    guard: Guard,
    reason: Annotated[str, typer.Option("--reason", help="What you have seen.")],
    kind: Annotated[TriggerKind | None, typer.Option("--kind", help="What kind of thing it is.")] = None,
    rung: Annotated[RungKind | None, typer.Option("--rung", help="Enter here; without it, at the first.")] = None,
    config: Config = DEFAULT_CONFIG,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Start the ladder by hand.

    Opens an incident, or joins the open one. With --rung that rung acts even where it would only propose.
    """
    said = f"{kind.sentence}: {reason}" if kind is not None and reason.strip() else reason
    with Daemon.of(config, socket) as daemon:
        show_answer(daemon.post(guard, "trigger", {"reason": said, "rung": rung}), as_json=as_json)
