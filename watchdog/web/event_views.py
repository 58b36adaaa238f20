"""Events as JSON, and an incident out of its guard's events."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any, Final

from watchdog.engine.evolve import fold
from watchdog.engine.wording import tell
from watchdog.model import events as ev
from watchdog.model.guards import Guard, GuardSettings
from watchdog.model.playbooks import Playbook
from watchdog.model.time import SECOND, Time
from watchdog.web.moments import iso, number, seconds
from watchdog.web.views import Json, incident_view, notice_view, release_view

TIMES: Final = frozenset({"at", "bake_until", "deadline", "due_at", "issued_at", "opened_at", "since", "until"})
"""Fields of events that are points in time."""

SPANS: Final = frozenset({"by", "late_by", "measured", "missing_for", "predicted"})
"""Fields of events that are lengths of time; in JSON their names end in `_seconds`."""

_NOTICES: Final = (ev.NoticeOwed, ev.NoticeIntended, ev.NoticeSettled)


def event_view(guard: Guard, stored: ev.Stored) -> Json:
    """One event, with the sentence that people are told of it."""
    return {
        "seq": stored.seq,
        "at": iso(stored.at),
        "epoch": stored.epoch,
        "type": type(stored.body).__name__,
        "sentence": sentence(guard, stored.body),
        "body": plain(stored.body),
    }


def sentence(guard: Guard, event: ev.Event) -> str:
    """What an event says to a person; empty for bookkeeping."""
    if isinstance(event, ev.IncidentOpened):
        because = "; ".join(one.sentence for one in event.evidence)
        return f"Incident {event.incident} is open: {because}"
    return tell(guard, event)


def plain(value: object) -> Any:
    """A value as JSON can say it. A playbook is named by its hash: its scripts are long, and in the repository."""
    if isinstance(value, Playbook):
        return {"name": value.name, "hash": value.hash}
    if is_dataclass(value):
        return dict(_field(each.name, getattr(value, each.name)) for each in fields(value))
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return number(value)
    return str(value) if isinstance(value, str) else value


def _field(name: str, value: Any) -> tuple[str, Any]:
    if name in TIMES:
        return name, iso(value)
    if name in SPANS:
        return f"{name}_seconds", seconds(value)
    return name, plain(value)


def incident_from_events(settings: GuardSettings, stored: Sequence[ev.Stored], incident: str, now: Time) -> Json | None:
    """An incident as it stood at its end, or stands now, with its events; None when the guard never had it."""
    opened = next((index for index, one in enumerate(stored) if _opens(one.body, incident)), None)
    if opened is None:
        return None
    later = (index for index in range(opened + 1, len(stored)) if isinstance(stored[index].body, ev.IncidentOpened))
    end = next(later, len(stored))
    # Notices of an incident may be settled while the next one is open.
    after = [one for one in stored[end:] if isinstance(one.body, _NOTICES)]
    begin = max((index for index in range(opened) if isinstance(stored[index].body, ev.ReleaseStarted)), default=0)
    guard = fold(Guard(settings), [*stored[begin:end], *after])
    if guard.incident is None:
        return None
    mine = {key for key, record in guard.notices.items() if record.notice.incident == incident}
    return {
        **incident_view(guard.incident, guard.release, now),
        "guard": settings.name,
        "release": release_view(guard.release, now) if guard.release else None,
        "seconds_pending": _seconds_pending(stored[: opened + 1]),
        "notices": [notice_view(guard.notices[key]) for key in sorted(mine, key=_number)],
        "events": [event_view(guard, one) for one in [*stored[opened:end], *after] if _belongs(one.body, mine)],
    }


def _number(notice: str) -> int:
    return int(notice.rpartition("#")[2])


def _opens(event: ev.Event, incident: str) -> bool:
    return isinstance(event, ev.IncidentOpened) and event.incident == incident


def _belongs(event: ev.Event, notices: AbstractSet[str]) -> bool:
    if isinstance(event, ev.NoticeOwed):
        return event.notice.id in notices
    if isinstance(event, ev.NoticeIntended | ev.NoticeSettled):
        return event.notice in notices
    return True


def _seconds_pending(stored: Sequence[ev.Stored]) -> float | None:
    """How long a breach was seen before it opened the incident; None for one that a person opened."""
    opened = stored[-1].body
    if not isinstance(opened, ev.IncidentOpened) or opened.manual:
        return None
    pending: dict[str, Time] = {}
    for one in stored:
        match one.body:
            case ev.PendingBegan(rule, since, _):
                pending[rule] = since
            case ev.PendingEnded(rule):
                pending.pop(rule, None)
            case ev.PendingShifted(by):
                pending = {rule: since + by for rule, since in pending.items()}
            case ev.ReleaseStarted():
                pending = {}
            case _:
                pass
    since = min((pending[rule] for rule in opened.rules if rule in pending), default=opened.opened_at)
    return (opened.opened_at - since) / SECOND
