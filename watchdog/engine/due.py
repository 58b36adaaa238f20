"""What is due now, from state alone: a crash between deciding and doing loses nothing."""

from watchdog.engine.evolve import unsettled
from watchdog.model.commands import Cancel, Command, Execute, Reconcile, Send, Verify
from watchdog.model.guards import Guard, Incident, Run, RunPhase, StepRecord, StepState
from watchdog.model.playbooks import Rung, Step
from watchdog.model.time import SECOND, Span, Time

PATIENCE: Span = 2 * SECOND
"""A rung's undecided recovery waits this much longer for one more evaluation."""

GRACE: Span = 20 * SECOND
"""How long cancelling and verifying a step may take beyond its timeout before somebody is paged."""


WORKING = frozenset({RunPhase.ACTING, RunPhase.COMPENSATING})
"""Phases in which steps are due."""


def due(guard: Guard, now: Time) -> frozenset[Command]:
    """Every command that should be under way."""
    commands: set[Command] = set()
    if guard.incident is not None and guard.incident.run is not None:
        commands |= _step_commands(guard, guard.incident, guard.incident.run, now)
    for record in unsettled(guard):
        if record.notice.due_at > now or not record.notice.channel:
            continue
        foreign = record.intended_at is not None and record.epoch != guard.epoch
        commands.add(Reconcile(record.notice.id) if foreign else Send(record.notice.id))
    return frozenset(commands)


def _step_commands(guard: Guard, incident: Incident, run: Run, now: Time) -> set[Command]:
    if run.phase not in WORKING or run.rung is None:
        return set()
    step = next_step(run)
    if step is None:
        return set()
    record = run.steps.get(run.step_id(step))
    if record is None or record.state is StepState.RESET:
        braked = guard.frozen is not None or incident.hold is not None
        return set() if braked else {_execute(guard, run, run.rung, step)}
    if record.epoch != guard.epoch:
        # Somebody else began it, or this process in an earlier life: look before anything is done.
        return {Verify(record.id, step, run.rung.kind, guard.epoch)}
    deadline = record.intended_at + step.timeout
    if now >= deadline:
        return {Cancel(record.id, step, run.rung.kind, guard.epoch)}
    return {_execute(guard, run, run.rung, step)}


def _execute(guard: Guard, run: Run, rung: Rung, step: Step) -> Execute:
    return Execute(run.step_id(step), step, rung.kind, guard.epoch)


def next_step(run: Run) -> Step | None:
    """The first step that is worked through now and not done; None when all are, or one has failed."""
    for step in run.due_steps:
        record = run.steps.get(run.step_id(step))
        if record is None or record.state in {StepState.INTENDED, StepState.RESET}:
            return step
        if record.state in {StepState.FAILED, StepState.UNKNOWN}:
            return None
    return None


def ended_badly(run: Run) -> StepRecord | None:
    """The step among those worked through now that failed or cannot be told."""
    for step in run.due_steps:
        record = run.steps.get(run.step_id(step))
        if record is not None and record.state in {StepState.FAILED, StepState.UNKNOWN}:
            return record
    return None


def wake_at(guard: Guard, after: Time) -> Time | None:
    """When time alone makes something due next, later than `after`; None when only an input can."""
    times: list[Time] = [one.notice.due_at for one in unsettled(guard)]
    times += [one.since + guard.settings.blind_after for one in guard.blind.values() if not one.told]
    incident = guard.incident
    if incident is not None and incident.resolved_at is None:
        times += _incident_times(guard, incident)
    if guard.release is not None and guard.release.watched and guard.release.bake_until is not None:
        times.append(guard.release.bake_until)
    return min((time for time in times if time > after), default=None)


def _incident_times(guard: Guard, incident: Incident) -> list[Time]:
    times: list[Time] = []
    if incident.hold is not None and incident.hold.until is not None:
        times.append(incident.hold.until)
    if incident.recovered_at is not None:
        times.append(incident.recovered_at + guard.settings.resolve_after)
    run = incident.run
    if run is None or run.rung is None:
        return times
    step = next_step(run) if run.phase in WORKING else None
    record = run.steps.get(run.step_id(step)) if step else None
    if step is not None and record is not None and record.state is StepState.INTENDED:
        times.append(record.intended_at + step.timeout)
    if run.phase is RunPhase.PROPOSED and run.proposed_at is not None and not run.escalated:
        times.append(run.proposed_at + run.rung.propose_deadline)
    if run.phase is RunPhase.JUDGING and run.undecided_since is not None:
        undecided = run.undecided_since + run.rung.undecided_after
        times += [undecided, undecided + PATIENCE]
    return times
