"""Replaying a history through the engine: its own windows, judge, decide and evolve, with time as an argument.

Nothing acts: every rung only proposes, notices count as sent when they are due, and nobody answers. What happened in
the history happened without us, so an incident is over when its rules have been well for a while.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from watchdog.app.backtest.history import History, interval
from watchdog.engine.assess import assess
from watchdog.engine.baseline import freeze
from watchdog.engine.decide import decide
from watchdog.engine.evolve import evolve, unsettled
from watchdog.engine.windows import Windows, empty, observe_all
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.attribution import Comparison, Queries
from watchdog.model.communication import Audience, Beat, NoticeOutcome, Plan
from watchdog.model.guards import Guard, GuardSettings, Incident, RunOutcome, SchemaErrors
from watchdog.model.playbooks import Autonomy, Playbook, Rung, Step
from watchdog.model.releases import Certificate, Compatibility, Protection, Release, Surroundings
from watchdog.model.rules import Brake, Rule, RungKind
from watchdog.model.signals import Sample, SignalSpec
from watchdog.model.time import HOUR, MINUTE, SECOND, Span, Time
from watchdog.model.verdicts import Ok

GUARD: Final = "backtest"
FOREVER: Final[Span] = 100 * 365 * 24 * HOUR
WELL_FOR: Final[Span] = MINUTE
"""An incident counts as over when its rules have been well for so long."""

PLAN: Final = Plan(
    beats=(
        Beat("detected", 0, Audience.RESPONDERS, "responders"),
        Beat("stakeholders", 5 * MINUTE, Audience.STAKEHOLDERS, "stakeholders"),
        Beat("status page", 15 * MINUTE, Audience.PUBLIC, "public"),
        Beat("customers", 30 * MINUTE, Audience.CUSTOMERS, "customers", impact_over=5 * MINUTE),
        Beat("post-mortem", HOUR, Audience.RESPONDERS, "responders"),
    )
)
"""The plan of the shipped configuration, by the clock on the wall."""

LADDER: Final = Playbook(
    name="the whole ladder",
    hash="",
    rungs=tuple(Rung(kind, (Step(f"{kind} rung", "none"),), Autonomy.PROPOSE) for kind in RungKind),
)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is assumed around a history.

    Attributes:
        baseline: How much before T-0 the baseline is made of.
        min_baseline: With less than this there is no baseline.
        applying: How long after T-0 changes were still being applied; so long the stop rung applies.
        bake: How long after that a breach still opens an incident.
        resolve_after: How long an incident that is over may still be joined instead of a new one being opened.
        new_version: As the history's labels name the release's code.
    """

    t0: Time
    rules: tuple[Rule, ...] = ()
    signals: tuple[SignalSpec, ...] = ()
    evidence: tuple[SchemaErrors, ...] = ()
    versions: tuple[Comparison, ...] = ()
    queries: tuple[Queries, ...] = ()
    brakes: tuple[Brake, ...] = ()
    baseline: Span = 10 * MINUTE
    min_baseline: Span = MINUTE
    applying: Span = 0
    bake: Span = FOREVER
    resolve_after: Span = 15 * MINUTE
    old_version: str = "old"
    new_version: str = "new"

    def guard(self) -> Guard:
        """A guard before anything has happened."""
        settings = GuardSettings(
            name=GUARD,
            rules=self.rules,
            signals=self.signals,
            playbook=LADDER,
            plan=PLAN,
            baseline=self.baseline,
            min_baseline=self.min_baseline,
            bake=self.bake,
            resolve_after=self.resolve_after,
            evidence=self.evidence,
            versions=self.versions,
            queries=self.queries,
            brakes=self.brakes,
        )
        return Guard(settings, epoch=1)

    def release(self) -> Release:
        """A release with everything that lets rungs act, so that the signals alone decide which does."""
        certificate = Certificate(
            id="assumed",
            issued_at=self.t0,
            surroundings=Surroundings("assumed"),
            rollback_hash="",
            restored=True,
            old_code=Compatibility.COMPATIBLE,
            measured=30 * SECOND,
        )
        return Release(
            id="history",
            migrations=("history",),
            flags=("assumed",),
            old_version=self.old_version,
            new_version=self.new_version,
            protection=Protection.FULL,
            certificate=certificate,
        )


