"""A release that is told of after it has begun: its T-0 is when it began."""

from dataclasses import replace

import pytest

from tests.runtime.test_daemon import running
from tests.support.guard_world import START, World, release
from watchdog.engine.windows import empty, observe_all
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.signals import Cause, Missing, Sample, SignalId, SignalKind, SignalSpec
from watchdog.model.time import MINUTE, SECOND
from watchdog.model.verdicts import Basis, Breach, Evidence, NoData, Ok
from watchdog.ports.errors import ProbeError
from watchdog.runtime.hindsight import as_of, in_hindsight

OK = Ok(Evidence("r", 1, "fine", Basis.CONFIDENT))
BREACH = Breach(Evidence("r", 1, "broken", Basis.CONFIDENT))
GONE = NoData(Cause.UNREACHABLE, "gone")


async def test_baseline_and_t0_are_of_the_beginning_and_the_damage_since_counts() -> None:
    world = World()
    async with running(world) as daemon:
        await world.seconds(30)
        began_at = world.clock.now()
        await world.seconds(1)
        world.service.errors = 0.4
        await world.seconds(12)
        await daemon.start_release("shop", release(), began_at)
        record = daemon.guard("shop").release
        assert record is not None
        assert record.t0 == began_at
        assert record.baseline is not None
        assert record.baseline.until == began_at
        assert record.baseline.entries[SignalId("errors")].rate == 0.0
        assert record.unarmed == {}
        await world.seconds(2)
        assert daemon.guard("shop").incident is not None
        [started] = [one.body for one in await daemon.events("shop") if isinstance(one.body, ev.ReleaseStarted)]
        assert started.since == began_at
    async with running(world) as again:
        replayed = again.guard("shop").release
        assert replayed is not None
        assert replayed.t0 == began_at, "the journal says the same after a restart"


async def test_what_was_in_breach_before_it_began_is_not_armed() -> None:
    world = World()
    async with running(world) as daemon:
        world.service.errors = 0.4
        await world.seconds(25)
        began_at = world.clock.now()
        world.service.errors = 0.0
        await world.seconds(90)
        assert isinstance(daemon.verdicts("shop")["error_rate"], Ok)
        await daemon.start_release("shop", release(), began_at)
        record = daemon.guard("shop").release
        assert record is not None
        assert list(record.unarmed) == ["error_rate"]


async def test_a_probe_that_fails_since_does_not_hide_what_was_known_when_it_began() -> None:
    world = World()
    async with running(world) as daemon:
        world.service.errors = 0.4
        await world.seconds(25)
        began_at = world.clock.now()
        world.service.down = ProbeError(Cause.UNREACHABLE, "api does not answer")
        await world.seconds(5)
        await daemon.start_release("shop", release(), began_at)
        record = daemon.guard("shop").release
        assert record is not None
        assert list(record.unarmed) == ["error_rate"]


async def test_without_samples_from_before_it_began_there_is_no_baseline_and_it_says_since_when() -> None:
    world = World()
    async with running(world) as daemon:
        await world.seconds(30)
        await daemon.start_release("shop", release(), START - 10 * MINUTE)
        record = daemon.guard("shop").release
        assert record is not None
        assert record.baseline is None
        assert record.baseline_refused.startswith("no signal has been read yet; T-0 was 10 min 30 s ago")
        assert daemon.guard("shop").blind == {}, "what it reads now is no loss of sight"


async def test_nothing_begins_in_the_future() -> None:
    world = World()
    async with running(world) as daemon:
        await world.seconds(25)
        await daemon.start_release("shop", release(), world.clock.now() + MINUTE)
        record = daemon.guard("shop").release
        assert record is not None
        assert record.baseline is not None
        assert record.t0 == record.baseline.until == world.clock.now()


async def test_an_announced_release_begins_now() -> None:
    world = World()
    async with running(world) as daemon:
        await world.seconds(25)
        await daemon.start_release("shop", release())
        record = daemon.guard("shop").release
        assert record is not None
        assert record.t0 == world.clock.now()
        await daemon.say("shop", inputs.Disarm("ann", "done"))
        [started] = [one.body for one in await daemon.events("shop") if isinstance(one.body, ev.ReleaseStarted)]
        assert started.since is None


def test_windows_of_an_earlier_time_know_nothing_later() -> None:
    specs = (SignalSpec("hits", SignalKind.COUNTER, "api", SECOND), SignalSpec("up", SignalKind.GAUGE, "api", SECOND))
    hits, up, late = SignalId("hits"), SignalId("up"), SignalId("hits", (("route", "/new"),))
    windows = observe_all(
        empty(specs, MINUTE),
        [
            *(Sample(hits, at * SECOND, float(at)) for at in (1, 2, 3)),
            Sample(late, 3 * SECOND, 1.0),
            Sample(up, 2 * SECOND, Missing(Cause.UNREACHABLE, "away")),
            Sample(hits, 4 * SECOND, Missing(Cause.UNREACHABLE, "away")),
        ],
    )
    earlier = as_of(windows, 2 * SECOND)
    [series] = earlier.series["hits"].values()
    assert (series.times, series.raws, series.totals) == ((SECOND, 2 * SECOND), ((1.0,), (2.0,)), ((1.0,), (2.0,)))
    assert (series.missing, series.missing_at) == (None, 0)
    assert earlier.series["up"][()].missing == Missing(Cause.UNREACHABLE, "away")
    assert as_of(windows, 5 * SECOND) == windows
    assert replace(as_of(windows, 0), series={}) == empty(specs, MINUTE)


@pytest.mark.parametrize(
    ("then", "now", "counts"),
    [(BREACH, OK, BREACH), (OK, BREACH, OK), (GONE, OK, None), (GONE, BREACH, None), (GONE, GONE, GONE)],
)
def test_a_rule_counts_as_it_was_and_is_blind_only_if_it_still_is(then: object, now: object, counts: object) -> None:
    found = in_hindsight({"r": then}, {"r": now})  # type: ignore[dict-item]
    assert found == ({"r": counts} if counts else {})
