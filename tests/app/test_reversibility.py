import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest
import pytest_asyncio

from tests.web.conftest import settings
from watchdog.app.reversibility import EVERY, Keeper
from watchdog.app.way_back import way_back
from watchdog.config import GuardConfiguration
from watchdog.migrations.apply import apply
from watchdog.migrations.options import Options
from watchdog.migrations.rollback import rollback
from watchdog.migrations.shape import load_query
from watchdog.model.guards import Guard, ReleaseRecord
from watchdog.model.playbooks import Playbook, Rung, Step
from watchdog.model.releases import Release, ReleaseState
from watchdog.model.rules import RungKind
from watchdog.model.time import HOUR, SECOND
from watchdog.ports.errors import JournalError
from watchdog.runtime.clock import SystemClock
from watchdog.runtime.manual_clock import ManualClock
from watchdog.servers.postgres import PostgresServer
from watchdog.targets.postgres import PostgresOptions, PostgresTarget
from watchdog.web.reversibility import NOTHING_KEPT


class Plain:
    """A secret without references."""

    def __init__(self, text: str) -> None:
        self.text = text

    def reveal(self) -> str:
        return self.text


@pytest_asyncio.fixture
async def database(pg_database: str) -> AsyncIterator[PostgresTarget]:
    made = PostgresTarget("shop-db", PostgresOptions(url=Plain(pg_database)))
    yield made
    await made.close()


PLAYBOOK = Playbook("emergency", "hash", (Rung(RungKind.DATA, (Step("undo", "sql", "db"),)),))
SETTINGS = replace(settings(), playbook=PLAYBOOK)


def guard(state: ReleaseState = ReleaseState.BAKING, *, ago: int = HOUR) -> Guard:
    record = ReleaseRecord(Release("r1", ("one", "two")), state, SystemClock().now() - ago)
    return Guard(SETTINGS, release=record)


def keeper(database: PostgresTarget, standing: Guard) -> Keeper:
    configured = GuardConfiguration(settings=SETTINGS, probes=(), roles={"db": "shop-db"})
    return Keeper([configured], [database], lambda _name: standing, ManualClock(0))


async def test_applied_runs_of_the_release_are_counted_until_they_are_taken_back(
    database: PostgresTarget, pg_database: str, postgres_server: PostgresServer
) -> None:
    found = keeper(database, guard())
    assert found.kept("shop") == NOTHING_KEPT
    await found.look()
    assert found.kept("shop").archived == 0
    applied = await apply(pg_database, "CREATE TABLE t (a int)", scratch_url=postgres_server.url("postgres"))
    await found.look()
    assert found.kept("shop").archived == 1
    assert (await way_back(database, "r1", SystemClock().now() / SECOND + 60)).archived == 0
    await rollback(pg_database, applied.run)
    await found.look()
    assert found.kept("shop").archived == 0


async def test_runs_of_another_release_are_not_counted_where_runs_name_theirs(
    database: PostgresTarget, pg_database: str
) -> None:
    async with await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection:
        await connection.execute(load_query("runs.sql"))
        runs = [("r1", True), ("r1", True), ("r1", False), ("r0", True), ("", True)]
        for release, reversible in runs:
            await connection.execute(
                "INSERT INTO watchdog.migration_runs (state, script, script_hash, manifest, release, reversible)"
                " VALUES ('applied', 's', 'h', '{}', %s, %s)",
                (release, reversible),
            )
    assert (await way_back(database, "r1", SystemClock().now() / SECOND + 60)).archived == 2
    assert (await way_back(database, "r1", 0)).archived == 3