@dataclass(frozen=True)
class Tick:
    """One moment.

    Attributes:
        guard: The state after it.
        judged: None at T-0 when nothing was read just then.
        events: What was decided, in order.
    """

    at: Time
    guard: Guard
    judged: inputs.Judged | None
    events: tuple[ev.Event, ...]


def replay(scenario: Scenario, history: History) -> Iterator[Tick]:
    """Every moment of a history, judged and decided as the daemon would have."""
    world = _World(scenario, interval(history))
    for index, at in enumerate(history.times):
        if not world.started and at > scenario.t0:
            yield world.tick(scenario.t0, None)
        yield world.tick(at, history.samples(index))
    if not world.started:
        yield world.tick(scenario.t0, None)


@dataclass
class _World:
    scenario: Scenario
    every: Span
    started: bool = False
    armed: bool = False
    last: Time | None = None
    well_since: Time | None = None
    guard: Guard = field(init=False)
    windows: Windows = field(init=False)
    events: list[ev.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.guard = self.scenario.guard()
        keep = max(15 * MINUTE, self.scenario.baseline + 10 * MINUTE)
        self.windows = empty(self.scenario.signals, keep)

    def tick(self, at: Time, samples: Iterable[Sample] | None) -> Tick:
        self.events = []
        judged = None
        if samples is not None:
            self.windows = observe_all(self.windows, samples)
            self.note_gap(at)
        if not self.started and at >= self.scenario.t0:
            self.start(at)
        if self.started and not self.armed and at >= self.scenario.t0 + self.scenario.applying:
            self.armed = True
            self.tell(inputs.Arm(GUARD), at)
        if samples is not None:
            judged = assess(self.guard, self.windows, at)
            self.tell(judged, at)
            self.note_well(judged, at)
        self.send(at)
        return Tick(at, self.guard, judged, tuple(self.events))

    def tell(self, given: inputs.Input, at: Time) -> None:
        self.take(decide(self.guard, given, at), at)

    def take(self, events: Iterable[ev.Event], at: Time) -> None:
        for event in events:
            self.guard = evolve(self.guard, event, at)
            self.events.append(event)

    def note_gap(self, at: Time) -> None:
        """As the daemon: time in which nobody looked does not count as held."""
        if self.last is not None and at - self.last > 2 * self.every + SECOND:
            self.tell(inputs.Gap(at - self.last - self.every), at)
        self.last = at

    def start(self, at: Time) -> None:
        self.started = True
        settings = self.guard.settings
        baseline, refusal = freeze(self.windows, at, settings.baseline, settings.min_baseline, settings.rules)
        verdicts = assess(Guard(settings), self.windows, at).verdicts
        self.tell(inputs.StartRelease(self.scenario.release(), baseline, refusal, verdicts), at)

    def note_well(self, judged: inputs.Judged, at: Time) -> None:
        incident = self.guard.incident
        if incident is None or not _lasts(incident):
            self.well_since = None
            return
        if all(isinstance(judged.verdicts.get(rule), Ok) for rule in incident.rules):
            self.well_since = at if self.well_since is None else self.well_since
            if at - self.well_since >= WELL_FOR:
                self.take([ev.RunEnded(RunOutcome.RECOVERED, "well again in the history")], at)
        else:
            self.well_since = None

    def send(self, at: Time) -> None:
        self.tell(inputs.Tick(), at)
        for record in unsettled(self.guard):
            if record.notice.due_at <= at:
                self.tell(inputs.BeginNotice(record.notice.id, record.notice.topic), at)
                self.tell(inputs.NoticeDone(record.notice.id, NoticeOutcome.SENT), at)


def _lasts(incident: Incident) -> bool:
    return incident.resolved_at is None and incident.recovered_at is None


def acting(rung: Rung) -> Rung:
    """The rung as if it were allowed to act."""
    return replace(rung, autonomy=Autonomy.ACT)
