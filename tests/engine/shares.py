"""One rule of each kind over one set of signals, and traffic of which a share is bad."""

from collections.abc import Sequence

from tests.engine.series import EVERY, T0, read, signal, windows
from watchdog.engine.windows import Windows
from watchdog.model.rules import (
    CheckRule,
    CollapseRule,
    Confidence,
    CountRule,
    GaugeRule,
    LatencyRule,
    RatioRule,
    SimpleRule,
    StallRule,
)
from watchdog.model.signals import Selector, SignalKind
from watchdog.model.time import MINUTE, Time

SPECS = (
    signal("bad"),
    signal("total"),
    signal("latency", SignalKind.DISTRIBUTION),
    signal("gauge", SignalKind.GAUGE),
    signal("check", SignalKind.CHECK),
    signal("other_check", SignalKind.CHECK),
)
CONFIDENCE = Confidence()
RATIO = RatioRule(name="errors", bad=Selector("bad"), total=Selector("total"), above=0.05, hold=5 * MINUTE)
LATENCY = LatencyRule(name="slow", of=Selector("latency"))
COUNT = CountRule(name="count", of=Selector("bad"), above=10)
GAUGE = GaugeRule(name="gauge", of=Selector("gauge"), above=5, below=1)
CHECK = CheckRule(name="check", of=(Selector("check"), Selector("other_check")))
STALL = StallRule(name="stall", in_flight=Selector("gauge"), completed=Selector("total"))
COLLAPSE = CollapseRule(name="collapse", of=Selector("total"))
RULES: tuple[SimpleRule, ...] = (RATIO, LATENCY, COUNT, GAUGE, CHECK, STALL, COLLAPSE)


def traffic(bad: Sequence[float], total: Sequence[float]) -> Windows:
    """Events a tick, as counters that begin at 0."""
    return windows(
        SPECS,
        read("bad", [sum(bad[:index]) for index in range(len(bad) + 1)]),
        read("total", [sum(total[:index]) for index in range(len(total) + 1)]),
    )


def end(ticks: int) -> Time:
    return T0 + ticks * EVERY
