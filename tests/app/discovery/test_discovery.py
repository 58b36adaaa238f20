"""What the job makes of what it sees."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from tests.app.discovery.conftest import Place, Shown, configured, record
from tests.support.guard_world import World, release, settings
from watchdog.app.compose import targets
from watchdog.app.discovery import LONGEST, Bounded, Discovery, discoveries
from watchdog.app.registries import registries
from watchdog.discovery.changes import Reading, State
from watchdog.discovery.lookout import Lookout
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.releases import Protection, Release, ReleaseState
from watchdog.model.time import SECOND, Time
from watchdog.ports.errors import JournalError, TargetError
from watchdog.runtime.daemon import Daemon


async def started(daemon: Daemon) -> list[Release]:
    """Every release that was ever started."""
    return [one.body.release for one in await daemon.events("shop") if isinstance(one.body, ev.ReleaseStarted)]


def logged(lines: Sequence[Mapping[str, object]], event: str) -> list[Mapping[str, object]]:
    return [line for line in lines if line["event"] == event and line["log_level"] != "debug"]


async def test_a_release_begins_between_two_looks_is_watched_and_is_armed_when_it_is_over(place: Place) -> None:
    async with place.watched() as daemon:
        await place.world.seconds(30)
        assert daemon.guard("shop").release is None
        before = place.world.clock.now() - SECOND
        place.shown.versions["1"] = State.BEGUN
        await place.world.seconds(1)
        found = record(daemon)
        assert found.release.migrations == ("dbmate: 1",)
        assert found.release.protection is Protection.CODE_ONLY
        assert found.release.id.startswith("found-2023")
        assert found.t0 == before, "the earlier of the two looks"
        assert found.baseline is not None
        assert found.baseline.until == before
        assert found.state is ReleaseState.APPLYING
        await place.world.seconds(3)
        assert record(daemon).state is ReleaseState.APPLYING
        place.shown.applied("1")
        await place.world.seconds(2)
        assert record(daemon).state is ReleaseState.BAKING
        await place.world.seconds(5)
        assert len(await started(daemon)) == 1


async def test_a_statement_under_way_keeps_it_from_being_armed_and_so_does_a_target_that_is_away(place: Place) -> None:
    async with place.watched() as daemon:
        await place.world.seconds(30)
        place.shown.running.add("ALTER TABLE a")
        await place.world.seconds(2)
        assert record(daemon).release.migrations == ("ALTER TABLE a",)
        assert record(daemon).state is ReleaseState.APPLYING
        place.shown.running.clear()
        place.shown.away = True
        await place.world.seconds(2)
        assert record(daemon).state is ReleaseState.APPLYING
        place.shown.away = False
        await place.world.seconds(2)
        assert record(daemon).state is ReleaseState.BAKING


async def test_what_is_seen_while_a_release_is_watched_belongs_to_it_and_that_is_said_once(place: Place) -> None:
    async with place.watched() as daemon:
        await place.world.seconds(30)
        await daemon.start_release("shop", release())
        with capture_logs() as lines:
            for name in ("1", "2"):
                place.shown.applied(name)
                await place.world.seconds(1)
        assert [line["release"] for line in logged(lines, "it belongs to the release that is watched")] == ["r1"]
        assert record(daemon).state is ReleaseState.APPLYING, "who announced it says when it is out"
        assert [one.id for one in await started(daemon)] == ["r1"]


async def test_what_is_seen_only_after_the_release_was_over_belongs_to_it_as_well(place: Place) -> None:
    async with place.watched() as daemon:
        await place.world.seconds(30)
        place.shown.away = True
        await daemon.start_release("shop", release())
        place.shown.applied("1")
        await daemon.say("shop", inputs.Arm("pipeline"))
        await place.world.seconds(125)
        assert record(daemon).state is ReleaseState.REVERSIBLE
        place.shown.away = False
        await place.world.seconds(2)
        place.shown.applied("2")
        await place.world.seconds(2)
        assert [one.migrations for one in await started(daemon)] == [("add_score",), ("dbmate: 2",)]


async def test_what_was_announced_and_disarmed_while_the_target_was_away_is_not_started_again(place: Place) -> None:
    async with place.watched() as daemon:
        await place.world.seconds(30)
        place.shown.away = True
        await place.world.seconds(2)
        await daemon.start_release("shop", release())
        place.shown.applied("1")
        await daemon.say("shop", inputs.Disarm("ann", "a drill"))
        await place.world.seconds(3)
        place.shown.away = False
        await place.world.seconds(2)
        assert [one.id for one in await started(daemon)] == ["r1"]


async def test_what_began_in_a_bake_that_has_ended_or_before_a_word_belongs_to_that_release(place: Place) -> None:
    async with place.watched() as daemon:
        await place.world.seconds(30)
        await daemon.start_release("shop", release())
        await daemon.say("shop", inputs.Arm("pipeline"))
        await place.world.seconds(110)
        place.shown.away = True
        await place.world.seconds(5)
        place.shown.applied("1")
        await place.world.seconds(30)
        assert record(daemon).state is ReleaseState.REVERSIBLE
        place.shown.away = False
        await place.world.seconds(1)
        await daemon.start_release("shop", release(id="r2"))
        await place.world.seconds(2)
        await daemon.say("shop", inputs.Disarm("ann", "not today"))
        place.shown.applied("2")
        await place.world.seconds(1)
        assert [one.id for one in await started(daemon)] == ["r1", "r2"]
        place.shown.applied("3")
        await place.world.seconds(1)
        assert record(daemon).release.migrations == ("dbmate: 3",)


async def test_while_an_incident_is_open_nothing_is_started(place: Place) -> None:
    async with place.watched() as daemon:
        await place.world.seconds(30)
        await daemon.say("shop", inputs.Trigger("ann", "customers cannot save"))
        with capture_logs() as lines:
            place.shown.applied("1")
            await place.world.seconds(2)
        [line] = logged(lines, "no release is started for it while an incident is open")
        assert line["seen"] == ["db: dbmate in public.t: 1 applied"]
        await daemon.say("shop", inputs.Resolve("ann"))
        await place.world.seconds(2)
        assert daemon.guard("shop").release is None
        place.shown.applied("2")
        await place.world.seconds(1)
        assert record(daemon).release.migrations == ("dbmate: 2",)


async def test_what_was_taken_back_makes_no_release(place: Place) -> None:
    place.shown.applied("1", "2")
    async with place.watched() as daemon:
        await place.world.seconds(30)
        del place.shown.versions["2"]
        with capture_logs() as lines:
            await place.world.seconds(2)
        assert len(logged(lines, "changes were taken back; that is no release")) == 1
        assert daemon.guard("shop").release is None


async def test_what_went_out_while_the_daemon_was_down_is_found_at_its_start_and_once(place: Place) -> None:
    async with place.watched():
        await place.world.seconds(30)
    last = place.world.clock.now() - SECOND
    place.shown.applied("1")
    await place.world.clock.advance(5 * SECOND)
    async with place.watched() as daemon:
        await place.world.seconds(1)
        assert record(daemon).release.migrations == ("dbmate: 1",)
        assert record(daemon).t0 == last, "when it was last known not to be there"
        assert record(daemon).baseline is not None
    async with place.watched() as again:
        await place.world.seconds(3)
        assert len(await started(again)) == 1


async def test_a_daemon_that_dies_before_it_has_kept_what_it_told_tells_it_once(place: Place) -> None:
    async with place.watched():
        await place.world.seconds(30)
    kept = place.memory.load()
    assert kept is not None
    place.shown.applied("1")
    async with place.watched():
        await place.world.seconds(1)
    place.memory.keep(kept)
    async with place.watched() as daemon:
        await place.world.seconds(200)
        assert len(await started(daemon)) == 1
    place.memory.keep(kept)
    async with place.watched() as late:
        await place.world.seconds(2)
        assert record(late).state is ReleaseState.REVERSIBLE
        assert len(await started(late)) == 1


class Deaf:
    """A daemon whose journal is full for a while."""

    def __init__(self, daemon: Daemon, times: int) -> None:
        self.guard: Callable[..., object] = daemon.guard
        self.say: Callable[..., object] = daemon.say
        self._daemon = daemon
        self._times = times

    async def start_release(self, name: str, given: Release, began_at: Time | None = None) -> tuple[ev.Event, ...]:
        if self._times:
            self._times -= 1
            raise JournalError("the disk is full")
        return await self._daemon.start_release(name, given, began_at)


async def test_what_could_not_be_told_is_told_with_what_was_seen_since(place: Place) -> None:
    async with place.watched() as daemon:
        place.world.ticker.jobs.pop()
        lookout = Lookout({"db": place.shown}, {"db": place.memory})
        job = Discovery("shop", SECOND, lookout, Deaf(daemon, 2))  # type: ignore[arg-type]
        place.world.ticker.every(job.name, job.every, job.look)
        await place.world.seconds(30)
        before = place.world.clock.now() - SECOND
        place.shown.applied("1")
        await place.world.seconds(1)
        kept = place.memory.load()
        assert kept is not None
        assert kept.versions == frozenset(), "a process that dies now finds it again"
        place.shown.applied("2")
        await place.world.seconds(2)
        assert record(daemon).release.migrations == ("dbmate: 1", "dbmate: 2")
        assert record(daemon).t0 == before
        assert len(await started(daemon)) == 1


async def test_before_its_journal_is_read_nothing_is_looked_at(place: Place) -> None:
    daemon = place.world.daemon()
    job = place.discovery(daemon)
    await job.look()
    assert (place.shown.looks, place.memory.load()) == (0, None)
    await daemon.start()
    await job.look()
    assert place.memory.load() is not None
    await daemon.stop()


async def test_a_guard_that_wants_a_certificate_watches_what_it_cannot_arm_and_says_so_once(place: Place) -> None:
    place.world.settings = replace(settings(), needs_certificate=True)
    async with place.watched() as daemon:
        await place.world.seconds(30)
        place.shown.applied("1")
        with capture_logs() as lines:
            await place.world.seconds(3)
        [line] = logged(lines, "it is watched, unarmed")
        assert "needs a certificate" in str(line["error"])
        assert record(daemon).state is ReleaseState.APPLYING


async def test_a_release_that_is_announced_in_this_very_moment_goes_first(place: Place) -> None:
    async with place.watched() as daemon:
        await place.world.seconds(30)
        job = place.discovery(daemon)
        seen = Lookout({"db": place.shown}, {"db": place.memory})
        place.shown.applied("1")
        sighting = await seen.look()
        assert sighting is not None
        await daemon.start_release("shop", release())
        with capture_logs() as lines:
            await job._start(structlog.get_logger(), sighting, sighting.release or release())
        assert len(logged(lines, "no release is started for it")) == 1
        assert [one.id for one in await started(daemon)] == ["r1"]


async def test_a_target_that_never_answers_is_given_up() -> None:
    world = World()

    class Silent:
        async def read(self) -> Reading:
            await asyncio.Event().wait()
            raise AssertionError

    looking = asyncio.ensure_future(Bounded("db", Silent(), world.clock).read())
    await world.clock.advance(0)
    await world.clock.advance(LONGEST)
    with pytest.raises(TargetError, match="db has not answered in 20 s"):
        await looking
    shown = Shown(world)
    shown.applied("1")
    assert (await Bounded("db", shown, world.clock).read()).versions


def jobs(folder: Path, discover: str, more: str = "") -> list[Discovery]:
    configuration = configured(folder, "postgresql://a@127.0.0.1:1/x", discover, more)
    daemon = World().daemon()
    parts = replace(daemon._parts, targets=tuple(targets(configuration, registries()).values()))
    return list(discoveries(configuration, parts, daemon))


def memories(job: Discovery) -> list[str]:
    return sorted(memory._path.name for memory in job._lookout._memories.values())


def test_each_guard_that_says_so_has_a_job_and_each_target_a_memory_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "t")
    more = (
        '  graph: {kind: neo4j, url: "bolt://127.0.0.1:1", user: a, password: "${env:TOKEN}"}\n'
        '  cluster: {kind: kubernetes, url: "https://127.0.0.1:1", token: "${env:TOKEN}"}\n'
    )
    [job] = jobs(tmp_path, "{targets: [db, graph, cluster], every: 7s, deployments: [b, a]}", more)
    assert (job.name, job.every) == ("shop/discover", 7 * SECOND)
    plain = memories(job)
    assert plain[1:] == ["shop.db.json", "shop.graph.json"]
    assert plain[0].startswith("shop.cluster-")
    [sorted_] = jobs(tmp_path, "{targets: [cluster], deployments: [a, b]}", more)
    [other] = jobs(tmp_path, "{targets: [cluster], deployments: [a, c]}", more)
    assert memories(sorted_) == plain[:1], "their order says nothing"
    assert memories(other) != plain[:1], "what stood there for years is no news"
    [renamed] = jobs(tmp_path, "{targets: [db, graph], tables: {v: flyway}}", more)
    assert memories(renamed)[1] == "shop.graph.json"
    assert memories(renamed)[0] != "shop.db.json"
    assert (tmp_path / "state" / "discovered").stat().st_mode & 0o777 == 0o700


def test_a_state_directory_that_cannot_be_written_does_not_stop_looking(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "discovered").write_text("")
    with capture_logs() as lines:
        assert len(jobs(tmp_path, "{targets: [db]}")) == 1
    assert len(logged(lines, "what was seen cannot be kept")) == 1
