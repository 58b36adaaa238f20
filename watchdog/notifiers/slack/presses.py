"""From a payload of Slack to what a person wants: pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from watchdog.model.inputs import Acknowledge, Approve, Deny, Input, ReleaseHold, Resolve, SetHold
from watchdog.model.rules import RungKind
from watchdog.model.time import MINUTE

HOLD: Final = 15 * MINUTE

INPUTS: Final[Mapping[str, Callable[[str, str, RungKind | None], Input]]] = MappingProxyType(
    {
        "ack": lambda who, incident, _: Acknowledge(who, via="slack", incident=incident),
        "approve": Approve,
        "deny": Deny,
        "hold": lambda who, incident, _: SetHold(who, reason="held in Slack", length=HOLD, incident=incident),
        "release": lambda who, incident, _: ReleaseHold(who, incident),
        "resolve": lambda who, incident, _: Resolve(who, reason="resolved in Slack", incident=incident),
    }
)
"""What each button means, from who pressed it, the incident it stands under, and the rung behind a dot in its id."""

RUNGS: Final[Mapping[str, RungKind]] = MappingProxyType({rung.value: rung for rung in RungKind})


@dataclass(frozen=True)
class Press:
    """One press of a button.

    Attributes:
        id: The same for every delivery of this press.
        thread: The thread that the button stands in; empty at top level.
    """

    id: tuple[str, ...]
    guard: str
    input: Input
    channel: str
    user: str
    thread: str


def read_press(payload: object) -> Press | str:
    """The press in a payload, or why there is none."""
    match payload:
        case {
            "type": "block_actions",
            "user": {"id": str(user)} as person,
            "container": {"channel_id": str(channel)} as container,
            "actions": [{"action_id": str(action), "action_ts": str(at), "value": str(value)}, *_],
        }:
            guard, bar, incident = value.rpartition("|")
            name, _, rung = action.partition(".")
            meant = INPUTS.get(name)
            if meant is None:
                return f"no button of ours is called {action[:40]!r}"
            if not guard or not bar:
                return f"the button {action!r} names no guard and incident"
            thread = container.get("thread_ts")
            return Press(
                id=(user, action, value, at),
                guard=guard,
                input=meant(_name(person) or user, incident, RUNGS.get(rung)),
                channel=channel,
                user=user,
                thread=thread if isinstance(thread, str) else "",
            )
        case {"type": str(kind)}:
            return f"a payload {kind[:40]!r} is nothing that we listen for, or is malformed"
    return "the payload is malformed"


def _name(person: Mapping[str, object]) -> str:
    """What the person is called in the journal."""
    names = (person.get("username"), person.get("name"))
    return next((name for name in names if isinstance(name, str) and name), "")
