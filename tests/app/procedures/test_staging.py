from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from tests.app.procedures.conftest import ORDERS, run
from watchdog.app.procedures.parts import Outcome, Part
from watchdog.app.procedures.place import Place
from watchdog.app.procedures.staging import Script, StagingError, dry_run, refuse_guarded
from watchdog.runtime.clock import SystemClock
from watchdog.servers.postgres import PostgresServer

ADD = Script("1.sql", "ALTER TABLE orders ADD score int; UPDATE orders SET score = amount")
DROP = Script("2.sql", "ALTER TABLE orders DROP amount")
WRONG = Script("3.sql", "ALTER TABLE orders DROP nonsense")


@pytest_asyncio.fixture
async def staging(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """A copy of the shop's database on the same server."""
    admin = await psycopg.AsyncConnection.connect(postgres_server.url("postgres"), autocommit=True)
    name = sql.Identifier("staging_of_shop")
    async with admin:
        await admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        try:
            await run(postgres_server.url("staging_of_shop"), ORDERS)
            yield postgres_server.url("staging_of_shop")
        finally:
            await admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


async def tried(url: str, server: PostgresServer, *scripts: Script) -> Part:
    return await dry_run(url, scripts, SystemClock(), server.url("postgres"))


async def rows(url: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await (await connection.execute("SELECT * FROM orders ORDER BY id")).fetchall()


async def test_scripts_are_applied_in_order_and_taken_back_in_reverse(
    staging: str, postgres_server: PostgresServer
) -> None:
    before = await rows(staging)
    part = await tried(staging, postgres_server, ADD, DROP)
    assert part.outcome is Outcome.OK, part
    assert [line.split(",")[0] for line in part.lines] == [
        "1.sql: applied",
        "2.sql: applied",
        "2.sql: taken back",
        "1.sql: taken back",
    ]
    assert part.numbers["scripts"] == 2
    assert await rows(staging) == before


async def test_a_script_that_fails_is_named_and_those_before_it_are_taken_back(
    staging: str, postgres_server: PostgresServer
) -> None:
    before = await rows(staging)
    part = await tried(staging, postgres_server, ADD, WRONG)
    assert part.outcome is Outcome.FAILED
    assert part.detail.startswith("3.sql was not applied: ")
    assert part.lines[-1].startswith("1.sql: taken back")
    assert await rows(staging) == before


async def test_a_staging_that_does_not_answer_is_a_finding() -> None:
    part = await dry_run("postgresql://u:hush@127.0.0.1:1/x", [ADD], SystemClock())
    assert part.outcome is Outcome.FAILED
    assert "cannot be reached" in part.detail
    assert "hush" not in part.detail


async def test_the_guarded_database_is_no_staging_under_any_name(shop: Place, pg_database: str, staging: str) -> None:
    await refuse_guarded(staging, shop)
    with pytest.raises(StagingError, match="which the guard watches: name a copy"):
        await refuse_guarded(pg_database.replace("127.0.0.1", "localhost") + "?application_name=x", shop)
    with pytest.raises(StagingError, match="no PostgreSQL address") as caught:
        await refuse_guarded("postgres//u:hush@h:x", shop)
    assert "hush" not in str(caught.value)
