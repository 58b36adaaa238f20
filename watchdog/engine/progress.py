"""Progress: the next event that follows from a guard's state by itself, one at a time."""

from typing import assert_never

from watchdog.engine.admission import Admission, admit, predicted
from watchdog.engine.due import PATIENCE, ended_badly, next_step
from watchdog.engine.evolve import incident_of, unsettled
from watchdog.engine.recheck import overall
from watchdog.model import events as ev
from watchdog.model.communication import NoticeOutcome
from watchdog.model.guards import Guard, Incident, NoticeRecord, Run, RunOutcome, RunPhase, StepState
from watchdog.model.inputs import Judged
from watchdog.model.playbooks import OnFailure, Rung
from watchdog.model.releases import ReleaseState
from watchdog.model.time import Time, say_span
from watchdog.model.verdicts import Recovery


def progress(guard: Guard, judged: Judged | None, now: Time) -> ev.Event | None:
    """The next event, or None when the state rests until the next input."""
    settled = _settle_notice(guard, now)
    if settled is not None:
        return settled
    for rule, blind in guard.blind.items():
        if not blind.told and now >= blind.since + guard.settings.blind_after:
            return ev.SightMissed(rule, blind.reason, now - blind.since)
    incident = guard.incident
    if incident is not None and incident.resolved_at is None:
        return _incident(guard, incident, judged, now)
    release = guard.release
    # A breach that is still pending is looked at to its end: the bake does not run out over it.
    if release is None or release.state is not ReleaseState.BAKING or guard.pending:
        return None
    return ev.BakeEnded() if now >= (release.bake_until or now) else None


def _settle_notice(guard: Guard, now: Time) -> ev.Event | None:
    """Notices that will not be said get their outcome as soon as they are due."""
    for record in unsettled(guard):
        if record.notice.due_at > now or record.intended_at is not None:
            continue
        reason = _unsaid(guard, record, now)
        if reason:
            outcome = NoticeOutcome.SUPERSEDED if reason == SUPERSEDED else NoticeOutcome.SKIPPED
            return ev.NoticeSettled(record.notice.id, outcome, detail=reason)
    return None


SUPERSEDED = "a newer header says more"


def _unsaid(guard: Guard, record: NoticeRecord, now: Time) -> str:
    notice = record.notice
    if not notice.channel:
        return "no channel configured"
    if notice.header:
        newer = any(
            other.notice.header
            and other.notice.incident == notice.incident
            and other.notice.channel == notice.channel
            and _number(other) > _number(record)
            for other in guard.notices.values()
        )
        return SUPERSEDED if newer else ""
    beat = next((one for one in guard.settings.plan.beats if one.name == notice.topic), None)
    incident = incident_of(guard, notice.incident)
    if beat is None or incident is None or not notice.template:
        return ""
    over = incident.recovered_at or incident.resolved_at
    if over is not None and not beat.if_recovered:
        return f"{'recovered' if incident.recovered_at else 'resolved'} before it was due"
    impact = ((over or now) - incident.opened_at) * guard.settings.plan.clock
    if impact < beat.impact_over:
        return f"the impact lasted {say_span(round(impact))}, not {say_span(beat.impact_over)}"
    return ""


def _number(record: NoticeRecord) -> int:
    return int(record.notice.id.rpartition("#")[2])


def _incident(guard: Guard, incident: Incident, judged: Judged | None, now: Time) -> ev.Event | None:
    hold = incident.hold
    if hold is not None and hold.until is not None and now >= hold.until:
        return ev.HoldReleased("its expiry")
    run = incident.run
    braked = guard.frozen is not None or hold is not None
    if run is None:
        if braked:
            return None
        playbook = guard.settings.playbook
        return ev.RunStarted(f"{incident.id}-run", playbook, playbook.hash)
    if run.phase is RunPhase.ENDED:
        return _ended(guard, incident, now)
    rung = run.rung
    if run.phase is RunPhase.CHOOSING or rung is None:
        if run.rungs and run.rungs[-1].outcome == Recovery.RECOVERED:
            return ev.RunEnded(recovered_outcome(run), run.rungs[-1].reason)
        return None if braked else _choose(guard, incident, run, now)
    if run.phase is RunPhase.PROPOSED:
        return (None if braked else _overtaken(guard, incident, run, rung, now)) or _escalate(run, rung, now)
    if run.phase is RunPhase.COMPENSATING:
        return _compensating(run)
    return _acting(run, rung, now) if run.phase is RunPhase.ACTING else _judging(run, rung, judged, now)


def _choose(guard: Guard, incident: Incident, run: Run, now: Time) -> ev.Event:
    wanted = run.playbook.index_of(incident.enters)
    rung = run.rung
    if rung is not None and run.position < wanted:
        return ev.RungSkipped(rung.kind, run.position, f"what was seen since needs {incident.enters}")
    if rung is None:
        return ev.RunEnded(*_last_word(run))
    decision = admit(guard, incident, run, rung, now)
    match decision.admission:
        case Admission.SKIP:
            return ev.RungSkipped(rung.kind, run.position, decision.reason)
        case Admission.OBSERVE:
            return ev.RungObserved(rung.kind, run.position, would(guard, rung))
        case Admission.PROPOSE:
            return ev.RungProposed(rung.kind, run.position, decision.reason, now + rung.propose_deadline)
        case Admission.ENTER:
            return ev.RungEntered(rung.kind, run.position, predicted(guard, rung), decision.reason)
        case _:  # pragma: no cover  # mypy shows that nothing gets here
            assert_never(decision.admission)


