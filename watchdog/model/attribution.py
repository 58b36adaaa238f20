"""What hurts: the release's code, its change of the data, or something that has nothing to do with it."""

from dataclasses import dataclass
from enum import StrEnum

from watchdog.model.signals import Selector
from watchdog.model.time import MINUTE, Span


class Origin(StrEnum):
    """Where the trouble comes from, as far as the signals tell."""

    CODE = "code"
    DATA = "data"
    ELSEWHERE = "elsewhere"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attribution:
    """An origin with the sentence that says why we think so.

    Attributes:
        both: Whether old and new code fail alike: then neither flag nor code can help.
    """

    origin: Origin
    why: str
    both: bool = False


@dataclass(frozen=True)
class Comparison:
    """How the versions of a service are told apart and compared.

    Attributes:
        label: That holds the version of the code.
        above: The share of bad (0 to 1) from which a version counts as failing.
        window: How far back is looked: a version that was well before the last change says nothing of it.
    """

    bad: Selector
    total: Selector
    label: str = "version"
    above: float = 0.05
    window: Span = MINUTE


@dataclass(frozen=True)
class Queries:
    """How the time that statements take is compared with what it was before T-0.

    Attributes:
        label: Its value is `release` for statements on the release's tables, `other` for all others.
        times: From so many times the mean before T-0 on statements are slow; the others must stay under half of that.
    """

    seconds: str
    calls: str
    label: str = "touches"
    times: float = 3.0
