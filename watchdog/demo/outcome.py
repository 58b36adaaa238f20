"""The lines of the table that speak of the daemon: how it ended, how fast, and who was told."""

from collections import Counter
from datetime import datetime
from typing import Any

from watchdog.demo.checks import Check
from watchdog.doubles.slack import SlackDouble
from watchdog.model.time import Time

BUDGET_S = 300.0
LATE_S = 5.0
ROLLED_BACK = "rolled back and recovered"


def settled(view: dict[str, Any]) -> bool:
    """Whether every notice has its one outcome."""
    return all(notice["outcome"] != "owed" for notice in view["notices"])


def ended(view: dict[str, Any]) -> bool:
    """Whether the climb is over."""
    return bool(run_of(view).get("outcome"))


def proposed(view: dict[str, Any]) -> bool:
    """Whether a rung waits for a person."""
    return bool(run_of(view).get("phase") == "proposed")


def run_of(view: dict[str, Any]) -> dict[str, Any]:
    """The climb, or nothing."""
    run: dict[str, Any] = (view["incident"] or {}).get("run") or {}
    return run


def rungs(view: dict[str, Any]) -> list[str]:
    """The rungs that acted, in order."""
    passed_over = {"skipped", "denied", "observed"}
    return [rung["rung"] for rung in run_of(view).get("rungs", []) if rung["outcome"] not in passed_over]


def nanoseconds(text: str) -> Time:
    """An ISO 8601 time as nanoseconds UTC."""
    return round(datetime.fromisoformat(text).timestamp() * 1e9)


def cleared_at(view: dict[str, Any]) -> Time | None:
    """When the caches were cleared."""
    for step in run_of(view).get("steps", []):
        if "cache" in step["name"]:
            return nanoseconds(step["intended_at"])
    return None


def from_daemon(expected: str, view: dict[str, Any], slack: SlackDouble, hurt_at: Time | None) -> list[Check]:
    """How it ended, how fast, and what was said."""
    incident = view["incident"]
    if not expected:
        state = view["release"]["state"]
        return [Check("nothing happened", incident is None and state == "reversible", f"release {state}, no incident")]
    if incident is None:
        return [Check("an incident was opened", ok=False, detail="none")]
    how = f"{incident['outcome']}; rungs that acted: {_list(rungs(view))}"
    checks = [Check("outcome", incident["outcome"] == expected, how)]
    if hurt_at is not None:
        seconds = (nanoseconds(incident["opened_at"]) - hurt_at) / 1e9
        checks.append(Check("seconds to detect", 0 <= seconds < BUDGET_S, f"{seconds:.1f} s after the damage began"))
    if incident["seconds_to_recover"] is not None:
        took = incident["seconds_to_recover"]
        checks.append(Check("seconds to roll back", took < BUDGET_S, f"{took:.1f} s from detection to recovery"))
    if expected != ROLLED_BACK:
        checks.append(Check("data was not touched", not incident["data_touched"], "the data rung did not act"))
    return [*checks, _told(view, slack), _acknowledged(incident)]


def _told(view: dict[str, Any], slack: SlackDouble) -> Check:
    notices = view["notices"]
    outcomes = Counter(notice["outcome"] for notice in notices)
    late = [notice for notice in notices if notice["outcome"] == "sent" and notice["late_seconds"] > LATE_S]
    keys = Counter(
        key
        for channel in ("incidents", "stakeholders")
        for message in slack.messages(channel)
        if message.metadata is not None
        for key in _keys(message.metadata["event_payload"])
    )
    duplicates = sum(count - 1 for count in keys.values())
    skipped = [notice for notice in notices if notice["outcome"] == "skipped"]
    reasons = sorted({f"{notice['topic']}: {notice['detail']}" for notice in skipped})
    detail = (
        f"{outcomes['sent']} sent, {len(late)} late, {duplicates} duplicate, {outcomes['failed']} failed, "
        f"{len(skipped)} skipped ({'; '.join(reasons)})"
    )
    return Check("notices", not duplicates and not late and not outcomes["failed"] and not outcomes["owed"], detail)


def _keys(payload: dict[str, str]) -> list[str]:
    """The notices that a message said."""
    return (payload.get("keys") or payload["key"]).split("\n")


def _acknowledged(incident: dict[str, Any]) -> Check:
    known = incident["acknowledged"]
    return Check("acknowledged in Slack", known is not None, f"by {known['who']}" if known else "nobody pressed")


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"
