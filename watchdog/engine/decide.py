"""Deciding: what an input means for a guard. Pure; what follows from the state by itself is in `progress`."""

from collections.abc import Iterator, Mapping

from watchdog.engine.decide_person import decide_person, next_incident
from watchdog.engine.decide_release import decide_release, why_blind
from watchdog.engine.due import WORKING, next_step
from watchdog.engine.evolve import evolve, stronger
from watchdog.engine.notices import owe
from watchdog.engine.progress import progress
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.attribution import Attribution, Origin
from watchdog.model.communication import NoticeOutcome
from watchdog.model.guards import Blind, Guard, Incident, Pending, Run, RunPhase, StepState
from watchdog.model.rules import Rule, RungKind
from watchdog.model.signals import Cause
from watchdog.model.time import MINUTE, Time
from watchdog.model.verdicts import Basis, Breach, Evidence, NoData, Ok, ProbeFailed, Verdict

UNSEEN = MINUTE
"""What is pending is forgotten when its rule has had no data for so long."""
MAX_STEPS = 200
"""More steps of the climb than this from one input mean that the engine runs in a circle."""


def decide(guard: Guard, given: inputs.Input, now: Time) -> tuple[ev.Event, ...]:
    """Events that an input brings about, with everything that follows at once.

    Raises:
        RefusedError: The input is a person's and cannot be followed.
    """
    events: list[ev.Event] = []

    def take(new: Iterator[ev.Event]) -> None:
        nonlocal guard
        for event in new:
            events.append(event)
            guard = evolve(guard, event, now)
            for notice in owe(guard, event, now):
                events.append(notice)
                guard = evolve(guard, notice, now)

    take(_directly(guard, given, now))
    judged = given if isinstance(given, inputs.Judged) else None
    steps = 0
    while (following := progress(guard, judged, now)) is not None:
        take(iter((following,)))
        steps += not isinstance(following, ev.NoticeSettled)
        if steps > MAX_STEPS:
            raise AssertionError(f"no end of events for {given!r}: {events[-3:]!r}")
    return tuple(events)


def _directly(guard: Guard, given: inputs.Input, now: Time) -> Iterator[ev.Event]:
    match given:
        case inputs.Claim(epoch, holder):
            yield ev.EpochClaimed(epoch, holder)
        case inputs.Gap(by):
            if guard.pending or _judging(guard) or any(not blind.told for blind in guard.blind.values()):
                yield ev.PendingShifted(by)
        case inputs.ClockStep(by):
            yield ev.ClockStepped(by)
        case inputs.Judged():
            yield from _judged(guard, given, now)
        case inputs.StartRelease() | inputs.Arm() | inputs.Settle() | inputs.Disarm():
            yield from decide_release(guard, given, now)
        case inputs.BeginStep() | inputs.StepDone() | inputs.StepNotApplied() | inputs.StepCannotTell():
            yield from _step(guard, given)
        case inputs.BeginNotice() | inputs.NoticeDone():
            yield from _notice(guard, given, now)
        case inputs.Tick():
            return
        case _:
            yield from decide_person(guard, given, now)


def _judging(guard: Guard) -> bool:
    run = guard.incident.run if guard.incident is not None else None
    return run is not None and run.phase is RunPhase.JUDGING


def _judged(guard: Guard, judged: inputs.Judged, now: Time) -> Iterator[ev.Event]:
    release = guard.release
    if release is None or not release.watched:
        yield from (ev.PendingEnded(rule) for rule in guard.pending)
        return
    unarmed = set(release.unarmed)
    for rule in guard.settings.rules:
        verdict = judged.verdicts.get(rule.name)
        if verdict is None:
            # Out of its scope now: what was begun in another phase of the release is over.
            if rule.name in guard.pending:
                yield ev.PendingEnded(rule.name)
            if rule.name in guard.blind:
                yield ev.SightRegained(rule.name)
            continue
        yield from _sight(guard.blind, rule.name, verdict)
        if _unseen(guard, rule.name, now):
            yield ev.PendingEnded(rule.name)
            continue
        if rule.name in unarmed:
            if isinstance(verdict, Ok):
                yield ev.RuleArmed(rule.name)
            continue
        yield from _pending(guard.pending.get(rule.name), rule, verdict, now)
    breaches = list(_breaches(guard, judged.verdicts, unarmed, now))
    incident = guard.incident if guard.incident is not None and guard.incident.resolved_at is None else None
    if incident is not None and incident.recovered_at is None:
        yield from _join(incident, breaches)
        yield from _new_proof(incident.proof, judged)
        # Once data was touched, what the versions show is no longer what the release did.
        if not incident.data_touched:
            yield from _attributed(incident.attribution, judged)
            yield from _new_doubts(incident.doubts, judged)
    elif breaches:
        if incident is not None:
            yield ev.Resolved("watchdog", "it had recovered and is in breach again")
        yield _open(guard, breaches, now)
        yield from _new_proof({}, judged)
        yield from _attributed(None, judged)
        yield from _new_doubts({}, judged)


def _new_proof(known: Mapping[str, str], judged: inputs.Judged) -> Iterator[ev.Event]:
    return (ev.ProofFound(kind, sentence) for kind, sentence in judged.proof.items() if kind not in known)


def _new_doubts(known: Mapping[str, str], judged: inputs.Judged) -> Iterator[ev.Event]:
    return (ev.DoubtFound(kind, sentence) for kind, sentence in judged.doubts.items() if kind not in known)


def _attributed(known: Attribution | None, judged: inputs.Judged) -> Iterator[ev.Event]:
    """Said once for each cause; what is known is not unlearnt because fewer requests come."""
    found = judged.attribution
    if found is None or (known is not None and found.origin in {known.origin, Origin.UNKNOWN}):
        return
    yield ev.Attributed(found)


