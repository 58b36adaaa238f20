"""Events of an obligation to tell somebody."""

from dataclasses import dataclass

from watchdog.model.communication import Notice, NoticeOutcome
from watchdog.model.time import Span


@dataclass(frozen=True, slots=True)
class NoticeOwed:
    """Somebody must be told."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class NoticeIntended:
    """It is about to be sent, with this text; from here on it may have been."""

    notice: str
    text: str
    epoch: int


@dataclass(frozen=True, slots=True)
class NoticeSettled:
    """The obligation's one outcome."""

    notice: str
    outcome: NoticeOutcome
    late_by: Span = 0
    detail: str = ""
    receipt: str = ""
