"""Admission: whether the rung whose turn it is may act, must ask, or does not apply, and why."""

from dataclasses import dataclass
from enum import StrEnum

from watchdog.model.attribution import Origin
from watchdog.model.guards import Guard, Incident, ReleaseRecord, Run, RunOutcome
from watchdog.model.playbooks import Autonomy, Overrun, Rung
from watchdog.model.releases import Compatibility, Protection, Release, ReleaseState
from watchdog.model.rules import RungKind
from watchdog.model.time import Span, Time, say_span
from watchdog.model.verdicts import Basis

_REVERSED = frozenset({RunOutcome.RECOVERED, RunOutcome.ROLLED_BACK, RunOutcome.NOT_RECOVERED, RunOutcome.EXHAUSTED})
"""Ends of runs in which something was reversed, or tried."""


class Admission(StrEnum):
    """What becomes of a rung."""

    ENTER = "enter"
    SKIP = "skip"
    PROPOSE = "propose"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True)
class Decision:
    """An admission with its reason."""

    admission: Admission
    reason: str = ""


def admit(guard: Guard, incident: Incident, run: Run, rung: Rung, now: Time) -> Decision:
    """Whether this rung acts now."""
    record = guard.release
    if record is None:
        return Decision(Admission.SKIP, "no release is known")
    inapplicable = _inapplicable(record, rung)
    if inapplicable:
        return Decision(Admission.SKIP, inapplicable)
    approver = run.approved.get(rung.kind)
    if approver:
        return Decision(Admission.ENTER, f"approved by {approver}")
    if rung.autonomy is Autonomy.OBSERVE:
        return Decision(Admission.OBSERVE, "its autonomy is observe")
    asked_for = incident.asked_for is rung.kind
    if rung.autonomy is Autonomy.PROPOSE and not asked_for:
        return Decision(Admission.PROPOSE, "its autonomy is propose")
    waits = "" if asked_for else _cooling_down(guard, incident, rung, now) or _beyond(guard, incident, rung)
    if waits:
        return Decision(Admission.PROPOSE, waits)
    late = _overrun(guard, incident, run, rung, now)
    if late is not None:
        return late
    if rung.kind is RungKind.DATA:
        doubt = _doubt_about_data(guard, record, incident, asked_for=asked_for)
        if doubt:
            return Decision(Admission.PROPOSE, doubt)
    return Decision(Admission.ENTER, f"asked for: {incident.reason}" if asked_for else "")


def _cooling_down(guard: Guard, incident: Incident, rung: Rung, now: Time) -> str:
    """Why what was reversed a moment ago is not reversed again by itself; empty when it may be."""
    last = next((one for one in reversed(guard.closed) if one.id != incident.id), None)
    if last is None or rung.kind is RungKind.STOP or last.outcome not in _REVERSED:
        return ""
    since = now - (last.recovered_at or last.resolved_at)
    if since >= guard.settings.cool_down:
        return ""
    length = say_span(guard.settings.cool_down)
    return f"the cool-down of {length} runs: incident {last.id} was over {say_span(max(0, since))} ago"


def _beyond(guard: Guard, incident: Incident, rung: Rung) -> str:
    """Why a rung above the one that the rules enter at waits for a person; empty when one of them climbs."""
    broken = [rule for rule in guard.settings.rules if rule.name in incident.rules]
    if rung.kind is incident.enters or not broken or incident.manual or any(rule.climbs for rule in broken):
        return ""
    return f"{', '.join(rule.name for rule in broken)} calls for rung {incident.enters} only"


def _inapplicable(record: ReleaseRecord, rung: Rung) -> str:
    if not rung.steps:
        return "it has no steps"
    release = record.release
    match rung.kind:
        case RungKind.STOP if record.state is not ReleaseState.APPLYING:
            return "nothing is being applied any more"
        case RungKind.FLAG if not release.flags:
            return "the release has no feature flag"
        case RungKind.CODE:
            return _code_inapplicable(release)
        case RungKind.DATA if release.protection is Protection.CODE_ONLY:
            return "the release was only seen afterwards (protection code-only): its data is never touched"
        case RungKind.DATA if record.state is ReleaseState.SETTLED:
            return "the release is settled: its archives may be gone, and without them a rollback loses data"
        case _:
            return ""


def _code_inapplicable(release: Release) -> str:
    old_version, certificate = release.old_version, release.certificate
    if not old_version:
        return "no last known good version is named"
    if certificate is None and not release.migrations:
        return ""
    if certificate is None:
        return "without a certificate nobody knows whether the old code works on the new schema"
    if certificate.old_code is Compatibility.INCOMPATIBLE:
        return f"the rehearsal showed that {old_version} does not work on the new schema"
    if certificate.old_code is Compatibility.UNKNOWN:
        return f"the rehearsal could not tell whether {old_version} works on the new schema"
    return ""


def predicted(guard: Guard, rung: Rung) -> Span:
    """How long a rung is expected to take: measured in the rehearsal for data, else as configured."""
    certificate = guard.release.release.certificate if guard.release else None
    if rung.kind is RungKind.DATA and certificate is not None and certificate.measured:
        return max(rung.predicted, certificate.measured)
    return rung.predicted


def _overrun(guard: Guard, incident: Incident, run: Run, rung: Rung, now: Time) -> Decision | None:
    left = incident.opened_at + run.playbook.budget - now
    needs = predicted(guard, rung)
    if needs <= left or rung.overrun is Overrun.GO:
        return None
    reason = f"it needs about {say_span(needs)}, {say_span(max(0, left))} of the budget are left"
    return Decision(Admission.SKIP if rung.overrun is Overrun.SKIP else Admission.PROPOSE, reason)


def _doubt_about_data(guard: Guard, record: ReleaseRecord, incident: Incident, *, asked_for: bool) -> str:
    """Why data waits for a person; empty when it may act."""
    certificate = record.release.certificate
    if certificate is None or not certificate.restored:
        return "no valid certificate: this rollback was never shown to restore schema and data"
    if asked_for:
        return ""
    if not record.watched:
        return f"the release is {record.state}: from there on a rollback is by hand"
    if record.data_rollbacks >= guard.settings.data_rollbacks:
        return f"the breaker is open: this release has had {record.data_rollbacks} data rollback already"
    if incident.doubts:
        return f"something else happens at the same time: {'; '.join(incident.doubts.values())}"
    told = incident.attribution
    if told is not None and told.origin in {Origin.CODE, Origin.ELSEWHERE}:
        return f"it does not look like the data ({told.origin}): {told.why}"
    if not incident.proof:
        return "there is no positive evidence that the release did it"
    proven = any(kind.startswith("integrity") for kind in incident.proof)
    if incident.basis is Basis.LITERAL and not proven:
        return "the evidence is literal only: the confident test has not agreed"
    return ""
