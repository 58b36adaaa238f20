"""An action is the effect of one step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from watchdog.model.time import Time
from watchdog.ports.clock import Clock


class Applied(StrEnum):
    """What verification found."""

    YES = "applied"
    NO = "not applied"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Verification:
    """Whether an effect is there, and how that is known."""

    applied: Applied
    detail: str = ""


@dataclass(frozen=True)
class StepContext:
    """What an action may know.

    Attributes:
        step_id: Names the effect; the key of its receipt.
        epoch: Of the holder; every effect in a fenced target carries it.
        deadline: After this the runtime cancels.
        facts: `release`, `release_state`, `old_version`, `new_version`, `flags` (comma separated), `incident`,
            `t0` (ISO 8601 UTC), `rehearsed_scripts` (SHA-256 of each, comma separated; missing without a certificate).
    """

    guard: str
    run_id: str
    step_id: str
    epoch: int
    deadline: Time
    clock: Clock
    facts: Mapping[str, str] = field(default_factory=dict)


class Action(Protocol):
    """One step's effect. Built anew for every execution; holds no state between calls."""

    async def execute(self, context: StepContext) -> str:
        """Brings the effect about, or finds that it is already there.

        Returns:
            One sentence on what was done, with counts; no row values, no secrets.

        Raises:
            StepError: It failed, and its effect is known not to be there.
            StepUncertainError: It may or may not have had its effect.
            FencedError: A newer holder acts.
            asyncio.CancelledError: It was cancelled; the caller verifies afterwards.
        """
        ...

    async def verify(self, context: StepContext) -> Verification:
        """Whether the effect is there. For a transactional step this takes the fence first, so the answer is final.

        Raises:
            FencedError: A newer holder acts.
        """
        ...

    async def preview(self, context: StepContext) -> str:
        """What `execute` would do to the live target now; changes nothing."""
        ...
