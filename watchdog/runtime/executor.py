"""The executor: acts out steps, cancels them at their deadline, and verifies before it says that one failed."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from watchdog.engine.due import GRACE
from watchdog.model.commands import Cancel, Execute, Verify
from watchdog.model.events import Event
from watchdog.model.guards import Guard, StepRecord, StepState
from watchdog.model.inputs import BeginStep, Input, StepCannotTell, StepDone, StepNotApplied, Tick
from watchdog.model.playbooks import Step
from watchdog.model.time import SECOND, Time
from watchdog.ports.actions import Action, Applied, StepContext, Verification
from watchdog.ports.clock import Clock
from watchdog.ports.errors import (
    FencedError,
    JournalError,
    StepError,
    StepUncertainError,
    TargetError,
    WatchdogError,
)
from watchdog.runtime.bounded import within

log = structlog.get_logger(__name__)

PARK_SECONDS = 5.0
"""How long a step that is cancelled at the daemon's end may take to let go; the next start looks for its effect."""


class Teller(Protocol):
    """The part of an actor that an executor needs."""

    guard: Guard
    fenced: bool

    def tell(self, given: Input) -> None: ...

    async def ask(self, given: Input) -> tuple[Event, ...]: ...


class Executor:
    """Runs the step commands of one guard, one task a step."""

    def __init__(
        self,
        actor: Teller,
        clock: Clock,
        build: Callable[[Step], Action],
        braked: Callable[[], bool],
    ) -> None:
        self._actor = actor
        self._clock = clock
        self._build = build
        self._braked = braked
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    def reconcile(self, commands: frozenset[Execute | Verify | Cancel]) -> None:
        """Starts what is due and not running; a step that is no longer due ends by its own outcome or deadline."""
        if self._actor.fenced:
            for task in self._tasks.values():
                task.cancel()
            return
        if self._closing:
            return
        for command in commands:
            running = self._tasks.get(command.id)
            if running is not None and not running.done():
                continue
            job = self._execute(command) if isinstance(command, Execute) else self._verify(command)
            task = asyncio.create_task(job, name=f"step {command.id}")
            self._tasks[command.id] = task
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """What became due while the task was still ending is looked at again."""
        if task.cancelled():
            return
        # After an error the next evaluation looks again: at once would be again and again.
        match task.exception():
            case None:
                self._actor.tell(Tick())
            case JournalError() | FencedError() as error:
                log.warning("a step waits", task=task.get_name(), error=str(error))
            case error:
                log.error("a step's task failed; its effect is looked for", task=task.get_name(), exc_info=error)

    @property
    def busy(self) -> bool:
        """Whether a step is under way."""
        return any(not task.done() for task in self._tasks.values())

    async def drain(self, grace: float) -> bool:
        """Begins nothing new and waits up to `grace` seconds for the step under way; True when none is left."""
        self._closing = True
        running = {task for task in self._tasks.values() if not task.done()}
        if running:
            await asyncio.wait(running, timeout=grace)
        return not self.busy

    async def stop(self) -> None:
        """Parks what is still under way: its effect is verified by whoever goes on."""
        self._closing = True
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=PARK_SECONDS)

    def _context(self, command: Execute | Verify | Cancel, deadline: Time) -> StepContext:
        guard = self._actor.guard
        return StepContext(
            guard=guard.settings.name,
            run_id=command.id.split("/", 1)[0],
            step_id=command.id,
            epoch=command.epoch,
            deadline=deadline,
            clock=self._clock,
            facts=facts(guard),
        )

    async def _execute(self, command: Execute) -> None:
        if self._record(command) is not None:
            # This process began it and lost the task: what came of it is not known.
            await self._verify(command)
            return
        if self._braked():
            return
        await self._actor.ask(BeginStep(command.id))
        record = self._record(command)
        if record is None:
            return
        deadline = record.intended_at + command.step.timeout
        try:
            action = self._build(command.step)
        except WatchdogError as error:
            await self._report(StepNotApplied(command.id, str(error)))
            return
        task = await within(self._clock, action.execute(self._context(command, deadline)), deadline)
        await self._report(await self._outcome(command, action, task))

    def _record(self, command: Execute | Verify | Cancel) -> StepRecord | None:
        """The step's record, if it is intended in this epoch."""
        run = self._actor.guard.incident.run if self._actor.guard.incident else None
        record = run.steps.get(command.id) if run else None
        begun = record is not None and record.state is StepState.INTENDED and record.epoch == command.epoch
        return record if begun else None

    async def _report(self, outcome: Input) -> None:
        """An outcome must reach the journal: while that cannot be written, it waits until it can."""
        while True:
            try:
                await self._actor.ask(outcome)
            except JournalError:
                await self._clock.sleep(SECOND)
            else:
                return

    async def _outcome(self, command: Execute, action: Action, task: "asyncio.Task[Any]") -> Input:
        if task.cancelled():
            why = f"cancelled: it took longer than its timeout of {command.step.timeout / SECOND:g} s"
            return await self._settle(command, action, why)
        error = task.exception()
        if error is None:
            return StepDone(command.id, task.result())
        if isinstance(error, StepError):
            return StepNotApplied(command.id, str(error))
        if isinstance(error, FencedError):
            raise error
        if not isinstance(error, (StepUncertainError, TargetError)):
            log.error("an action raised an error that it does not declare", step=command.id, exc_info=error)
        return await self._settle(command, action, _words(error))

    async def _settle(self, command: Execute | Verify | Cancel, action: Action, why: str) -> Input:
        """The verified outcome of a step that did not say one."""
        found = await self._ask_target(command, action)
        match found.applied:
            case Applied.YES:
                return StepDone(command.id, found.detail)
            case Applied.NO:
                return StepNotApplied(command.id, f"{why}; verified: {found.detail or 'its effect is not there'}")
            case Applied.CANNOT_TELL:
                return StepCannotTell(command.id, f"{why}; {found.detail}")

    async def _verify(self, command: Execute | Verify | Cancel) -> None:
        try:
            action = self._build(command.step)
        except WatchdogError as error:
            await self._report(StepCannotTell(command.id, f"it cannot be verified: {error}"))
            return
        if isinstance(command, Cancel):
            await self._report(await self._settle(command, action, "its timeout passed while nobody worked on it"))
            return
        found = await self._ask_target(command, action)
        match found.applied:
            case Applied.YES:
                await self._report(StepDone(command.id, found.detail or "found done after a restart"))
            case Applied.NO:
                await self._report(StepNotApplied(command.id))
            case Applied.CANNOT_TELL:
                await self._report(StepCannotTell(command.id, found.detail))

    async def _ask_target(self, command: Execute | Verify | Cancel, action: Action) -> Verification:
        """Verifies, again and again while the target does not answer, up to the step's timeout and a grace."""
        deadline = self._clock.now() + command.step.timeout + GRACE
        pause = SECOND // 4
        while True:
            task = await within(self._clock, action.verify(self._context(command, deadline)), deadline)
            error = None if task.cancelled() else task.exception()
            if isinstance(error, FencedError):
                raise error
            if not task.cancelled() and error is None:
                found: Verification = task.result()
                return found
            why = _words(error) if error is not None else "the target did not answer in time"
            retryable = isinstance(error, TargetError) and error.retryable
            if not retryable or self._clock.now() + pause >= deadline:
                return Verification(Applied.CANNOT_TELL, f"it cannot be verified: {why}")
            await self._clock.sleep(pause)
            pause = min(2 * pause, 5 * SECOND)


def _words(error: BaseException) -> str:
    """What an error says; one that nobody declared may quote rows, so only its kind is told."""
    kind = type(error).__name__
    return str(error) or kind if isinstance(error, WatchdogError) else f"{kind}, which it does not declare; see the log"


def facts(guard: Guard) -> Mapping[str, str]:
    """What steps may know of the release."""
    record = guard.release
    known = {"incident": guard.incident.id if guard.incident else ""}
    if record is not None:
        known |= {
            "release": record.release.id,
            "release_state": record.state.value,
            "old_version": record.release.old_version,
            "new_version": record.release.new_version,
            "flags": ",".join(record.release.flags),
            "t0": _iso(record.t0),
        }
        if record.release.certificate is not None:
            known["rehearsed_scripts"] = ",".join(record.release.certificate.scripts)
    return known


def _iso(at: Time) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).isoformat()
