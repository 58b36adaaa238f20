"""How the parts of a daemon end, and what they do when something under them fails."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from structlog.testing import capture_logs

from tests.support.guard_world import Switch, World, release
from watchdog.journals.memory import MemoryJournal
from watchdog.model import inputs
from watchdog.model.events import Event, RungEntered, StepIntended, StepSucceeded
from watchdog.model.guards import Run, RunOutcome
from watchdog.model.playbooks import Step
from watchdog.model.rules import RungKind
from watchdog.model.signals import Cause
from watchdog.model.time import MINUTE, SECOND, Time
from watchdog.ports.actions import Action
from watchdog.ports.errors import FencedError, JournalError, JournalFullError, ProbeError, WatchdogError
from watchdog.runtime.daemon import Daemon
from watchdog.runtime.manual_clock import ManualClock
from watchdog.runtime.supervisor import Supervisor


class FullJournal(MemoryJournal):
    """A journal that has no room when a test says so."""

    full = False
    fills_after: type[Event] | None = None
    attempts = 0

    async def append(self, stream: str, after: int, events: Sequence[Event], *, epoch: int, at: Time) -> int:
        if self.full:
            self.attempts += 1
            raise JournalFullError("the journal has no room")
        self.full = self.fills_after is not None and any(isinstance(one, self.fills_after) for one in events)
        return await super().append(stream, after, events, epoch=epoch, at=at)

    async def try_write(self) -> None:
        if self.full:
            raise JournalFullError("the journal has no room")


@asynccontextmanager
async def running(world: World) -> AsyncIterator[Daemon]:
    daemon = world.daemon()
    await daemon.start()
    try:
        yield daemon
    finally:
        await daemon.stop()


async def triggered(world: World, daemon: Daemon) -> None:
    await world.seconds(25)
    await daemon.start_release("shop", release())
    await daemon.say("shop", inputs.Arm("pipeline"))
    await daemon.say("shop", inputs.Trigger("ann", "customers call", RungKind.FLAG))


def steps(world: World, kind: type[Event]) -> int:
    return sum(isinstance(one.body, kind) for one in world.journal._events["shop"])


async def turns(count: int = 200) -> None:
    """Lets the loop turn while no time passes: whatever goes round in a circle goes round so often."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_journal_without_room_is_tried_once_a_tick_and_not_in_a_circle() -> None:
    world = World()
    journal = world.journal = FullJournal()
    world.effects["flag off"] = lambda _: fill(journal)
    with capture_logs():
        async with running(world) as daemon:
            await triggered(world, daemon)
            await turns()
            assert journal.full
            await world.seconds(3)
            before = journal.attempts
            await turns()
            await world.seconds(3)
            assert journal.attempts - before <= 12
            assert daemon.ready() == (False, "no new run can start: the journal has no room")
            assert world.executed == ["shop-1-run/flag/flag off"]
            journal.full = False
            await world.seconds(3)
            assert steps(world, StepSucceeded) == 1
            assert daemon.ready()[0]


async def test_a_step_that_cannot_be_put_on_record_does_not_begin_and_is_tried_once_a_tick() -> None:
    world = World()
    journal = world.journal = FullJournal()
    journal.fills_after = RungEntered
    with capture_logs():
        async with running(world) as daemon:
            await triggered(world, daemon)
            await turns()
            before = journal.attempts
            await turns()
            assert journal.attempts == before
            assert world.executed == []
            journal.full, journal.fills_after = False, None
            await world.seconds(3)
            assert world.executed == ["shop-1-run/flag/flag off"]


async def fill(journal: FullJournal) -> None:
    journal.full = True


async def test_what_a_person_says_is_refused_while_there_is_no_room_and_readiness_comes_back_by_itself() -> None:
    world = World()
    journal = world.journal = FullJournal()
    with capture_logs() as logs:
        async with running(world) as daemon:
            await world.seconds(2)
            journal.full = True
            with pytest.raises(JournalFullError):
                await daemon.say("shop", inputs.Trigger("ann", "customers call"))
            await world.seconds(2)
            assert not daemon.ready()[0]
            journal.full = False
            await world.seconds(1)
            assert daemon.ready() == (True, "watching")
    said = [one["event"] for one in logs if one["event"].startswith("the journal can")]
    assert said == ["the journal cannot be written: nothing new begins", "the journal can be written again"]


@dataclass
class CountingSwitch(Switch):
    looks: int = 0

    def frozen(self, guard: str) -> tuple[str, str] | None:
        self.looks += 1
        return super().frozen(guard)


