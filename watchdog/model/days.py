"""Days before a release, as its baseline keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdog.model.time import Time


@dataclass(frozen=True)
class DayBefore:
    """The stretch of the baseline on an earlier day.

    Attributes:
        left_out: Why it does not count; empty when it does.
        shares: What was bad (0 to 1), by the name of the rule.
        quantiles: Of rules about latency, in seconds, by their names.
    """

    since: Time
    until: Time
    left_out: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)
    quantiles: Mapping[str, float] = field(default_factory=dict)
