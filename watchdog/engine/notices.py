"""What is owed to whom: an obligation is itself an event, decided together with what it tells of."""

from collections.abc import Iterator
from dataclasses import replace

from watchdog.engine import wording
from watchdog.model import events as ev
from watchdog.model.communication import Audience, Notice
from watchdog.model.guards import Guard
from watchdog.model.playbooks import Autonomy
from watchdog.model.time import Time

HEADER_CHANGES = (
    ev.IncidentOpened,
    ev.Acknowledged,
    ev.RungEntered,
    ev.RungProposed,
    ev.CompensationBegan,
    ev.RungJudged,
    ev.RunEnded,
    ev.HoldSet,
    ev.HoldReleased,
    ev.Resolved,
)


def owe(guard: Guard, event: ev.Event, now: Time) -> Iterator[ev.NoticeOwed]:
    """Notices that an event brings about; `guard` is the state after it."""
    number = guard.owed
    for notice in _notices(guard, event, now):
        number += 1
        about = notice.incident or guard.settings.name
        yield ev.NoticeOwed(replace(notice, id=f"{about}#{number}"))


def _notices(guard: Guard, event: ev.Event, now: Time) -> Iterator[Notice]:
    plan = guard.settings.plan
    incident = guard.incident.id if guard.incident is not None else ""
    if isinstance(event, HEADER_CHANGES) and plan.updates:
        yield Notice("", incident, "header", Audience.RESPONDERS, plan.updates, now, header=True)
    if isinstance(event, ev.IncidentOpened):
        yield from _beats(guard, event)
        return
    text = wording.tell(guard, event)
    if text and plan.updates:
        about = "" if isinstance(event, wording.ABOUT_RELEASE) else incident
        yield Notice("", about, wording.topic(event), Audience.RESPONDERS, plan.updates, now, text=text)


def _beats(guard: Guard, event: ev.IncidentOpened) -> Iterator[Notice]:
    plan = guard.settings.plan
    only_responders = guard.autonomy is Autonomy.OBSERVE
    for beat in plan.beats:
        if only_responders and beat.audience is not Audience.RESPONDERS:
            continue
        yield Notice(
            id="",
            incident=event.incident,
            topic=beat.name,
            audience=beat.audience,
            channel=beat.channel,
            due_at=event.opened_at + round(beat.after / plan.clock),
            template=beat.template or beat.name,
        )
