"""What a replay shows: per rule when it fired and why, per incident where the climb begins and who is told when."""

import math
from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from watchdog.app.backtest.errors import InputError
from watchdog.app.backtest.history import History, interval
from watchdog.app.backtest.replay import Scenario, Tick, acting, replay
from watchdog.app.backtest.rule_set import RuleSet
from watchdog.engine.admission import Admission, admit
from watchdog.model import events as ev
from watchdog.model.attribution import Attribution
from watchdog.model.communication import Notice
from watchdog.model.guards import Baseline, Guard, Incident, Run, SchemaErrors
from watchdog.model.playbooks import Rung
from watchdog.model.rules import CheckRule, CompositeRule, Rule, RungKind, signals_of
from watchdog.model.time import MINUTE, Span, Time
from watchdog.model.verdicts import Basis, Breach, Evidence, NoData, Ok, ProbeFailed, Verdict
from watchdog.web.views import verdict_word

_SHOWN = ("recent_share", "count", "value", "completed")
"""The figure of a verdict that a chart shows, the first that it has; else its first."""


@dataclass(frozen=True)
class Firing:
    """A rule that opened an incident or joined it."""

    incident: str
    at: Time
    evidence: Evidence


@dataclass(frozen=True)
class Decision:
    """What a rung of a ladder that may act would have done, and why."""

    rung: RungKind
    admission: Admission
    reason: str


@dataclass
class Told:
    """An obligation of the plan; `outcome` is empty when the history ends before it is due."""

    notice: Notice
    outcome: str = ""
    detail: str = ""


@dataclass
class IncidentResult:
    """One incident.

    Attributes:
        ladder: When it opened, from the rung that it enters at.
        data_at: When data would first have been rolled back without asking anybody; None for never.
        data: The last decision on the data rung while the budget still has room for it.
        over_at: When its rules had been well for a while.
    """

    id: str
    opened_at: Time
    rules: tuple[str, ...]
    basis: Basis
    enters: RungKind
    ladder: tuple[Decision, ...] = ()
    data_at: Time | None = None
    data: Decision | None = None
    proof: Mapping[str, str] = field(default_factory=dict)
    attribution: Attribution | None = None
    over_at: Time | None = None
    told: dict[str, Told] = field(default_factory=dict)


@dataclass
class RuleResult:
    """One rule.

    Attributes:
        why_not: Why it was not judged at all; empty when it was.
        unarmed: Why it was not armed at T-0; empty when it was.
        tally: How often it gave each verdict after T-0.
        last: Its last verdict.
        figures: Of each moment the figure that a chart shows; not a number where there was none.
    """

    rule: Rule
    why_not: str = ""
    unarmed: str = ""
    firings: list[Firing] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    last: Verdict | None = None
    threshold: float | None = None
    figures: "array[float]" = field(default_factory=lambda: array("d"))


@dataclass(frozen=True)
class Backtest:
    """What came out."""

    scenario: Scenario
    source: str
    times: Sequence[Time]
    every: Span
    notes: tuple[str, ...]
    baseline: Baseline | None
    baseline_refused: str
    rules: tuple[RuleResult, ...]
    incidents: tuple[IncidentResult, ...]


def scenario_of(rules: RuleSet, history: History, base: Scenario) -> tuple[Scenario, dict[str, str], tuple[str, ...]]:
    """The scenario with those rules that this history can judge, why not for the others, and notes.

    Raises:
        InputError: There is no rule that it can judge.
    """
    has = history.signals
    why_not: dict[str, str] = {}
    notes: list[str] = []
    kept: list[Rule] = []
    for rule in rules.rules:
        missing = [name for name in dict.fromkeys(signals_of(rule)) if name not in has]
        if missing and isinstance(rule, CheckRule) and len(missing) < len(rule.of):
            notes.append(f"{rule.name} is judged without {', '.join(missing)}, which the history does not have")
            kept.append(replace(rule, of=tuple(of for of in rule.of if of.signal in has)))
        elif missing:
            why_not[rule.name] = f"the history has no {', '.join(missing)}"
        else:
            kept.append(rule)
    names = {rule.name for rule in kept}
    for rule in [one for one in kept if isinstance(one, CompositeRule) and not names.issuperset(one.of)]:
        why_not[rule.name] = f"it needs {', '.join(name for name in rule.of if name not in names)}"
        kept.remove(rule)
    if not kept:
        said = "; ".join(f"{name}: {why}" for name, why in why_not.items())
        raise InputError(f"{history.source}: no rule can be judged: {said}. Name columns after signals")
    scenario = replace(
        base,
        rules=tuple(kept),
        signals=rules.specs(interval(history)),
        evidence=tuple(_without_share(one, has) for one in rules.evidence if one.signal in has),
        versions=tuple(one for one in rules.versions if {one.bad.signal, one.total.signal} <= has),
        queries=tuple(one for one in rules.queries if {one.seconds, one.calls} <= has),
        brakes=tuple(one for one in rules.brakes if one.of.signal in has),
    )
    return scenario, why_not, tuple(notes)


def _without_share(evidence: SchemaErrors, has: Collection[str]) -> SchemaErrors:
    known = evidence.bad is None or evidence.bad.signal in has
    return evidence if known else replace(evidence, bad=None)


def backtest(rules: RuleSet, history: History, base: Scenario) -> Backtest:
    """Holds rules against a history.

    Args:
        base: T-0 and what else is assumed; its rules and signals are replaced.

    Raises:
        InputError: There is no rule that the history can judge.
    """
    scenario, why_not, notes = scenario_of(rules, history, base)
    seen = Seen.of(rules.rules, why_not)
    guard = scenario.guard()
    for tick in replay(scenario, history):
        seen.take(tick)
        guard = tick.guard
    record = guard.release
    return Backtest(
        scenario=scenario,
        source=history.source,
        times=history.times,
        every=interval(history),
        notes=(*history.notes, *notes),
        baseline=record.baseline if record else None,
        baseline_refused=record.baseline_refused if record else "",
        rules=tuple(seen.rules.values()),
        incidents=tuple(seen.incidents.values()),
    )


