"""What is said, in plain sentences. No row value and no secret can be in them: they are made of counts and names."""

from watchdog.engine.evolve import incident_of
from watchdog.model import events as ev
from watchdog.model.attribution import Origin
from watchdog.model.communication import Audience, Notice
from watchdog.model.guards import ClosedIncident, Guard, Incident, NoticeRecord, Run, RunOutcome, RunPhase, StepState
from watchdog.model.playbooks import Autonomy
from watchdog.model.releases import Release
from watchdog.model.time import Time, say_span
from watchdog.model.verdicts import Recovery

ABOUT_RELEASE = (
    ev.ReleaseStarted,
    ev.BaselineRefused,
    ev.RuleUnarmed,
    ev.RuleArmed,
    ev.SightLost,
    ev.SightMissed,
    ev.Armed,
    ev.BakeEnded,
    ev.Frozen,
    ev.Unfrozen,
)

WELL = frozenset({RunOutcome.RECOVERED, RunOutcome.ROLLED_BACK})


def topic(event: ev.Event) -> str:
    """A short name for what a notice tells of."""
    match event:
        case ev.StepSucceeded() | ev.StepFailed() | ev.StepUnknown():
            return "step"
        case ev.RungEntered() | ev.RungSkipped() | ev.RungObserved() | ev.RungJudged():
            return "rung"
        case _:
            return type(event).__name__


def tell(guard: Guard, event: ev.Event) -> str:
    """The sentence for an event; empty for one that nobody is told of."""
    return _tell_climb(event) or _tell_people(event) or _tell_release(guard, event)


def _tell_climb(event: ev.Event) -> str:
    match event:
        case ev.RuleJoined(_, evidence):
            return f"Also in breach: {evidence.sentence}"
        case ev.ProofFound(_, sentence):
            return f"Evidence that the release did it: {sentence}"
        case ev.DoubtFound(_, sentence):
            return f"Data waits for a person: {sentence}"
        case ev.Attributed(found):
            return f"It looks like *{found.origin}*: {found.why}" if found.origin is not Origin.UNKNOWN else ""
        case ev.RungEntered(rung, _, expected, reason):
            because = f" ({reason})" if reason else ""
            return f"Rung *{rung}* begins{because}, about {say_span(expected)} expected"
        case ev.RungSkipped(rung, _, reason):
            return f"Rung *{rung}* is passed over: {reason}"
        case ev.RungObserved(rung, _, said):
            return f"Rung *{rung}* only observes: {said}"
        case ev.StepSucceeded(step, detail):
            return f"Done: {_short(step)}" + (f" — {detail}" if detail else "")
        case ev.StepFailed(step, error):
            return f"Failed, nothing was changed: {_short(step)} — {error}"
        case ev.StepUnknown(step, error):
            return f"UNKNOWN whether this took effect: {_short(step)} — {error}"
        case ev.CompensationBegan(rung, _, reason):
            return f"Rung *{rung}* stops half way ({reason}): what it declared for that case is done now"
        case ev.RungJudged(rung, outcome, _, reason):
            word = "recovered" if outcome is Recovery.RECOVERED else "not recovered"
            return f"After rung *{rung}*: {word} ({reason})"
        case ev.RunEnded(outcome, reason):
            page = "" if outcome in WELL else " A person is needed."
            return f"The run ended: {outcome}. {reason}{'.' if reason else ''}{page}"
        case _:
            return ""


def _tell_people(event: ev.Event) -> str:
    match event:
        case ev.RungProposed(rung, _, reason, _):
            return f"Rung *{rung}* waits for a person: {reason}. Approve or deny; it will not act by itself."
        case ev.ProposalEscalated(rung):
            return f"Nobody has answered: rung *{rung}* still waits for a person."
        case ev.TriggerJoined(who, reason):
            return f"{who} triggered as well: {reason}"
        case ev.Acknowledged(who):
            return f"{who} has it."
        case ev.Approved(rung, who):
            return f"{who} approved rung *{rung}*."
        case ev.Denied(rung, who):
            return f"{who} denied rung *{rung}*."
        case ev.HoldSet(who, reason):
            return f"{who} put it on hold: {reason}"
        case ev.HoldReleased(who):
            return f"The hold was released by {who}."
        case ev.Resolved(who, reason):
            return f"Resolved by {who}" + (f": {reason}" if reason else "")
        case _:
            return ""


def _tell_release(guard: Guard, event: ev.Event) -> str:
    match event:
        case ev.ReleaseStarted(release):
            changes = ", ".join(release.migrations) or "no migration"
            return f"Release {release.id} starts ({changes}); protection {release.protection}. {_certificate(release)}"
        case ev.BaselineRefused(reason):
            return f"No baseline: {reason}. Rules that compare with it have no data."
        case ev.RuleUnarmed(rule, evidence):
            return f"Rule {rule} was in breach before the release and is not armed: {evidence.sentence}"
        case ev.RuleArmed(rule):
            return f"Rule {rule} is well now and armed."
        case ev.SightLost(rule, reason, at_start) if at_start:
            return f"Rule {rule} has no data at the start of the release and sees nothing: {reason}"
        case ev.SightMissed(rule, reason, missing_for):
            return f"Rule {rule} has had no data for {say_span(missing_for)} and sees nothing: {reason}"
        case ev.Armed():
            return f"Every change is out: baking for {say_span(guard.settings.bake)}."
        case ev.BakeEnded():
            harmed = guard.release is not None and any(one.opened_at >= guard.release.t0 for one in guard.closed)
            ended = "The bake is over" if harmed else "The release has baked without harm"
            return f"{ended}. A rollback is by hand from here on."
        case ev.Frozen(who, reason):
            return f"{who} froze {guard.settings.name}: {reason}. Nothing acts until it is thawed."
        case ev.Unfrozen(who):
            return f"{who} thawed {guard.settings.name}."
        case _:
            return ""


