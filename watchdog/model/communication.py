"""Communication plan: a timeline of obligations counted from the opening of an incident."""

from dataclasses import dataclass
from enum import StrEnum

from watchdog.model.time import Span, Time


class Audience(StrEnum):
    """Who hears a notice."""

    RESPONDERS = "responders"
    STAKEHOLDERS = "stakeholders"
    PUBLIC = "public"
    CUSTOMERS = "customers"


class NoticeOutcome(StrEnum):
    """How an obligation ended."""

    SENT = "sent"
    SKIPPED = "skipped"
    FAILED = "failed"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Beat:
    """One beat of the plan.

    Attributes:
        after: Counted from `opened_at` on the plan's clock.
        channel: A configured channel; empty means nobody can be reached yet.
        template: Which text is said.
        impact_over: Said only if the impact lasted longer than this on the plan's clock.
        if_recovered: Whether it is still said when the service has recovered.
    """

    name: str
    after: Span
    audience: Audience
    channel: str = ""
    template: str = ""
    owner: str = ""
    impact_over: Span = 0
    if_recovered: bool = True


@dataclass(frozen=True)
class Plan:
    """The timeline.

    Attributes:
        clock: How many times faster than the wall the plan's clock runs; 1 outside a demo.
        updates: The channel of the running thread.
    """

    beats: tuple[Beat, ...] = ()
    clock: float = 1.0
    updates: str = ""


@dataclass(frozen=True)
class Notice:
    """One obligation.

    Attributes:
        topic: The plan's beat, or what happened (`rung`, `step`, `recovered` …).
        key: Sent along as metadata, so that it can be found again at the receiver.
        text: Fixed when it is owed for things that happened; rendered when it is sent for beats.
        header: Whether it rewrites the head of the thread instead of adding to it.
    """

    id: str
    incident: str
    topic: str
    audience: Audience
    channel: str
    due_at: Time
    text: str = ""
    template: str = ""
    header: bool = False