async def test_a_step_that_the_brake_holds_back_does_not_go_round_in_a_circle_until_the_next_tick() -> None:
    world = World()
    switch = world.switch = CountingSwitch()
    async with running(world) as daemon:
        await world.seconds(25)
        await daemon.start_release("shop", release())
        switch.by = ("ann", "drill")
        await daemon.say("shop", inputs.Trigger("ann", "customers call", RungKind.FLAG))
        before = switch.looks
        await turns()
        assert switch.looks - before <= 2
        assert daemon.guard("shop").frozen is not None
        assert world.executed == []
        switch.by = None
        await world.seconds(2)
        assert world.executed == ["shop-1-run/flag/flag off"]


async def test_a_step_that_cannot_be_built_fails_and_says_why() -> None:
    world = World()

    def gone(step: Step) -> Action:
        raise WatchdogError("no target 'api' is configured any more")

    world.build = gone  # type: ignore[method-assign]  # the configuration has changed
    async with running(world) as daemon:
        await triggered(world, daemon)
        await world.seconds(2)
        run = incident_run(daemon)
        assert run.steps["shop-1-run/flag/flag off"].detail == "no target 'api' is configured any more"
        assert steps(world, StepIntended) <= 5


async def test_a_step_from_before_that_cannot_be_built_any_more_is_unknown() -> None:
    world = World()
    world.effects["flag off"] = lambda context: context.clock.sleep(1000 * SECOND)
    daemon = world.daemon()
    await daemon.start()
    await triggered(world, daemon)
    await turns()
    # The process dies: nothing of it runs on.
    runtime = daemon._guards["shop"]
    await runtime.executor.stop()
    await runtime.sender.stop()
    await daemon._supervisor.stop()

    def gone(step: Step) -> Action:
        raise WatchdogError("no target 'api' is configured any more")

    world.build = gone  # type: ignore[method-assign]  # the configuration has changed
    async with running(world) as second:
        await world.seconds(2)
        run = incident_run(second)
        assert run.outcome is RunOutcome.UNKNOWN
        assert "no target 'api' is configured any more" in run.steps["shop-1-run/flag/flag off"].detail


def incident_run(daemon: Daemon) -> Run:
    incident = daemon.guard("shop").incident
    assert incident is not None
    assert incident.run is not None
    return incident.run


async def test_everything_is_let_go_of_when_one_part_cannot_be_closed() -> None:
    world = World()
    closed: list[str] = []

    @dataclass
    class Part:
        name: str

        async def close(self) -> None:
            closed.append(self.name)
            if self.name == "db":
                raise JournalError("its disk is gone")

        async def acquire(self) -> None: ...

        async def release(self) -> None:
            closed.append("lease")

    daemon = world.daemon()
    daemon._parts = replace(daemon._parts, targets=(Part("db"), Part("api")), lease=Part("lease"))
    await daemon.start()
    with pytest.raises(JournalError, match="disk is gone"):
        await daemon.stop()
    assert closed == ["api", "db", "lease"]
    assert world.notifier.closed


async def test_who_waits_for_an_answer_when_the_guard_is_fenced_out_gets_one() -> None:
    world = World()
    with capture_logs():
        async with running(world) as daemon:
            await world.seconds(2)
            await world.journal.claim("shop")
            said = await asyncio.gather(
                *(daemon.say("shop", inputs.Trigger("ann", "customers call")) for _ in range(3)),
                return_exceptions=True,
            )
            assert [type(one) for one in said] == [FencedError] * 3
            assert daemon.ready() == (False, "guard shop is held by another process")


async def test_a_guard_that_is_not_judged_any_more_is_not_ready() -> None:
    world = World()
    async with running(world) as daemon:
        assert daemon.ready() == (False, "guard shop has not been judged yet")
        await world.seconds(2)
        assert daemon.ready() == (True, "watching")
        await world.clock.advance(MINUTE)
        ready, reason = daemon.ready()
        assert not ready
        assert "was last judged 61 s ago" in reason


async def test_a_target_without_an_answer_is_said_once_and_shown_until_it_answers() -> None:
    world = World()
    with capture_logs() as logs:
        async with running(world) as daemon:
            world.service.down = ProbeError(Cause.UNREACHABLE, "api does not answer")
            await world.seconds(3)
            assert daemon.ready() == (True, "watching; shop: api does not answer")
            world.service.down = None
            await world.seconds(2)
            assert daemon.ready() == (True, "watching")
    assert [one["event"] for one in logs if "a probe" in one["event"]] == [
        "a probe has no answer",
        "a probe has answers again",
    ]


async def test_a_task_that_is_cancelled_from_inside_is_started_again() -> None:
    clock = ManualClock()
    supervisor = Supervisor(clock)
    began: list[int] = []

    async def job() -> None:
        began.append(len(began))
        if len(began) == 1:
            raise asyncio.CancelledError

    with capture_logs() as logs:
        supervisor.keep("job", job)
        await turns(5)
        await clock.advance(SECOND)
    await supervisor.stop()
    assert began == [0, 1]
    assert logs[0]["event"] == "task failed, it is started again"
