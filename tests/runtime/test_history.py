"""The days before are asked for when a release starts, and never keep it from starting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from structlog.testing import capture_logs

from tests.support.guard_world import START, Service, World, release, settings
from watchdog.journals.codec import FORMAT, decode, encode
from watchdog.model.events import BaselineFrozen
from watchdog.model.guards import Baseline
from watchdog.model.signals import Cause, Sample, SignalId
from watchdog.model.time import HOUR, SECOND, Span, Time
from watchdog.ports.errors import ProbeError, TargetError
from watchdog.runtime import history
from watchdog.runtime.daemon import Daemon
from watchdog.runtime.history import PATIENCE

DAY = 24 * HOUR


@dataclass
class Remembering(Service):
    """A service of which a server knows the past; `past` is the share that failed, by days back."""

    past: dict[int, float | BaseException] = field(default_factory=dict)
    asked: list[tuple[str, Time, Time, Span]] = field(default_factory=list)
    hangs: bool = False
    under_way: int = 0
    most: int = 0

    async def history(self, signal: str, start: Time, end: Time, step: Span) -> tuple[Sample, ...]:
        self.asked.append((signal, start, end, step))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        self.under_way -= 1
        share = self.past[(START + HOUR - start) // DAY]
        if isinstance(share, BaseException):
            raise share
        each = {"requests": 50.0, "errors": 50 * share, "db_errors": 0.0}[signal]
        times = range(start, end + 1, step)
        return tuple(Sample(SignalId(signal), at, each * number) for number, at in enumerate(times))


@asynccontextmanager
async def watching(days: int, min_baseline: Span = 15 * SECOND) -> AsyncIterator[tuple[World, Remembering, Daemon]]:
    """A guard that has been read for 25 seconds."""
    world = World(replace(settings(), baseline_days=days, min_baseline=min_baseline))
    world.service = service = Remembering(errors=0.01)
    daemon = world.daemon()
    await daemon.start()
    try:
        await world.seconds(25)
        yield world, service, daemon
    finally:
        await daemon.stop()


def frozen(daemon: Daemon) -> Baseline:
    record = daemon.guard("shop").release
    assert record is not None
    assert record.baseline is not None
    return record.baseline


async def test_the_highest_share_of_the_days_before_is_usual() -> None:
    async with watching(days=2) as (world, service, daemon):
        service.past = {1: 0.02, 2: 0.04}
        await daemon.start_release("shop", release())
        found = frozen(daemon)
        assert found.usual["error_rate"].share == pytest.approx(0.04)
        assert [one.shares["error_rate"] for one in found.days] == pytest.approx([0.02, 0.04])
        now = world.clock.now()
        stretch = (now - DAY - 20 * SECOND, now - DAY, SECOND)
        assert {one[1:] for one in service.asked if one[0] == "errors"} == {
            stretch,
            (now - 2 * DAY - 20 * SECOND, now - 2 * DAY, SECOND),
        }
        assert {one[0] for one in service.asked if one[1:] == stretch} == {"requests", "errors", "db_errors"}


async def test_the_journal_keeps_the_days() -> None:
    async with watching(days=2) as (_, service, daemon):
        service.past = {1: 0.02, 2: 0.9}
        await daemon.start_release("shop", release())
        event = BaselineFrozen(frozen(daemon))
        assert event.baseline.days[1].left_out.startswith("error_rate: 90.0% of requests were bad")
        assert decode(encode(event), FORMAT, place="here") == event


async def test_nothing_is_asked_unless_it_is_wanted() -> None:
    async with watching(days=0) as (_, service, daemon):
        await daemon.start_release("shop", release())
        assert service.asked == []
        assert frozen(daemon).days == ()


async def test_a_probe_that_knows_no_past_is_not_asked() -> None:
    world = World(replace(settings(), baseline_days=1))
    daemon = world.daemon()
    await daemon.start()
    await world.seconds(25)
    await daemon.start_release("shop", release())
    assert [one.left_out for one in frozen(daemon).days] == ["no signal has been read yet"]
    await daemon.stop()


@pytest.mark.parametrize("error", [ProbeError(Cause.UNREACHABLE, "prom is away"), TargetError("prom is away")])
async def test_a_day_that_cannot_be_had_is_left_out_with_the_reason(error: BaseException) -> None:
    async with watching(days=2) as (_, service, daemon):
        service.past = {1: error, 2: 0.03}
        await daemon.start_release("shop", release())
        assert [one.left_out for one in frozen(daemon).days] == ["prom is away", ""]
        assert frozen(daemon).usual["error_rate"].share == pytest.approx(0.03)


async def test_an_error_that_is_not_declared_is_logged_and_the_release_starts() -> None:
    async with watching(days=1) as (_, service, daemon):
        service.past = {1: ZeroDivisionError()}
        with capture_logs() as logs:
            await daemon.start_release("shop", release())
        assert [one.left_out for one in frozen(daemon).days] == ["ZeroDivisionError"]
        assert [one["log_level"] for one in logs if "does not declare" in one["event"]] == ["error"]


async def test_a_server_that_hangs_holds_up_a_release_for_so_long_only() -> None:
    async with watching(days=2) as (world, service, daemon):
        service.hangs = True
        starting = asyncio.ensure_future(daemon.start_release("shop", release()))
        await world.seconds(PATIENCE // SECOND - 1)
        assert service.asked
        assert not starting.done()
        await world.seconds(2)
        async with asyncio.timeout(10):
            await starting
        assert [one.left_out for one in frozen(daemon).days] == ["no answer in 20 s"] * 2
        assert frozen(daemon).usual["error_rate"].share == pytest.approx(0.01)


async def test_few_questions_are_under_way_at_a_time() -> None:
    async with watching(days=9) as (_, service, daemon):
        service.past = dict.fromkeys(range(1, 10), 0.01)
        await daemon.start_release("shop", release())
        assert service.most == history.AT_ONCE


async def test_a_long_baseline_is_asked_for_in_larger_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "POINTS", 10)
    async with watching(days=1) as (_, service, daemon):
        service.past = {1: 0.01}
        await daemon.start_release("shop", release())
        assert {step for _, _, _, step in service.asked} == {2 * SECOND}


async def test_without_todays_baseline_there_is_none() -> None:
    async with watching(days=1, min_baseline=HOUR) as (_, service, daemon):
        service.past = {1: 0.01}
        await daemon.start_release("shop", release())
        record = daemon.guard("shop").release
        assert record is not None
        assert record.baseline is None
        assert "are asked for" in record.baseline_refused


async def test_the_days_before_a_release_that_was_only_seen_afterwards_end_at_its_own_time() -> None:
    async with watching(days=1) as (world, service, daemon):
        service.past = {1: 0.02}
        began = world.clock.now() - 3 * SECOND
        await daemon.start_release("shop", release(), began)
        assert {one[1:3] for one in service.asked} == {(began - DAY - 20 * SECOND, began - DAY)}
        assert frozen(daemon).usual["error_rate"].share == pytest.approx(0.02)
