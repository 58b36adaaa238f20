"""Evolving the climb of one incident."""

from dataclasses import replace

from watchdog.model import events as ev
from watchdog.model.guards import Incident, Run, RungRecord, RunOutcome, RunPhase, StepRecord, StepState
from watchdog.model.rules import RungKind
from watchdog.model.time import Time

RECOVERED = frozenset({RunOutcome.RECOVERED, RunOutcome.ROLLED_BACK})


def evolve_run(incident: Incident, event: ev.Event, at: Time) -> Incident:
    """An incident after an event of its run; an event that does not fit changes nothing."""
    if isinstance(event, ev.RunStarted):
        position = event.playbook.index_of(incident.enters)
        return replace(incident, run=Run(event.run, event.playbook, started_at=at, position=position))
    run = incident.run
    if run is None:
        return incident
    match event:
        case ev.RunEnded(outcome):
            recovered_at = at if outcome in RECOVERED else incident.recovered_at
            run = replace(run, phase=RunPhase.ENDED, outcome=outcome, ended_at=at)
            return replace(incident, run=run, recovered_at=recovered_at)
        case ev.RungEntered(rung) if rung is RungKind.DATA:
            return replace(incident, run=_rung(run, event, at), data_touched=True)
        case ev.StepIntended() | ev.StepSucceeded() | ev.StepReset() | ev.StepFailed() | ev.StepUnknown():
            return replace(incident, run=_step(run, event, at))
        case _:
            return replace(incident, run=_rung(run, event, at))


def _step(
    run: Run,
    event: ev.StepIntended | ev.StepSucceeded | ev.StepReset | ev.StepFailed | ev.StepUnknown,
    at: Time,
) -> Run:
    known = run.steps.get(event.step)
    if isinstance(event, ev.StepIntended):
        attempts = known.attempts + 1 if known else 1
        record = StepRecord(event.step, StepState.INTENDED, at, event.epoch, attempts)
        return replace(run, steps={**run.steps, event.step: record})
    if known is None:
        return run
    return replace(run, steps={**run.steps, event.step: _ended(known, event, at)})


def _ended(
    known: StepRecord, event: ev.StepSucceeded | ev.StepReset | ev.StepFailed | ev.StepUnknown, at: Time
) -> StepRecord:
    match event:
        case ev.StepSucceeded(detail=detail):
            return replace(known, state=StepState.DONE, ended_at=at, detail=detail)
        case ev.StepReset(detail=detail):
            return replace(known, state=StepState.RESET, detail=detail)
        case ev.StepFailed(error=error):
            return replace(known, state=StepState.FAILED, ended_at=at, detail=error)
        case _:
            return replace(known, state=StepState.UNKNOWN, ended_at=at, detail=event.error)


def _rung(run: Run, event: ev.Event, at: Time) -> Run:
    match event:
        case ev.RungEntered(rung, position, _, reason):
            record = RungRecord(rung, at, reason=reason)
            return replace(run, position=position, phase=RunPhase.ACTING, rungs=(*run.rungs, record), proposed_at=None)
        case ev.RungSkipped(rung, position, reason):
            return _passed(run, RungRecord(rung, at, "skipped", reason, at), position)
        case ev.RungObserved(rung, position, would):
            return _passed(run, RungRecord(rung, at, "observed", would, at), position)
        case ev.RungProposed(_, position, _, _):
            return replace(run, position=position, phase=RunPhase.PROPOSED, proposed_at=at, escalated=False)
        case ev.ProposalEscalated():
            return replace(run, escalated=True)
        case ev.Approved(rung, who):
            return replace(run, approved={**run.approved, rung: who}, phase=RunPhase.CHOOSING, proposed_at=None)
        case ev.Denied(rung, who):
            return _passed(run, RungRecord(rung, at, "denied", f"by {who}", at), run.position)
        case ev.CompensationBegan(_, outcome, reason):
            return replace(run, phase=RunPhase.COMPENSATING, ending=(outcome, reason))
        case ev.RungFinished(_, since):
            return replace(run, phase=RunPhase.JUDGING, judging_since=since, undecided_since=since)
        case ev.RungJudged(rung, outcome, _, reason):
            return _judged(run, RungRecord(rung, at, outcome, reason, at))
        case _:
            return run


def _passed(run: Run, record: RungRecord, position: int) -> Run:
    """A rung that did not act: the next one is looked at."""
    return replace(run, position=position + 1, phase=RunPhase.CHOOSING, rungs=(*run.rungs, record), proposed_at=None)


def _judged(run: Run, record: RungRecord) -> Run:
    entered = run.rungs[-1] if run.rungs else record
    closed = replace(record, entered_at=entered.entered_at)
    return replace(
        run,
        position=run.position + 1,
        phase=RunPhase.CHOOSING,
        rungs=(*run.rungs[:-1], closed),
        judging_since=None,
        undecided_since=None,
    )
