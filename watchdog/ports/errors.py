"""Errors that cross a port. Each names the thing, the place and what to do."""

from watchdog.model.signals import Cause


class WatchdogError(Exception):
    """The base of every error that we raise on purpose."""


class ProbeError(WatchdogError):
    """A probe has no answer.

    Args:
        cause: `UNREACHABLE` when the target does not answer, `PROBE_BROKEN` when its answer makes no sense.
        message: Which target, what it said, what to do.
    """

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class StepError(WatchdogError):
    """A step failed and its effect is known not to be there."""


class StepUncertainError(WatchdogError):
    """A step may or may not have had its effect; it must be verified."""


class FencedError(WatchdogError):
    """Somebody with a higher epoch holds this guard now; this process must stop acting."""


class JournalError(WatchdogError):
    """The journal cannot be read or written."""


class JournalConflictError(JournalError):
    """The stream has moved on: reload and decide again."""


class JournalFullError(JournalError):
    """There is no room for another event."""


class JournalHeldError(JournalError):
    """Another process holds this journal."""


class JournalVersionError(JournalError):
    """The journal was written by another version."""


class TargetError(WatchdogError):
    """A target refuses or does not answer.

    Attributes:
        retryable: Whether the same call may succeed later (unreachable, lock timeout, serialisation).
        away: Whether the target does not answer at all: it may come back, and waiting for it hurts nobody.
    """

    def __init__(self, message: str, *, retryable: bool = False, away: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable or away
        self.away = away


class NotifyError(WatchdogError):
    """A notice was not said.

    Attributes:
        recoverable: Whether trying again may help.
        uncertain: Whether it may have been said all the same; read the history before sending again.
        retry_after: Seconds that the receiver asked us to wait.
    """

    def __init__(
        self, message: str, *, recoverable: bool = True, uncertain: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.recoverable = recoverable
        self.uncertain = uncertain
        self.retry_after = retry_after
