"""Rules: a condition over signals, how long it must hold, and the rung that it enters at."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from watchdog.model.signals import Selector
from watchdog.model.time import MINUTE, SECOND, Span


class Mode(StrEnum):
    """How a rule is read: as written, by the test of its confidence, or whichever comes first."""

    LITERAL = "literal"
    CONFIDENT = "confident"
    EITHER = "either"


class Severity(StrEnum):
    """How loud a breach is."""

    WARNING = "warning"
    CRITICAL = "critical"


class RungKind(StrEnum):
    """The rungs of the ladder, cheapest reversal first."""

    STOP = "stop"
    FLAG = "flag"
    CODE = "code"
    DATA = "data"


class Phase(StrEnum):
    """When a release is watched."""

    APPLYING = "applying"
    BAKING = "baking"


@dataclass(frozen=True, kw_only=True)
class RuleBase:
    """What every rule has.

    Attributes:
        name: Unique within a guard.
        enters: The lowest rung that can undo what this rule sees.
        hold: How long the literal reading must hold before it opens an incident.
        keep: A literal reading that is fine for less than this does not end the hold.
        proves: Whether a breach is positive evidence that the release damaged data.
        climbs: False when only the rung that it enters at can help: what comes after it waits for a person.
        alone: False when a breach opens no incident by itself, only as part of a composite rule.
        during: When it is judged.
        releases: Patterns as a shell's; only releases are judged whose id, or one of whose migrations, is like one.
    """

    name: str
    enters: RungKind = RungKind.STOP
    mode: Mode = Mode.EITHER
    hold: Span = 0
    keep: Span = 0
    severity: Severity = Severity.CRITICAL
    proves: bool = False
    climbs: bool = True
    alone: bool = True
    during: tuple[Phase, ...] = tuple(Phase)
    releases: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """Parameters of the pooled proportion test (Wilson's score interval, 1927, one-sided).

    Attributes:
        window: The long window whose lower bound must exceed the threshold.
        recent: The short window whose lower bound must exceed it too, so that old errors do not act.
        z: Normal quantile of the bound; 3.0 is 99.87 %.
        burstiness: Intra-cluster correlation rho, at least; the sample size is divided by 1 + (m - 1) * rho. Where
            the baseline shows more, half as much again as it shows.
        min_bad: Fewer bad events than this never suffice.
        times_usual: Where so many times the baseline's own share is above the threshold, that is the threshold.
    """

    window: Span = 5 * MINUTE
    recent: Span = MINUTE
    z: float = 3.0
    burstiness: float = 0.02
    min_bad: int = 15
    times_usual: float = 2.5


@dataclass(frozen=True, kw_only=True)
class RatioRule(RuleBase):
    """The share of bad among all is above a ratio (0 to 1).

    Attributes:
        clear: Only below this share it is well again; None for `above`.
        each: A label; every value of it is judged by itself, so that a small part that fails is seen.
    """

    bad: Selector
    total: Selector
    above: float
    clear: float | None = None
    each: str = ""
    min_samples: int = 20
    confidence: Confidence = field(default_factory=Confidence)


@dataclass(frozen=True, kw_only=True)
class LatencyRule(RuleBase):
    """A quantile is above a multiple of the baseline's: more than 1 - quantile of requests are slower than that.

    Attributes:
        floor: Seconds; a threshold below this is raised to it, so that noise around a fast baseline is no breach.
        each: A label; every value of it is judged by itself, against the baseline of all together.
    """

    of: Selector
    each: str = ""
    quantile: float = 0.95
    times_baseline: float = 2.0
    floor: float = 0.05
    min_samples: int = 20
    confidence: Confidence = field(default_factory=Confidence)


@dataclass(frozen=True, kw_only=True)
class CountRule(RuleBase):
    """A counter rises by more than `above` within `per`.

    Attributes:
        clear: Only when it rises by no more than this it is well again; None for `above`.
    """

    of: Selector
    above: float
    clear: float | None = None
    per: Span = MINUTE


@dataclass(frozen=True, kw_only=True)
class GaugeRule(RuleBase):
    """A gauge is above or below a level.

    Attributes:
        clear: Only from this level on it is well again, below `above` or above `below`; None for those.
    """

    of: Selector
    above: float | None = None
    below: float | None = None
    clear: float | None = None


class Expect(StrEnum):
    """What a check must answer."""

    ZERO = "zero"
    VALUE = "value"
    BASELINE = "baseline"


@dataclass(frozen=True, kw_only=True)
class CheckRule(RuleBase):
    """Integrity checks answer what they must.

    Attributes:
        of: The checks; one that fails is a breach.
        expect: No violations, a stated value, or not more than at the baseline.
        confirm: How many samples in a row must disagree.
    """

    of: tuple[Selector, ...]
    expect: Expect = Expect.ZERO
    value: float = 0.0
    confirm: int = 2


@dataclass(frozen=True, kw_only=True)
class StallRule(RuleBase):
    """Requests are in flight and none completes for `after`."""

    in_flight: Selector
    completed: Selector
    after: Span = 10 * SECOND


@dataclass(frozen=True, kw_only=True)
class CollapseRule(RuleBase):
    """A counter rises much slower than before T-0, as commits do when everything waits.

    Attributes:
        below: The share (0 to 1) of the baseline's rate that it must surely be under.
        after: How long that must last.
        least: A second; with a baseline below this nothing can be told.
    """

    of: Selector
    below: float = 0.2
    after: Span = 30 * SECOND
    least: float = 1.0


@dataclass(frozen=True, kw_only=True)
class CompositeRule(RuleBase):
    """Several rules are in breach at the same time.

    Attributes:
        of: Their names.
        need: How many: `all`, `any`, or a number.
    """

    of: tuple[str, ...]
    need: Literal["all", "any"] | int = "all"

    @property
    def least(self) -> int:
        """How many must be in breach."""
        if isinstance(self.need, int):
            return self.need
        return len(self.of) if self.need == "all" else 1


@dataclass(frozen=True, kw_only=True)
class Brake:
    """A level that, when it changes during a release, may itself be the cause: then data waits for a person.

    Attributes:
        of: A gauge, such as when the server was started.
        why: What a change means, as a sentence without full stop.
        during: When a change counts; one that the release makes itself, such as of the schema, only while it bakes.
    """

    of: Selector
    why: str
    during: tuple[Phase, ...] = tuple(Phase)


SimpleRule: TypeAlias = RatioRule | LatencyRule | CountRule | GaugeRule | CheckRule | StallRule | CollapseRule
"""A rule that reads signals itself."""
Rule: TypeAlias = SimpleRule | CompositeRule


def signals_of(rule: Rule) -> tuple[str, ...]:
    """The names of the signals that a rule reads."""
    match rule:
        case RatioRule():
            return (rule.bad.signal, rule.total.signal)
        case CheckRule():
            return tuple(selector.signal for selector in rule.of)
        case StallRule():
            return (rule.in_flight.signal, rule.completed.signal)
        case CompositeRule():
            return ()
        case _:
            return (rule.of.signal,)
