"""Scripts that mean harm: taken back exactly, or never applied."""

import asyncio

import psycopg
import pytest

from benchmarks.rollback.pair import first_difference, schema
from benchmarks.rollback.rows import snapshot
from tests.migrations.worlds import HOSTILE, REFUSED, SHOP
from watchdog.migrations.apply import apply
from watchdog.migrations.rollback import rollback
from watchdog.ports.errors import WatchdogError
from watchdog.servers.postgres import PostgresServer


async def shop(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(SHOP.encode())


async def state(url: str) -> tuple[str, dict[tuple[str, str], object]]:
    return await schema(url), {table.name: table.rows for table in (await snapshot(url)).values()}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_script_is_taken_back_exactly(
    name: str, pg_database: str, postgres_server: PostgresServer
) -> None:
    await shop(pg_database)
    before, rows = await state(pg_database)
    applied = await apply(pg_database, HOSTILE[name], scratch_url=postgres_server.url("postgres"))
    await rollback(pg_database, applied.run)
    after, now = await state(pg_database)
    assert first_difference(before, after) == ""
    assert now == rows


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_taken_back_is_refused_and_nothing_changes(
    name: str, pg_database: str, postgres_server: PostgresServer
) -> None:
    await shop(pg_database)
    before = await state(pg_database)
    with pytest.raises(WatchdogError):
        await apply(pg_database, REFUSED[name], scratch_url=postgres_server.url("postgres"))
    assert await state(pg_database) == before


async def test_a_run_is_taken_back_once(pg_database: str, postgres_server: PostgresServer) -> None:
    await shop(pg_database)
    applied = await apply(pg_database, "DROP TABLE log", scratch_url=postgres_server.url("postgres"))
    results = await asyncio.gather(
        rollback(pg_database, applied.run), rollback(pg_database, applied.run), return_exceptions=True
    )
    assert [isinstance(result, WatchdogError) for result in results].count(True) == 1