@dataclass
class Seen:
    """What has been seen of a replay so far."""

    rules: dict[str, RuleResult]
    incidents: dict[str, IncidentResult] = field(default_factory=dict)
    started: bool = False

    @classmethod
    def of(cls, rules: Sequence[Rule], why_not: Mapping[str, str]) -> Self:
        """Nothing seen yet of these rules; `why_not` names those that are not judged."""
        return cls({rule.name: RuleResult(rule, why_not.get(rule.name, "")) for rule in rules})

    def take(self, tick: Tick) -> None:
        """One moment more."""
        for event in tick.events:
            self._event(event, tick.at)
        if tick.judged is not None:
            for name, result in self.rules.items():
                self._verdict(result, tick.judged.verdicts.get(name))
        incident = tick.guard.incident
        if incident is not None and incident.id in self.incidents:
            self._incident(self.incidents[incident.id], tick.guard, incident, tick.at)

    def _event(self, event: ev.Event, at: Time) -> None:
        match event:
            case ev.ReleaseStarted():
                self.started = True
            case ev.RuleUnarmed(rule, evidence):
                self.rules[rule].unarmed = evidence.sentence
            case ev.IncidentOpened():
                found = IncidentResult(event.incident, at, event.rules, event.basis, event.enters)
                self.incidents[event.incident] = found
                for evidence in event.evidence:
                    self._fired(evidence, event.incident, at)
            case ev.RuleJoined(_, evidence):
                self._fired(evidence, next(reversed(self.incidents)), at)
            case ev.RunEnded():
                self.incidents[next(reversed(self.incidents))].over_at = at
            case ev.NoticeOwed(notice) if notice.incident in self.incidents:
                self.incidents[notice.incident].told[notice.id] = Told(notice)
            case ev.NoticeSettled():
                self._settled(event)
            case _:
                pass

    def _fired(self, evidence: Evidence, incident: str, at: Time) -> None:
        firings = self.rules[evidence.rule].firings
        if not firings or firings[-1].incident != incident:
            firings.append(Firing(incident, at, evidence))

    def _settled(self, event: ev.NoticeSettled) -> None:
        for incident in self.incidents.values():
            if event.notice in incident.told:
                incident.told[event.notice].outcome = event.outcome
                incident.told[event.notice].detail = event.detail

    def _verdict(self, result: RuleResult, verdict: Verdict | None) -> None:
        result.figures.append(figure(verdict))
        if verdict is None:
            return
        if isinstance(verdict, Ok | Breach):
            result.threshold = verdict.evidence.number("threshold") if result.threshold is None else result.threshold
        if self.started:
            result.tally[verdict_word(verdict)] += 1
            result.last = verdict

    @staticmethod
    def _incident(result: IncidentResult, guard: Guard, incident: Incident, at: Time) -> None:
        result.rules, result.basis = incident.rules, incident.basis
        result.proof, result.attribution = incident.proof, incident.attribution
        run = incident.run
        if run is None or incident.recovered_at is not None or incident.resolved_at is not None:
            return
        if not result.ladder or incident.enters is not result.enters:
            result.enters = incident.enters
            result.ladder = tuple(_ladder(guard, incident, run, at))
        data = _decision(guard, incident, run, run.playbook.rungs[-1], at)
        if result.data_at is None and (result.data is None or at - incident.opened_at < run.playbook.budget - MINUTE):
            result.data = data
            result.data_at = at if data.admission is Admission.ENTER else None


def _ladder(guard: Guard, incident: Incident, run: Run, at: Time) -> Iterator[Decision]:
    for rung in run.playbook.rungs[run.playbook.index_of(incident.enters) :]:
        yield _decision(guard, incident, run, rung, at)


def _decision(guard: Guard, incident: Incident, run: Run, rung: Rung, at: Time) -> Decision:
    found = admit(guard, incident, run, acting(rung), at)
    return Decision(rung.kind, found.admission, found.reason)


def first_to_act(ladder: Sequence[Decision]) -> Decision | None:
    """The rung that the climb begins with."""
    return next((one for one in ladder if one.admission is not Admission.SKIP), None)


def figure(verdict: Verdict | None) -> float:
    """The figure that a chart shows; not a number when there is none."""
    if not isinstance(verdict, Ok | Breach):
        return math.nan
    numbers = dict(verdict.evidence.numbers)
    shown = next((numbers[name] for name in _SHOWN if name in numbers), None)
    return shown if shown is not None else next(iter(numbers.values()), math.nan)


def why_silent(result: RuleResult) -> str:
    """Why a rule did not fire, in one sentence."""
    if result.why_not:
        return result.why_not
    if result.unarmed:
        return f"not armed, because it was in breach at T-0 already: {result.unarmed}"
    total = result.tally.total()
    if not total:
        return "the history has no moment after T-0"
    breaches = result.tally["breach"]
    if breaches:
        hold = "not for as long as `hold` asks" if result.rule.hold else "only while no incident could be opened"
        return f"in breach at {breaches} of {total} moments, {hold}"
    match result.last:
        case Ok(evidence):
            return f"never in breach; last: {evidence.sentence}"
        case NoData(_, detail):
            return f"never in breach; last without data: {detail}"
        case ProbeFailed(error):
            return f"never in breach; last its probe failed: {error}"
        case _:
            return "never in breach"