async def test_runs_of_the_first_version_count_by_their_time(database: PostgresTarget, pg_database: str) -> None:
    async with await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection:
        await connection.execute("CREATE SCHEMA watchdog")
        await connection.execute(
            "CREATE TABLE watchdog.migration_runs (state text, began_at timestamptz DEFAULT now())"
        )
        await connection.execute("INSERT INTO watchdog.migration_runs VALUES ('applied'), ('rolled back')")
    assert (await way_back(database, "r1", 0)).archived == 1
    assert (await way_back(database, "r1", SystemClock().now() / SECOND + 60)).archived == 0


async def test_what_cannot_be_counted_says_why() -> None:
    gone = PostgresTarget("shop-db", PostgresOptions(url=Plain("postgresql://u:hush@127.0.0.1:1/x")))
    found = keeper(gone, guard())
    await found.look()
    assert found.kept("shop").archived is None
    assert "does not answer" in found.kept("shop").why
    assert "hush" not in found.kept("shop").why


@pytest.mark.parametrize("state", [ReleaseState.SETTLED, ReleaseState.ROLLED_BACK, ReleaseState.DISARMED])
async def test_nobody_looks_for_a_release_that_is_done_with(database: PostgresTarget, state: ReleaseState) -> None:
    found = keeper(database, guard(state))
    await found.look()
    assert found.kept("shop") == NOTHING_KEPT


async def test_it_looks_again_and_a_guard_that_is_still_being_read_is_left_for_then(database: PostgresTarget) -> None:
    clock = ManualClock(0)
    asked: list[str] = []

    def guard_of(name: str) -> Guard:
        asked.append(name)
        if len(asked) == 1:
            raise JournalError("still being read")
        return guard()

    configured = GuardConfiguration(settings=SETTINGS, probes=(), roles={"db": "shop-db"})
    found = Keeper([configured], [database], guard_of, clock)
    async with found.looking(), asyncio.timeout(10):
        while found.kept("shop").archived is None:
            await clock.advance(EVERY)
            await asyncio.sleep(0.01)
    assert found.kept("shop").archived == 0


async def test_what_cannot_be_taken_back_and_until_when_is_known(
    database: PostgresTarget, pg_database: str, postgres_server: PostgresServer
) -> None:
    scratch = postgres_server.url("postgres")
    await apply(
        pg_database, "CREATE TABLE t (a int)", scratch_url=scratch, options=Options(release="r1", expires=7200.0)
    )
    await apply(pg_database, "CREATE TABLE u (a int)", options=Options(release="r1", archive=False, reason="lawful"))
    found = keeper(database, guard())
    await found.look()
    kept = found.kept("shop")
    assert (kept.archived, kept.past, kept.lowered) == (1, 1, ())
    assert kept.until is not None
    assert abs(kept.until - SystemClock().now() - 7200 * SECOND) < 60 * SECOND
    assert kept.predicted is not None


async def test_later_writes_make_the_way_back_longer_and_a_log_past_its_limit_is_ended(
    database: PostgresTarget, pg_database: str, postgres_server: PostgresServer
) -> None:
    async with await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection:
        await connection.execute("CREATE TABLE t (id int PRIMARY KEY, old text)")
        await connection.execute("INSERT INTO t SELECT n, 'x' FROM generate_series(1, 500) n")
        options = Options(release="r1", online_rows=100, log_bytes=400_000)
        await apply(pg_database, "ALTER TABLE t DROP old", scratch_url=postgres_server.url("postgres"), options=options)
        found = keeper(database, guard())
        await found.look()
        before = found.kept("shop")
        await connection.execute("INSERT INTO t SELECT n FROM generate_series(1000, 1500) n")
        await found.look()
        after = found.kept("shop")
        assert after.predicted is not None
        assert before.predicted is not None
        assert after.predicted > before.predicted
        assert (before.lowered, after.lowered) == ((), ())
        await connection.execute("INSERT INTO t SELECT n FROM generate_series(2000, 12000) n")
        await found.look()
        (sentence,) = found.kept("shop").lowered
        assert "logs later writes no longer: the change log took" in sentence
        await connection.execute("INSERT INTO t VALUES (50000)")
