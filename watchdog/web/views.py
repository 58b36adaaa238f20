"""A guard as JSON. Times are ISO 8601 in UTC, lengths are seconds; what is not known is null."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from watchdog.engine.wording import status
from watchdog.model.guards import Guard, Hold, Incident, NoticeRecord, ReleaseRecord, Run, RunPhase, StepRecord
from watchdog.model.releases import Certificate
from watchdog.model.rules import Rule
from watchdog.model.time import Time
from watchdog.model.verdicts import Breach, Evidence, NoData, Ok, ProbeFailed, Verdict
from watchdog.web.moments import iso, number, seconds
from watchdog.web.reversibility import NOTHING_KEPT, Kept, Reversibility, reversibility

Json: TypeAlias = dict[str, Any]


def guard_view(guard: Guard, verdicts: Mapping[str, Verdict], now: Time, kept: Kept = NOTHING_KEPT) -> Json:
    """Everything about a guard that a person or a program asks for."""
    way_back = reversibility(guard, kept)
    return {
        "guard": guard.settings.name,
        "state": state_word(guard),
        "now": iso(now),
        "autonomy": guard.autonomy,
        "playbook": guard.settings.playbook.name,
        "release": release_view(guard.release, now) if guard.release else None,
        "reversibility": reversibility_view(way_back) if way_back else None,
        "rules": [rule_view(guard, rule, verdicts.get(rule.name), now) for rule in guard.settings.rules],
        "incident": incident_view(guard.incident, guard.release, now) if guard.incident else None,
        "notices": [notice_view(record) for record in guard.notices.values()],
        "frozen": hold_view(guard.frozen),
        "closed": [
            {
                "id": one.id,
                "opened_at": iso(one.opened_at),
                "resolved_at": iso(one.resolved_at),
                "outcome": one.outcome,
            }
            for one in guard.closed
        ],
        "epoch": guard.epoch,
        "holder": guard.holder,
    }


def state_word(guard: Guard) -> str:
    """Where a guard stands, in one word: `incident`, `recovered`, the state of its release, or `no release`."""
    incident = guard.incident
    if incident is not None and incident.resolved_at is None:
        return "incident" if incident.recovered_at is None else "recovered"
    return guard.release.state if guard.release is not None else "no release"


def release_view(record: ReleaseRecord, now: Time) -> Json:
    """A release under watch."""
    release, baseline = record.release, record.baseline
    left = max(0, record.bake_until - now) if record.bake_until is not None and record.watched else None
    return {
        "id": release.id,
        "state": record.state,
        "watched": record.watched,
        "t0": iso(record.t0),
        "armed_at": iso(record.armed_at),
        "bake_until": iso(record.bake_until),
        "bake_left_seconds": seconds(left),
        "protection": release.protection,
        "migrations": list(release.migrations),
        "flags": list(release.flags),
        "old_version": release.old_version,
        "new_version": release.new_version,
        "certificate": certificate_view(release.certificate) if release.certificate else None,
        "baseline": {
            "since": iso(baseline.since),
            "until": iso(baseline.until),
            "seconds": seconds(baseline.until - baseline.since),
            "series": len(baseline.entries),
            "days": sum(not day.left_out for day in baseline.days),
        }
        if baseline
        else None,
        "baseline_refused": record.baseline_refused,
        "unarmed": dict(record.unarmed),
        "data_rollbacks": record.data_rollbacks,
    }


def reversibility_view(found: Reversibility) -> Json:
    """Whether a release can still be taken back in time, and why not."""
    return {
        "certificate_valid": found.certificate_valid,
        "reason": found.reason,
        "budget_seconds": seconds(found.budget),
        "predicted_seconds": seconds(found.predicted),
        "budget_met": found.budget_met,
        "migrations": found.migrations,
        "archived_runs": found.kept.archived,
        "archives_complete": found.archives_complete,
        "archives_unknown": found.kept.why,
        "past_return": found.kept.past,
        "return_until": iso(found.kept.until),
        "protection_lowered": list(found.kept.lowered),
        "backup_age_seconds": seconds(found.kept.backup_age),
    }


def certificate_view(certificate: Certificate) -> Json:
    """A certificate, in the shape in which a release is sent with one."""
    surroundings = certificate.surroundings
    return {
        "id": certificate.id,
        "issued_at": iso(certificate.issued_at),
        "surroundings": {
            "server": surroundings.server,
            "extensions": list(surroundings.extensions),
            "collation": surroundings.collation,
            "schema_hash": surroundings.schema_hash,
        },
        "rollback_hash": certificate.rollback_hash,
        "restored": certificate.restored,
        "old_code": certificate.old_code,
        "measured_seconds": seconds(certificate.measured),
        "findings": list(certificate.findings),
        "scripts": list(certificate.scripts),
    }


def rule_view(guard: Guard, rule: Rule, verdict: Verdict | None, now: Time) -> Json:
    """A rule with its latest verdict."""
    pending = guard.pending.get(rule.name)
    evidence = verdict.evidence if isinstance(verdict, Ok | Breach) else None
    return {
        "name": rule.name,
        "help": rule.help,
        "severity": rule.severity,
        "enters": rule.enters,
        "verdict": verdict_word(verdict),
        "sentence": _sentence(verdict),
        "basis": evidence.basis if evidence else None,
        "numbers": _numbers(evidence) if evidence else {},
        "judged_at": iso(evidence.at) if evidence else None,
        "armed": guard.release is None or rule.name not in guard.release.unarmed,
        "pending_since": iso(pending.since) if pending else None,
        "pending_seconds": seconds(now - pending.since) if pending else None,
        "hold_seconds": seconds(rule.hold),
    }


def verdict_word(verdict: Verdict | None) -> str:
    """A verdict in one or two words; a rule that has none is `not judged yet`."""
    match verdict:
        case Ok():
            return "ok"
        case Breach():
            return "breach"
        case NoData():
            return "no data"
        case ProbeFailed():
            return "probe failed"
        case None:
            return "not judged yet"


def _sentence(verdict: Verdict | None) -> str:
    match verdict:
        case Ok(evidence) | Breach(evidence):
            return evidence.sentence
        case NoData(cause, detail):
            return f"{cause}: {detail}" if detail else str(cause)
        case ProbeFailed(error):
            return error
        case None:
            return ""


def evidence_view(evidence: Evidence) -> Json:
    """Why a rule was in breach, with the figures."""
    return {
        "rule": evidence.rule,
        "at": iso(evidence.at),
        "sentence": evidence.sentence,
        "basis": evidence.basis,
        "numbers": _numbers(evidence),
    }


def _numbers(evidence: Evidence) -> Json:
    return {name: number(value) for name, value in evidence.numbers}


def incident_view(incident: Incident, release: ReleaseRecord | None, now: Time) -> Json:
    """An incident; `seconds_after_t0` bounds from above how long it took to see it."""
    opened, recovered = incident.opened_at, incident.recovered_at
    run = incident.run
    t0 = release.t0 if release is not None and release.t0 <= opened else None
    return {
        "id": incident.id,
        "open": incident.resolved_at is None,
        "status": status(incident),
        "opened_at": iso(opened),
        "opened_by": incident.opened_by,
        "manual": incident.manual,
        "reason": incident.reason,
        "rules": list(incident.rules),
        "basis": incident.basis,
        "enters": incident.enters,
        "evidence": [evidence_view(one) for one in incident.evidence],
        "proof": dict(incident.proof),
        "doubts": dict(incident.doubts),
        "attribution": {"origin": incident.attribution.origin, "why": incident.attribution.why}
        if incident.attribution
        else None,
        "run": run_view(run, now) if run else None,
        "acknowledged": {"who": incident.acknowledged_by, "at": iso(incident.acknowledged_at)}
        if incident.acknowledged_by
        else None,
        "hold": hold_view(incident.hold),
        "data_touched": incident.data_touched,
        "recovered_at": iso(recovered),
        "resolved_at": iso(incident.resolved_at),
        "outcome": run.outcome if run else None,
        "seconds_after_t0": seconds(opened - t0) if t0 is not None else None,
        "seconds_to_recover": seconds(recovered - opened) if recovered is not None else None,
        "seconds_open": seconds((incident.resolved_at or now) - opened),
    }


def run_view(run: Run, now: Time) -> Json:
    """A climb: its rungs in the order in which they were looked at, and every step that began."""
    proposed = run.rung if run.phase is RunPhase.PROPOSED else None
    return {
        "id": run.id,
        "playbook": run.playbook.name,
        "playbook_hash": run.playbook.hash,
        "phase": run.phase,
        "rung": run.rung.kind if run.rung is not None and run.phase is not RunPhase.ENDED else None,
        "started_at": iso(run.started_at),
        "ended_at": iso(run.ended_at),
        "seconds": seconds((run.ended_at or now) - run.started_at),
        "outcome": run.outcome,
        "approved": {str(rung): who for rung, who in run.approved.items()},
        "proposal": {
            "rung": proposed.kind,
            "since": iso(run.proposed_at),
            "deadline": iso(run.proposed_at + proposed.propose_deadline),
            "escalated": run.escalated,
        }
        if proposed is not None and run.proposed_at is not None
        else None,
        "rungs": [
            {
                "rung": one.rung,
                "entered_at": iso(one.entered_at),
                "ended_at": iso(one.ended_at),
                "seconds": seconds((one.ended_at or run.ended_at or now) - one.entered_at),
                "outcome": one.outcome or "under way",
                "reason": one.reason,
            }
            for one in run.rungs
        ],
        "steps": [step_view(step, now) for step in run.steps.values()],
    }


def step_view(step: StepRecord, now: Time) -> Json:
    """A step; one that is still under way has lasted until now."""
    _, rung, name = step.id.split("/", 2)
    return {
        "id": step.id,
        "rung": rung,
        "name": name,
        "state": step.state,
        "attempts": step.attempts,
        "intended_at": iso(step.intended_at),
        "ended_at": iso(step.ended_at),
        "seconds": seconds((step.ended_at or now) - step.intended_at),
        "detail": step.detail,
    }


def notice_view(record: NoticeRecord) -> Json:
    """An obligation; one that is not settled has the outcome `owed`."""
    notice = record.notice
    return {
        "id": notice.id,
        "incident": notice.incident,
        "topic": notice.topic,
        "audience": notice.audience,
        "channel": notice.channel,
        "due_at": iso(notice.due_at),
        "settled_at": iso(record.settled_at),
        "outcome": record.outcome or "owed",
        "late_seconds": seconds(record.late_by),
        "attempts": record.attempts,
        "text": record.text or notice.text,
        "detail": record.detail,
    }


def hold_view(hold: Hold | None) -> Json | None:
    """Who said wait, and why."""
    if hold is None:
        return None
    return {"who": hold.who, "reason": hold.reason, "since": iso(hold.since), "until": iso(hold.until)}
