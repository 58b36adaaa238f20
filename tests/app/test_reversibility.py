import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest
import pytest_asyncio

from tests.web.conftest import settings
from watchdog.app.reversibility import EVERY, Keeper, archived_runs
from watchdog.config import GuardConfiguration
from watchdog.migrations.apply import apply
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
    assert await archived_runs(database, "r1", SystemClock().now() / SECOND + 60) == 0
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
    assert await archived_runs(database, "r1", SystemClock().now() / SECOND + 60) == 2
    assert await archived_runs(database, "r1", 0) == 3


async def test_runs_of_the_first_version_count_by_their_time(database: PostgresTarget, pg_database: str) -> None:
    async with await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection:
        await connection.execute("CREATE SCHEMA watchdog")
        await connection.execute(
            "CREATE TABLE watchdog.migration_runs (state text, began_at timestamptz DEFAULT now())"
        )
        await connection.execute("INSERT INTO watchdog.migration_runs VALUES ('applied'), ('rolled back')")
    assert await archived_runs(database, "r1", 0) == 1
    assert await archived_runs(database, "r1", SystemClock().now() / SECOND + 60) == 0


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