def _certificate(release: Release) -> str:
    certificate = release.certificate
    if certificate is None:
        return "It has no certificate: its data is not rolled back without a person."
    if not certificate.restored:
        why = certificate.findings[0] if certificate.findings else "the rollback did not restore everything"
        return f"Certificate {certificate.id} proves nothing: {why}."
    took = say_span(certificate.measured)
    return (
        f"Certificate {certificate.id}: the rollback was rehearsed in {took}; the old code is {certificate.old_code}."
    )


def _short(step: str) -> str:
    _, rung, name = step.split("/", 2)
    return f"{name} (rung {rung})"


def render(guard: Guard, record: NoticeRecord, now: Time) -> str:
    """The text of a notice at the moment it is sent."""
    notice = record.notice
    if notice.text:
        return notice.text
    incident = incident_of(guard, notice.incident)
    if incident is None:
        return f"{notice.incident}: {notice.topic}. It is over."
    if isinstance(incident, ClosedIncident):
        return _of_the_past(guard, incident, notice)
    if notice.header:
        return header(guard, incident)
    if notice.topic == "detected" or notice.audience is Audience.RESPONDERS:
        return _for_responders(guard, incident, notice.topic, now)
    return _for_others(guard, incident, notice.audience, now)


def _of_the_past(guard: Guard, incident: ClosedIncident, notice: Notice) -> str:
    name = guard.settings.name
    lasted = say_span((incident.recovered_at or incident.resolved_at) - incident.opened_at)
    if notice.header:
        return f"*{name}: resolved — {incident.outcome}*\n{incident.id} lasted {lasted}."
    if notice.audience is Audience.RESPONDERS:
        return f"{notice.topic.capitalize()}: {incident.id} is over after {lasted} ({incident.outcome})."
    return f"{name} was impaired for {lasted}. That incident is over."


def header(guard: Guard, incident: Incident) -> str:
    """The head of the thread: what hurts, where the ladder stands, who has it."""
    lines = [f"*{guard.settings.name}: {status(incident)}*", _why(incident)]
    if guard.release is not None:
        lines.append(f"Release {guard.release.release.id} ({guard.release.state})")
    if incident.acknowledged_by:
        lines.append(f"Acknowledged by {incident.acknowledged_by}")
    if incident.hold is not None:
        lines.append(f"On hold by {incident.hold.who}: {incident.hold.reason}")
    return "\n".join(lines)


def status(incident: Incident) -> str:
    """Where an incident stands, in a few words."""
    run = incident.run
    if incident.resolved_at is not None:
        return f"resolved — {run.outcome}" if run is not None and run.outcome else "resolved"
    if run is None:
        return "issue detected"
    return _run_status(incident, run)


def _run_status(incident: Incident, run: Run) -> str:
    if run.phase is RunPhase.ENDED:
        took = f" after {say_span(incident.recovered_at - incident.opened_at)}" if incident.recovered_at else ""
        return f"{run.outcome}{took}"
    rung = run.rung.kind if run.rung is not None else "none"
    match run.phase:
        case RunPhase.PROPOSED:
            return f"rung {rung} waits for a person"
        case RunPhase.COMPENSATING:
            return f"rung {rung} failed, compensating"
        case RunPhase.ACTING:
            return f"rolling back, rung {rung}"
        case RunPhase.JUDGING:
            return f"rung {rung} done, watching whether it helped"
        case _:
            return "issue detected, rollback initiated"


def _why(incident: Incident) -> str:
    if incident.manual:
        return f"Triggered by {incident.opened_by}: {incident.reason}"
    return "; ".join(evidence.sentence for evidence in incident.evidence[:3])


def _for_responders(guard: Guard, incident: Incident, beat: str, now: Time) -> str:
    if beat == "detected":
        return f"{_first_word(guard)}. {_why(incident)}"
    if beat == "post-mortem":
        return (
            f"Post-mortem of {incident.id} is to be scheduled: {status(incident)}, "
            f"{_steps_done(incident)}, {len(guard.notices)} notices owed."
        )
    return f"{status(incident).capitalize()}, {say_span(now - incident.opened_at)} after detection. {_why(incident)}"


def _first_word(guard: Guard) -> str:
    if guard.frozen is not None:
        return f"Issue detected; {guard.frozen.who} froze {guard.settings.name}, so nothing acts"
    if guard.autonomy is Autonomy.OBSERVE:
        return "Issue detected; this guard only observes"
    return "Issue detected, rollback initiated"


def _steps_done(incident: Incident) -> str:
    steps = incident.run.steps.values() if incident.run is not None else ()
    done = sum(step.state is StepState.DONE for step in steps)
    return f"{done} steps done"


def _for_others(guard: Guard, incident: Incident, audience: Audience, now: Time) -> str:
    name = guard.settings.name
    if incident.recovered_at is not None:
        lasted = say_span(incident.recovered_at - incident.opened_at)
        return f"{name} was impaired for {lasted} and works again. The release was taken back ({status(incident)})."
    if incident.resolved_at is not None:
        return f"{name} was impaired for {say_span(incident.resolved_at - incident.opened_at)}. The incident is over."
    since = say_span(now - incident.opened_at)
    if audience is Audience.STAKEHOLDERS:
        return f"{name} is impaired since {since}: {status(incident)}. The team is working on it."
    return f"{name} is impaired since {since}. We are working on it."
