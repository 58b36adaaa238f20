"""What the daemon answers to: the API, the command line behind it, and buttons in Slack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from watchdog.model.events import Event, Stored
from watchdog.model.guards import Guard
from watchdog.model.inputs import Input
from watchdog.model.releases import Release
from watchdog.model.time import Span, Time
from watchdog.model.verdicts import Verdict


class UnknownGuardError(LookupError):
    """No guard of this name is configured; the text names those that are."""


@dataclass(frozen=True)
class DaemonHealth:
    """Figures of the daemon itself.

    Attributes:
        tick_lag: How late the last evaluation of each guard began.
        probe_seconds: Duration of each probe's last reading, by (guard, probe).
        probe_failures: Failed readings so far, by (guard, probe).
        append_seconds: Duration of the last append to the journal.
    """

    tick_lag: Mapping[str, Span]
    probe_seconds: Mapping[tuple[str, str], float]
    probe_failures: Mapping[tuple[str, str], int]
    append_seconds: float


class Control(Protocol):
    """The running daemon."""

    def guards(self) -> Sequence[str]:
        """Names of all guards that are held; while the daemon starts they come one after the other."""
        ...

    def guard(self, name: str) -> Guard:
        """A guard as it stands.

        Raises:
            UnknownGuardError: There is none of this name.
            JournalError: The daemon is starting, and has not read the guard's journal yet.
        """
        ...

    def verdicts(self, name: str) -> Mapping[str, Verdict]:
        """The latest verdict of each of a guard's rules."""
        ...

    async def say(self, name: str, given: Input) -> tuple[Event, ...]:
        """Hands an input to a guard and waits until what it brings about is in the journal.

        Raises:
            RefusedError: The state does not allow it.
            UnknownGuardError: There is no such guard.
            JournalError: It could not be written; nothing was done.
        """
        ...

    async def start_release(self, name: str, release: Release) -> tuple[Event, ...]:
        """Freezes the baseline and starts a release; raises like `say`."""
        ...

    async def events(self, name: str, after: int = 0) -> Sequence[Stored]:
        """A guard's journal behind a number."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Whether every guard is being watched, and what is missing."""
        ...

    def now(self) -> Time:
        """The daemon's time."""
        ...

    def gauges(self) -> DaemonHealth:
        """The daemon's own health."""
        ...