def would(guard: Guard, rung: Rung) -> str:
    """What a rung does, in one sentence, and how long that was expected to take."""
    length = predicted(guard, rung)
    steps = "; ".join(step.name for step in rung.steps)
    return f"would have done: {steps}" + (f" (in about {say_span(length)})" if length else "")


def _last_word(run: Run) -> tuple[RunOutcome, str]:
    acted = [record for record in run.rungs if record.outcome not in {"skipped", "observed", "denied"}]
    if not acted and any(record.outcome == "observed" for record in run.rungs):
        return RunOutcome.OBSERVED, "no rung was allowed to act"
    if run.data_rolled_back:
        return RunOutcome.NOT_RECOVERED, "data was rolled back, and the service is still not well"
    return RunOutcome.EXHAUSTED, "no rung is left"


def _overtaken(guard: Guard, incident: Incident, run: Run, rung: Rung, now: Time) -> ev.Event | None:
    """A proposal that what came since has answered: more is needed, or a person asked for just this rung."""
    if run.position < run.playbook.index_of(incident.enters):
        return _choose(guard, incident, run, now)
    if incident.asked_for is rung.kind:
        decided = _choose(guard, incident, run, now)
        return decided if isinstance(decided, ev.RungEntered) else None
    return None


def _escalate(run: Run, rung: Rung, now: Time) -> ev.Event | None:
    if run.escalated or run.proposed_at is None:
        return None
    return ev.ProposalEscalated(rung.kind) if now >= run.proposed_at + rung.propose_deadline else None


def stop(run: Run, outcome: RunOutcome, reason: str) -> ev.Event:
    """The end of a run in the middle of a rung: at once, or after what the rung declares for that case."""
    begun = any(run.step_id(step) in run.steps for step in run.due_steps)
    if run.phase is RunPhase.ACTING and run.rung is not None and run.rung.compensate and begun:
        return ev.CompensationBegan(run.rung.kind, outcome, reason)
    return ev.RunEnded(outcome, reason)


def _compensating(run: Run) -> ev.Event | None:
    outcome, reason = run.ending or (RunOutcome.STEP_FAILED, "")
    bad = ended_badly(run)
    if bad is not None:
        unknown = bad.state is StepState.UNKNOWN
        return ev.RunEnded(
            RunOutcome.UNKNOWN if unknown else outcome, f"{reason}; compensation failed too: {bad.id}: {bad.detail}"
        )
    return ev.RunEnded(outcome, f"{reason}; compensated") if next_step(run) is None else None


def _acting(run: Run, rung: Rung, now: Time) -> ev.Event | None:
    bad = ended_badly(run)
    if bad is not None:
        if bad.state is StepState.UNKNOWN:
            return ev.RunEnded(RunOutcome.UNKNOWN, f"{bad.id}: {bad.detail}")
        if rung.on_failure is OnFailure.STOP:
            return stop(run, RunOutcome.STEP_FAILED, f"{bad.id}: {bad.detail}")
        return ev.RungJudged(rung.kind, Recovery.STILL_BROKEN, reason=f"step failed: {bad.detail}")
    if next_step(run) is None:
        return ev.RungFinished(rung.kind, now + rung.settle)
    return None


def _judging(run: Run, rung: Rung, judged: Judged | None, now: Time) -> ev.Event | None:
    since = run.undecided_since or 0
    outcome = overall(judged.rechecks) if judged is not None and judged.rechecks else Recovery.UNDECIDED
    checks = judged.rechecks if judged is not None else ()
    if outcome is not Recovery.UNDECIDED:
        return ev.RungJudged(rung.kind, outcome, checks, "; ".join(check.sentence for check in checks))
    if now < since + rung.undecided_after:
        return None
    # A timer may come just before the reading that decides; wait for one more evaluation.
    if judged is None and now < since + rung.undecided_after + PATIENCE:
        return None
    reason = f"undecided for {say_span(rung.undecided_after)}, which counts as not recovered"
    return ev.RungJudged(rung.kind, Recovery.UNDECIDED, checks, reason)


def _ended(guard: Guard, incident: Incident, now: Time) -> ev.Event | None:
    recovered = incident.recovered_at
    if recovered is None or now < recovered + guard.settings.resolve_after:
        return None
    return ev.Resolved("watchdog", f"well for {say_span(guard.settings.resolve_after)}")


def recovered_outcome(run: Run) -> RunOutcome:
    """How a climb that ended well is called."""
    return RunOutcome.ROLLED_BACK if run.data_rolled_back else RunOutcome.RECOVERED
