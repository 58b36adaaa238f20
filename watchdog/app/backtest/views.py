"""Results as JSON. Times are ISO 8601 in UTC, lengths are seconds; what is not known is null."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from watchdog.app.backtest.result import Backtest, Decision, Firing, IncidentResult, RuleResult, Told, why_silent
from watchdog.app.backtest.sweep import Trial
from watchdog.app.backtest.unit_run import Outcome
from watchdog.model.time import Time
from watchdog.web.moments import iso, number, seconds

Json: TypeAlias = dict[str, Any]


def backtest_view(found: Backtest, trials: Sequence[Trial] = ()) -> Json:
    """A backtest, and the table of a sweep."""
    t0 = found.scenario.t0
    baseline = found.baseline
    return {
        "history": {
            "source": found.source,
            "rows": len(found.times),
            "since": iso(found.times[0]),
            "until": iso(found.times[-1]),
            "every_seconds": seconds(found.every),
            "t0": iso(t0),
            "baseline": {"since": iso(baseline.since), "until": iso(baseline.until), "series": len(baseline.entries)}
            if baseline
            else None,
            "baseline_refused": found.baseline_refused,
        },
        "notes": list(found.notes),
        "rules": [rule_view(one, t0) for one in found.rules],
        "incidents": [incident_view(one, t0) for one in found.incidents],
        "sweep": [trial_view(one) for one in trials],
    }


def rule_view(result: RuleResult, t0: Time) -> Json:
    """A rule: when it would have fired first and why, or why it would not have."""
    first = result.firings[0] if result.firings else None
    return {
        "rule": result.rule.name,
        "help": result.rule.help,
        "mode": result.rule.mode,
        "enters": result.rule.enters,
        "hold_seconds": seconds(result.rule.hold),
        "judged": not result.why_not,
        "armed_at_t0": not result.unarmed,
        "fired": first is not None,
        "fired_at": iso(first.at) if first else None,
        "seconds_after_t0": seconds(first.at - t0) if first else None,
        "basis": first.evidence.basis if first else None,
        "why": first.evidence.sentence if first else why_silent(result),
        "numbers": _numbers(first) if first else {},
        "firings": [firing_view(one, t0) for one in result.firings],
        "verdicts": dict(result.tally),
    }


def firing_view(firing: Firing, t0: Time) -> Json:
    """One firing."""
    return {
        "incident": firing.incident,
        "at": iso(firing.at),
        "seconds_after_t0": seconds(firing.at - t0),
        "basis": firing.evidence.basis,
        "why": firing.evidence.sentence,
        "numbers": _numbers(firing),
    }


def _numbers(firing: Firing) -> Json:
    return {name: number(value) for name, value in firing.evidence.numbers}


def incident_view(result: IncidentResult, t0: Time) -> Json:
    """An incident: where its climb begins, and who is told when."""
    told = result.attribution
    return {
        "incident": result.id,
        "opened_at": iso(result.opened_at),
        "seconds_after_t0": seconds(result.opened_at - t0),
        "rules": list(result.rules),
        "basis": result.basis,
        "enters": result.enters,
        "ladder": [decision_view(one) for one in result.ladder],
        "data": decision_view(result.data) if result.data else None,
        "data_acts_at": iso(result.data_at),
        "proof": dict(result.proof),
        "attribution": {"origin": told.origin, "why": told.why} if told else None,
        "over_at": iso(result.over_at),
        "timeline": [told_view(one, result.opened_at) for one in result.told.values()],
    }


def decision_view(decision: Decision) -> Json:
    """What a rung would have done."""
    return {"rung": decision.rung, "would": decision.admission, "reason": decision.reason}


def told_view(told: Told, opened_at: Time) -> Json:
    """An obligation; one that is due after the end of the history is `owed`."""
    notice = told.notice
    return {
        "topic": notice.topic,
        "audience": notice.audience,
        "due_at": iso(notice.due_at),
        "seconds_after_opening": seconds(notice.due_at - opened_at),
        "outcome": told.outcome or "owed",
        "detail": told.detail,
    }


def trial_view(trial: Trial) -> Json:
    """One combination of a sweep: each rule that it judges, briefly."""
    found = trial.result
    return {
        "set": {f"{one.rule}.{one.key}": one.value for one in trial.changes},
        "incidents": len(found.incidents),
        "rules": [
            {
                key: value
                for key, value in rule_view(one, found.scenario.t0).items()
                if key in {"rule", "fired", "fired_at", "seconds_after_t0", "basis", "why"}
            }
            | {"firings": len(one.firings)}
            for one in found.rules
            if not one.why_not
        ],
    }


def tests_view(outcomes: Sequence[Outcome]) -> Json:
    """Rule tests."""
    return {
        "ok": not any(outcome.failures for outcome in outcomes),
        "tests": [
            {
                "file": outcome.file,
                "name": outcome.name,
                "checked": outcome.checked,
                "failures": [asdict(failure) for failure in outcome.failures],
            }
            for outcome in outcomes
        ],
    }
