"""Evolving: a guard after an event. Total and without a clock, so that a journal replays to the same state anywhere."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias, TypeVar, assert_never

from watchdog.engine.evolve_run import evolve_run
from watchdog.model import events as ev
from watchdog.model.attribution import Origin
from watchdog.model.communication import NoticeOutcome
from watchdog.model.guards import (
    Blind,
    ClosedIncident,
    Guard,
    Hold,
    Incident,
    NoticeRecord,
    Pending,
    ReleaseRecord,
    RunOutcome,
)
from watchdog.model.releases import ReleaseState
from watchdog.model.rules import RungKind
from watchdog.model.time import Span, Time
from watchdog.model.verdicts import Basis

K = TypeVar("K")
V = TypeVar("V")

KEPT_INCIDENTS = 50
"""Closed incidents kept in memory; the journal has them all."""


def fold(guard: Guard, stored: Iterable[ev.Stored]) -> Guard:
    """A guard after a stretch of its stream."""
    for one in stored:
        guard = evolve(guard, one.body, one.at)
    return guard


def evolve(guard: Guard, event: ev.Event, at: Time) -> Guard:
    """A guard after one event. An event that does not fit the state changes nothing."""
    match event:
        case ev.EpochClaimed(epoch, holder):
            return replace(
                _look_anew(guard, None, at), blind=_blind_anew(guard.blind, None, at), epoch=epoch, holder=holder
            )
        case ev.Frozen(who, reason):
            return replace(guard, frozen=Hold(who, reason, at))
        case ev.Unfrozen():
            return replace(guard, frozen=None)
        case ev.ClockStepped():
            return guard
        case ev.PendingBegan() | ev.PendingEased() | ev.PendingResumed() | ev.PendingEnded() | ev.PendingShifted():
            return _pending(guard, event, at)
        case ev.SightLost() | ev.SightMissed() | ev.SightRegained():
            return replace(guard, blind=_blind(guard.blind, event, at))
        case ev.NoticeOwed() | ev.NoticeIntended() | ev.NoticeSettled():
            return _notice(guard, event, at)
        case ev.IncidentOpened() | ev.Resolved():
            return _incident_edge(guard, event, at)
        case (
            ev.RuleJoined()
            | ev.TriggerJoined()
            | ev.ProofFound()
            | ev.Attributed()
            | ev.DoubtFound()
            | ev.Acknowledged()
            | ev.HoldSet()
            | ev.HoldReleased()
        ):
            return _within_incident(guard, event, at)
        case (
            ev.ReleaseStarted()
            | ev.BaselineFrozen()
            | ev.BaselineRefused()
            | ev.RuleUnarmed()
            | ev.RuleArmed()
            | ev.Armed()
            | ev.BakeEnded()
            | ev.Settled()
            | ev.Disarmed()
        ):
            return _release(guard, event, at)
        case _:
            return _run(guard, event, at)


def _look_anew(guard: Guard, by: Span | None, at: Time) -> Guard:
    """Time in which nobody looked does not make a recovery undecided; None is all of it up to now."""
    run = guard.incident.run if guard.incident is not None else None
    if guard.incident is None or run is None or run.undecided_since is None:
        return guard
    latest = max(run.undecided_since, at)
    since = latest if by is None else min(run.undecided_since + by, latest)
    return replace(guard, incident=replace(guard.incident, run=replace(run, undecided_since=since)))


def _blind_anew(blind: Mapping[str, Blind], by: Span | None, at: Time) -> Mapping[str, Blind]:
    """Time in which nobody looked is not time in which a rule had no data; None is all of it up to now."""
    return {
        rule: one if one.told else replace(one, since=at if by is None else min(one.since + by, at))
        for rule, one in blind.items()
    }


def _blind(
    blind: Mapping[str, Blind], event: ev.SightLost | ev.SightMissed | ev.SightRegained, at: Time
) -> Mapping[str, Blind]:
    if isinstance(event, ev.SightLost):
        return {**blind, event.rule: Blind(at, event.reason, told=event.at_start)}
    if isinstance(event, ev.SightMissed) and event.rule in blind:
        return {**blind, event.rule: replace(blind[event.rule], told=True)}
    return blind if isinstance(event, ev.SightMissed) else _without(blind, event.rule)


def _without(mapping: Mapping[K, V], key: K) -> dict[K, V]:
    return {each: value for each, value in mapping.items() if each != key}


def _notice(guard: Guard, event: ev.NoticeOwed | ev.NoticeIntended | ev.NoticeSettled, at: Time) -> Guard:
    if isinstance(event, ev.NoticeOwed):
        record = NoticeRecord(event.notice)
        return replace(guard, notices={**guard.notices, event.notice.id: record}, owed=guard.owed + 1)
    known = guard.notices.get(event.notice)
    if known is None or known.outcome is not None:
        return guard
    if isinstance(event, ev.NoticeIntended):
        changed = replace(known, intended_at=at, epoch=event.epoch, attempts=known.attempts + 1, text=event.text)
    else:
        changed = replace(
            known,
            outcome=event.outcome,
            settled_at=at,
            late_by=event.late_by,
            detail=event.detail,
            receipt=event.receipt,
        )
    return replace(guard, notices={**guard.notices, event.notice: changed})


def _incident_edge(guard: Guard, event: ev.IncidentOpened | ev.Resolved, at: Time) -> Guard:
    if isinstance(event, ev.IncidentOpened):
        incident = Incident(
            id=event.incident,
            opened_at=event.opened_at,
            rules=event.rules,
            evidence=event.evidence,
            basis=event.basis,
            enters=event.enters,
            manual=event.manual,
            opened_by=event.opened_by,
            reason=event.reason,
            asked_for=event.enters if event.manual else None,
        )
        # Notices of an earlier incident stay only while they are still owed.
        owed = {key: one for key, one in guard.notices.items() if one.outcome is None}
        return replace(guard, incident=incident, incidents=guard.incidents + 1, pending={}, notices=owed)
    if guard.incident is None or guard.incident.resolved_at is not None:
        return guard
    run = guard.incident.run
    outcome = run.outcome if run and run.outcome else RunOutcome.ABORTED
    recovered_at = guard.incident.recovered_at
    closed = ClosedIncident(guard.incident.id, guard.incident.opened_at, at, outcome, recovered_at)
    return replace(
        guard,
        incident=replace(guard.incident, resolved_at=at, hold=None),
        well_since=max(guard.well_since, recovered_at or at),
        closed=(*guard.closed, closed)[-KEPT_INCIDENTS:],
    )


def stronger(one: RungKind, other: RungKind) -> RungKind:
    """The higher of two rungs."""
    order = list(RungKind)
    return max(one, other, key=order.index)


_AboutIncident: TypeAlias = (
    ev.RuleJoined
    | ev.TriggerJoined
    | ev.ProofFound
    | ev.Attributed
    | ev.DoubtFound
    | ev.Acknowledged
    | ev.HoldSet
    | ev.HoldReleased
)


def _within_incident(guard: Guard, event: _AboutIncident, at: Time) -> Guard:
    incident = guard.incident
    if incident is None:
        return guard
    match event:
        case ev.RuleJoined(rule, evidence, enters):
            rules = incident.rules if rule in incident.rules else (*incident.rules, rule)
            basis = evidence.basis if incident.basis is Basis.LITERAL else incident.basis
            incident = replace(
                incident,
                rules=rules,
                evidence=(*incident.evidence, evidence),
                basis=basis,
                enters=stronger(incident.enters, enters),
            )
        case ev.TriggerJoined(who, reason, enters):
            incident = replace(
                incident,
                manual=True,
                reason=f"{who}: {reason}",
                enters=stronger(incident.enters, enters),
                asked_for=stronger(incident.asked_for or enters, enters),
            )
        case ev.ProofFound(kind, sentence):
            incident = replace(incident, proof={**incident.proof, kind: sentence})
        case ev.DoubtFound(kind, sentence):
            incident = replace(incident, doubts={**incident.doubts, kind: sentence})
        case ev.Attributed(found):
            data = found.origin is Origin.DATA and found.both
            enters = stronger(incident.enters, RungKind.DATA) if data else incident.enters
            incident = replace(incident, attribution=found, enters=enters)
        case ev.Acknowledged(who):
            if not incident.acknowledged_by:
                incident = replace(incident, acknowledged_by=who, acknowledged_at=at)
        case ev.HoldSet(who, reason, until):
            incident = replace(incident, hold=Hold(who, reason, at, until))
        case ev.HoldReleased():
            incident = replace(incident, hold=None)
        case _:  # pragma: no cover  # mypy shows that nothing gets here
            assert_never(event)
    return replace(guard, incident=incident)


_AboutPending: TypeAlias = ev.PendingBegan | ev.PendingEased | ev.PendingResumed | ev.PendingEnded | ev.PendingShifted


def _pending(guard: Guard, event: _AboutPending, at: Time) -> Guard:
    if isinstance(event, ev.PendingShifted):
        held = {rule: _later(one, event.by, at) for rule, one in guard.pending.items()}
        return replace(_look_anew(guard, event.by, at), pending=held, blind=_blind_anew(guard.blind, event.by, at))
    if isinstance(event, ev.PendingBegan):
        return replace(guard, pending={**guard.pending, event.rule: Pending(event.since, event.evidence)})
    known = guard.pending.get(event.rule)
    if isinstance(event, ev.PendingEnded) or known is None:
        return replace(guard, pending=_without(guard.pending, event.rule))
    eased = at if isinstance(event, ev.PendingEased) else None
    return replace(guard, pending={**guard.pending, event.rule: replace(known, eased=eased)})


def _later(pending: Pending, by: Span, at: Time) -> Pending:
    eased = None if pending.eased is None else min(pending.eased + by, at)
    return replace(pending, since=min(pending.since + by, at), eased=eased)


_AboutRelease: TypeAlias = (
    ev.ReleaseStarted
    | ev.BaselineFrozen
    | ev.BaselineRefused
    | ev.RuleUnarmed
    | ev.RuleArmed
    | ev.Armed
    | ev.BakeEnded
    | ev.Settled
    | ev.Disarmed
)


def _release(guard: Guard, event: _AboutRelease, at: Time) -> Guard:
    if isinstance(event, ev.ReleaseStarted):
        t0 = at if event.since is None else min(event.since, at)
        return replace(guard, release=ReleaseRecord(event.release, ReleaseState.APPLYING, t0=t0), pending={}, blind={})
    record = guard.release
    if record is None:
        return guard
    match event:
        case ev.BaselineFrozen(baseline):
            record = replace(record, baseline=baseline, baseline_refused="")
        case ev.BaselineRefused(reason):
            record = replace(record, baseline_refused=reason)
        case ev.RuleUnarmed(rule, evidence):
            record = replace(record, unarmed={**record.unarmed, rule: evidence.sentence})
        case ev.RuleArmed(rule):
            record = replace(record, unarmed=_without(record.unarmed, rule))
        case ev.Armed(bake_until):
            record = replace(record, state=ReleaseState.BAKING, armed_at=at, bake_until=bake_until)
        case ev.BakeEnded():
            record = replace(record, state=ReleaseState.REVERSIBLE)
        case ev.Settled():
            record = replace(record, state=ReleaseState.SETTLED)
        case ev.Disarmed():
            record = replace(record, state=ReleaseState.DISARMED)
        case _:  # pragma: no cover  # mypy shows that nothing gets here
            assert_never(event)
    return replace(
        guard,
        release=record,
        pending=guard.pending if record.watched else {},
        blind=guard.blind if record.watched else {},
    )


def _run(guard: Guard, event: ev.Event, at: Time) -> Guard:
    """Events of the climb; the data rung's beginning counts against its release's allowance."""
    if guard.incident is None:
        return guard
    incident = evolve_run(guard.incident, event, at)
    release = guard.release
    if isinstance(event, ev.RungEntered) and event.rung is RungKind.DATA and release is not None:
        release = replace(release, data_rollbacks=release.data_rollbacks + 1)
    undone = incident.run is not None and incident.run.data_rolled_back
    if isinstance(event, ev.RunEnded) and undone and release is not None:
        release = replace(release, state=ReleaseState.ROLLED_BACK)
    well_since = max(guard.well_since, incident.recovered_at or 0)
    return replace(guard, incident=incident, release=release, well_since=well_since)


def incident_of(guard: Guard, name: str) -> Incident | ClosedIncident | None:
    """The latest incident or one of those that are over, by its name."""
    if guard.incident is not None and guard.incident.id == name:
        return guard.incident
    return next((one for one in reversed(guard.closed) if one.id == name), None)


def unsettled(guard: Guard) -> tuple[NoticeRecord, ...]:
    """Notices still owed, by due time."""
    owed = (one for one in guard.notices.values() if one.outcome is None)
    return tuple(sorted(owed, key=lambda one: (one.notice.due_at, one.notice.id)))


def sent(guard: Guard) -> tuple[NoticeRecord, ...]:
    """Notices that were sent."""
    return tuple(one for one in guard.notices.values() if one.outcome is NoticeOutcome.SENT)
