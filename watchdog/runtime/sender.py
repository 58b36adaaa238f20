"""The sender: says notices once each, in order within a channel, and looks before it says one again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from watchdog.engine.wording import render
from watchdog.model.commands import Reconcile, Send
from watchdog.model.communication import NoticeOutcome
from watchdog.model.guards import Guard, NoticeRecord, RunPhase
from watchdog.model.inputs import BeginNotice, NoticeDone
from watchdog.model.time import MINUTE, SECOND, Span
from watchdog.ports.clock import Clock
from watchdog.ports.errors import FencedError, JournalError, NotifyError
from watchdog.ports.notifiers import Message, Notifier
from watchdog.runtime.executor import Teller

log = structlog.get_logger(__name__)

GIVE_UP_AFTER: Span = 30 * MINUTE
MAX_PAUSE: Span = 30 * SECOND

MOST_TOGETHER = 12
"""Notices in one message; a receiver takes about one message a second, an incident has more to say at times."""


@dataclass(frozen=True)
class Channel:
    """A configured channel: who says it, and where."""

    notifier: Notifier
    to: str


class Sender:
    """Sends the notices of one guard: one task a channel, so that order holds and a slow channel delays no other."""

    def __init__(self, actor: Teller, clock: Clock, channels: Mapping[str, Channel]) -> None:
        self._actor = actor
        self._clock = clock
        self._channels = channels
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    def reconcile(self, commands: frozenset[Send | Reconcile]) -> None:
        """Starts a task for every channel that owes something and has none."""
        if self._actor.fenced or self._closing:
            return
        for name in {self._record(command).notice.channel for command in commands}:
            running = self._tasks.get(name)
            if running is None or running.done():
                task = asyncio.create_task(self._work(name), name=f"channel {name}")
                self._tasks[name] = task
                task.add_done_callback(_log_failure)

    def _record(self, command: Send | Reconcile) -> NoticeRecord:
        return self._actor.guard.notices[command.notice]

    async def stop(self) -> None:
        """Stops sending; what was under way is looked up by whoever goes on."""
        self._closing = True
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    def _next(self, channel: str) -> tuple[NoticeRecord, ...]:
        """What is said next: the head of a thread first, then the plan, then all that happened meanwhile together."""
        now = self._clock.now()
        due = [
            record
            for record in self._actor.guard.notices.values()
            if record.outcome is None and record.notice.channel == channel and record.notice.due_at <= now
        ]
        due.sort(key=_urgency)
        if not due or not _is_news(due[0]):
            return tuple(due[:1])
        together = [record for record in due if _is_news(record) and record.notice.incident == due[0].notice.incident]
        return tuple(together[:MOST_TOGETHER])

    async def _work(self, name: str) -> None:
        channel = self._channels.get(name)
        while batch := self._next(name):
            if channel is None:
                outcome, detail, receipt = NoticeOutcome.SKIPPED, f"channel {name} is not configured", ""
            else:
                outcome, detail, receipt = await self._say(channel, batch)
            for record in batch:
                await self._actor.ask(NoticeDone(record.notice.id, outcome, detail, receipt))

    async def _say(self, channel: Channel, batch: tuple[NoticeRecord, ...]) -> tuple[NoticeOutcome, str, str]:
        """Says a batch in one message: the outcome, why, and the receipt."""
        began, attempt = self._clock.now(), 0
        doubtful = batch[0].intended_at is not None
        texts = [record.text or render(self._actor.guard, record, began) for record in batch]
        for record, text in zip(batch, texts, strict=True):
            if record.intended_at is None:
                await self._actor.ask(BeginNotice(record.notice.id, text))
        keys = tuple(record.notice.id for record in batch)
        while True:
            message = compose(self._actor.guard, keys, "\n".join(texts), channel.to)
            try:
                receipt = await channel.notifier.find(message) if doubtful else None
                receipt = receipt or await channel.notifier.send(message)
            except NotifyError as error:
                waited = self._clock.now() - began
                log.warning("a notice was not sent", notice=keys[0], error=str(error), attempt=attempt)
                if not error.recoverable or waited > GIVE_UP_AFTER:
                    return NoticeOutcome.FAILED, str(error), ""
                doubtful = doubtful or error.uncertain
                pause = SECOND * error.retry_after if error.retry_after else min(SECOND << attempt, MAX_PAUSE)
                attempt = min(attempt + 1, 10)
                await self._clock.sleep(round(pause))
            else:
                return NoticeOutcome.SENT, "", receipt


def _urgency(record: NoticeRecord) -> tuple[int, int, int]:
    notice = record.notice
    rank = 0 if notice.header else 1 if notice.template else 2
    return rank, notice.due_at, int(notice.id.rpartition("#")[2])


def _is_news(record: NoticeRecord) -> bool:
    """Something that happened, as it is told in a thread; one that may have been said already stands alone."""
    return not record.notice.header and not record.notice.template and record.intended_at is None


def compose(guard: Guard, keys: tuple[str, ...], text: str, to: str) -> Message:
    """The message for notices as the guard stands now: its buttons are those that can be pressed now."""
    notice = guard.notices[keys[0]].notice
    return Message(
        key=notice.id,
        guard=guard.settings.name,
        incident=notice.incident,
        audience=notice.audience,
        channel=to,
        text=text,
        due_at=notice.due_at,
        thread=notice.incident if notice.channel == guard.settings.plan.updates else "",
        header=notice.header,
        also=keys[1:],
        buttons=buttons(guard, notice.incident) if notice.header else (),
    )


def buttons(guard: Guard, incident_id: str) -> tuple[tuple[str, str, str], ...]:
    """What a person can press on the head of an incident's thread."""
    incident = guard.incident
    if incident is None or incident.id != incident_id or incident.resolved_at is not None:
        return ()
    value = f"{guard.settings.name}|{incident.id}"
    offered: list[tuple[str, str, str]] = []
    if not incident.acknowledged_by:
        offered.append(("ack", "Acknowledge", value))
    run = incident.run
    if run is not None and run.phase is RunPhase.PROPOSED and run.rung is not None:
        # The rung is in the id: an answer that comes late is not taken for one to the next proposal.
        offered += [(f"approve.{run.rung.kind}", "Approve", value), (f"deny.{run.rung.kind}", "Deny", value)]
    if run is not None and run.phase is not RunPhase.ENDED:
        offered.append(("release", "Go on", value) if incident.hold is not None else ("hold", "Hold 15 min", value))
    if run is None or run.phase is RunPhase.ENDED:
        offered.append(("resolve", "Resolve", value))
    return tuple(offered)


def _log_failure(task: "asyncio.Task[None]") -> None:
    match None if task.cancelled() else task.exception():
        case None:
            return
        case JournalError() | FencedError() as error:
            log.warning("a channel waits; its notices stay owed", task=task.get_name(), error=str(error))
        case error:
            log.error("a channel's task failed; its notices stay owed", task=task.get_name(), exc_info=error)