def _pending(pending: Pending | None, rule: Rule, verdict: Verdict, now: Time) -> Iterator[ev.Event]:
    """No data neither begins nor ends a pending breach: it is neither good nor bad news.

    But without traffic the condition does not go on to hold: two breaches far apart are not one long one.
    """
    if pending is None:
        if isinstance(verdict, Breach) and rule.hold and rule.alone:
            yield ev.PendingBegan(rule.name, now, verdict.evidence)
        return
    match verdict:
        case Breach() if pending.eased is not None:
            yield ev.PendingResumed(rule.name)
        case NoData(Cause.NO_TRAFFIC):
            yield ev.PendingEnded(rule.name)
        # Between its two levels it is neither over nor worse.
        case Ok(near=False) if pending.eased is None and rule.keep:
            yield ev.PendingEased(rule.name)
        case Ok(near=False) if now - (pending.eased or now) >= rule.keep:
            yield ev.PendingEnded(rule.name)
        case _:
            return


def _unseen(guard: Guard, rule: str, now: Time) -> bool:
    """Whether nobody has seen for a while what was pending: time without data is not time in breach."""
    blind = guard.blind.get(rule)
    return rule in guard.pending and blind is not None and now - blind.since >= UNSEEN


def _sight(blind: Mapping[str, Blind], rule: str, verdict: Verdict) -> Iterator[ev.Event]:
    """A rule without data is remembered: when that lasts, somebody is paged."""
    if isinstance(verdict, (NoData, ProbeFailed)):
        if rule not in blind:
            yield ev.SightLost(rule, why_blind(verdict))
    elif rule in blind:
        yield ev.SightRegained(rule)


def acts(rule: Rule, verdict: Verdict | None, pending: Pending | None, now: Time) -> Evidence | None:
    """The evidence of a breach that may open an incident now: a confident one, or a literal one that has held."""
    if not isinstance(verdict, Breach):
        return None
    if verdict.evidence.basis is Basis.CONFIDENT or not rule.hold:
        return verdict.evidence
    return verdict.evidence if pending is not None and now - pending.since >= rule.hold else None


def _breaches(
    guard: Guard, verdicts: Mapping[str, Verdict], unarmed: set[str], now: Time
) -> Iterator[tuple[Rule, Evidence]]:
    for rule in guard.settings.rules:
        pending = None if _unseen(guard, rule.name, now) else guard.pending.get(rule.name)
        evidence = acts(rule, verdicts.get(rule.name), pending, now)
        if evidence is not None and rule.alone and rule.name not in unarmed:
            yield rule, evidence


def _open(guard: Guard, found: list[tuple[Rule, Evidence]], now: Time) -> ev.Event:
    firm = any(evidence.basis is Basis.CONFIDENT for _, evidence in found)
    return ev.IncidentOpened(
        incident=next_incident(guard),
        opened_at=now,
        rules=tuple(rule.name for rule, _ in found),
        evidence=tuple(evidence for _, evidence in found),
        basis=Basis.CONFIDENT if firm else Basis.LITERAL,
        enters=max((rule.enters for rule, _ in found), key=list(RungKind).index),
    )


def _join(incident: Incident, found: list[tuple[Rule, Evidence]]) -> Iterator[ev.Event]:
    """Further breaches belong to the open incident; a firmer basis or a higher rung of a known one is recorded once."""
    firm = incident.basis is not Basis.LITERAL
    for rule, evidence in found:
        firmer = not firm and evidence.basis is Basis.CONFIDENT
        higher = stronger(incident.enters, rule.enters) is not incident.enters
        if rule.name not in incident.rules or firmer or higher:
            yield ev.RuleJoined(rule.name, evidence, rule.enters)
            firm = firm or firmer


def _step(
    guard: Guard,
    given: inputs.BeginStep | inputs.StepDone | inputs.StepNotApplied | inputs.StepCannotTell,
) -> Iterator[ev.Event]:
    run = guard.incident.run if guard.incident else None
    record = run.steps.get(given.step) if run else None
    if isinstance(given, inputs.BeginStep):
        fresh = record is None or record.state is StepState.RESET
        if run is not None and fresh and _is_next(run, given.step) and _may_act(guard):
            yield ev.StepIntended(given.step, guard.epoch)
        return
    if record is None or record.state is not StepState.INTENDED:
        return
    match given:
        case inputs.StepDone(step, detail):
            yield ev.StepSucceeded(step, detail)
        case inputs.StepNotApplied(step, error) if error:
            yield ev.StepFailed(step, error)
        case inputs.StepNotApplied(step):
            yield ev.StepReset(step)
        case _:
            yield ev.StepUnknown(given.step, given.error)


def _is_next(run: Run, step: str) -> bool:
    following = next_step(run) if run.phase in WORKING else None
    return following is not None and run.step_id(following) == step


def _may_act(guard: Guard) -> bool:
    held = guard.incident is not None and guard.incident.hold is not None
    return guard.frozen is None and not held


def _notice(guard: Guard, given: inputs.BeginNotice | inputs.NoticeDone, now: Time) -> Iterator[ev.Event]:
    record = guard.notices.get(given.notice)
    if record is None or record.outcome is not None:
        return
    if isinstance(given, inputs.BeginNotice):
        yield ev.NoticeIntended(given.notice, given.text, guard.epoch)
    else:
        late = max(0, now - record.notice.due_at) if given.outcome is NoticeOutcome.SENT else 0
        yield ev.NoticeSettled(given.notice, given.outcome, late, given.detail, given.receipt)
