"""Deciding on what people say: trigger, acknowledge, approve, hold, abort, resolve, freeze."""

from collections.abc import Iterator

from watchdog.engine.progress import stop
from watchdog.engine.refused import RefusedError
from watchdog.engine.scope import in_scope
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.guards import Guard, Incident, Run, RunOutcome, RunPhase, StepState
from watchdog.model.rules import RungKind
from watchdog.model.time import Time
from watchdog.model.verdicts import Basis, Evidence


def next_incident(guard: Guard) -> str:
    """Name of the next incident."""
    return f"{guard.settings.name}-{guard.incidents + 1}"


def decide_person(guard: Guard, given: inputs.Input, now: Time) -> Iterator[ev.Event]:
    """Events of a person's word; said twice, it has no second effect.

    Raises:
        RefusedError: The state does not allow it.
    """
    match given:
        case inputs.Freeze(who, reason):
            if guard.frozen is None:
                yield ev.Frozen(who, reason)
        case inputs.Unfreeze(who):
            if guard.frozen is not None:
                yield ev.Unfrozen(who)
        case inputs.Trigger():
            yield from _trigger(guard, given, now)
        case inputs.Acknowledge(who, via, incident):
            if not _open_incident(guard, incident).acknowledged_by:
                yield ev.Acknowledged(who, via)
        case inputs.Approve(who, incident, rung):
            yield ev.Approved(_proposed(guard, incident, rung), who)
        case inputs.Deny(who, incident, rung):
            yield ev.Denied(_proposed(guard, incident, rung), who)
        case inputs.SetHold(who, reason, length, incident):
            _open_incident(guard, incident)
            yield ev.HoldSet(who, reason, now + length if length is not None else None)
        case inputs.ReleaseHold(who, incident):
            if _open_incident(guard, incident).hold is not None:
                yield ev.HoldReleased(who)
        case _:
            yield from _ending(guard, given)


def _trigger(guard: Guard, given: inputs.Trigger, now: Time) -> Iterator[ev.Event]:
    if not given.reason.strip():
        raise RefusedError("a trigger needs a reason")
    enters = given.rung or RungKind.STOP
    incident = guard.incident
    if incident is not None and incident.resolved_at is None:
        if incident.run is None or incident.run.phase is not RunPhase.ENDED:
            yield ev.TriggerJoined(given.who, given.reason, enters)
            return
        yield ev.Resolved("watchdog", f"{given.who} triggered again")
    sentence = f"{given.who} asked for it: {given.reason}"
    # A rule that was in breach before the release cannot tell whether a rung has helped.
    unarmed = guard.release.unarmed if guard.release is not None else {}
    yield ev.IncidentOpened(
        incident=next_incident(guard),
        opened_at=now,
        rules=tuple(
            rule.name
            for rule in guard.settings.rules
            if rule.name not in unarmed and rule.alone and in_scope(rule, guard.release)
        ),
        evidence=(Evidence("manual", now, sentence, Basis.MANUAL),),
        basis=Basis.MANUAL,
        enters=enters,
        manual=True,
        opened_by=given.who,
        reason=given.reason,
    )


def _open_incident(guard: Guard, named: str = "") -> Incident:
    incident = guard.incident
    if named and incident is not None and named != incident.id:
        raise RefusedError(f"{named} is over; the latest incident is {incident.id}")
    if incident is None or incident.resolved_at is not None:
        over = f"{incident.id} is resolved" if incident is not None else "none has been opened"
        raise RefusedError(f"guard {guard.settings.name} has no open incident: {over}")
    return incident


def _proposed(guard: Guard, incident: str, meant: RungKind | None) -> RungKind:
    run = _open_incident(guard, incident).run
    if run is None or run.phase is not RunPhase.PROPOSED or run.rung is None:
        raise RefusedError("nothing waits for an approval")
    if meant is not None and meant is not run.rung.kind:
        raise RefusedError(f"rung {meant} does not wait any more; what waits is rung {run.rung.kind}")
    return run.rung.kind


def _ending(guard: Guard, given: inputs.Input) -> Iterator[ev.Event]:
    named = given.incident if isinstance(given, inputs.Resolve) else ""
    run = _open_incident(guard, named).run
    match given:
        case inputs.Abort(who, reason):
            if run is None or run.phase is RunPhase.ENDED:
                raise RefusedError("no run is under way")
            _between_steps(run, "abort")
            yield stop(run, RunOutcome.ABORTED, f"by {who}: {reason}")
        case inputs.Resolve(who, reason):
            if run is not None and run.phase is not RunPhase.ENDED:
                _between_steps(run, "resolve")
                ended = stop(run, RunOutcome.ABORTED, f"resolved by {who}")
                if isinstance(ended, ev.CompensationBegan):
                    raise RefusedError("a rung is half done: abort first, so that it is compensated, then resolve")
                yield ended
            yield ev.Resolved(who, reason)
        case _:
            raise RefusedError(f"{type(given).__name__} is not for a guard")


def _between_steps(run: Run, verb: str) -> None:
    under_way = [one.id for one in run.steps.values() if one.state is StepState.INTENDED]
    if under_way:
        raise RefusedError(f"step {under_way[0]} is under way: hold first, and {verb} when it has ended")
