import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from tests.actions.conftest import Contexts, Guarded, Roles, eventually
from watchdog.actions.cancel_migration import KIND, CancelMigrationOptions, without_literals
from watchdog.model.time import MILLISECOND
from watchdog.ports.actions import Action, Applied
from watchdog.ports.errors import FencedError
from watchdog.ports.kinds import Duration

ALTER = "ALTER TABLE users ADD COLUMN note text DEFAULT 'a secret'"
QUEUED = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER%')"


def step(resources: Roles, **options: object) -> Action:
    given = {"application_names": ("alembic",), "grace": Duration(300 * MILLISECOND), **options}
    return KIND.build("database", CancelMigrationOptions(**given), resources)  # type: ignore[arg-type]


@asynccontextmanager
async def session(url: str, name: str) -> AsyncIterator[psycopg.AsyncConnection[tuple[object, ...]]]:
    connection = await psycopg.AsyncConnection.connect(url, application_name=name)
    try:
        yield connection
    finally:
        await connection.close()


async def test_an_alter_queued_behind_a_long_transaction_is_cancelled(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    async with session(guarded.app_url, "app") as reader, session(guarded.agent_url, "alembic") as migrator:
        await reader.execute("SELECT count(*) FROM users")
        alter = asyncio.create_task(migrator.execute(ALTER))
        await eventually(lambda: guarded.value(QUEUED))
        action = step(resources)
        assert (await action.verify(context())).applied is Applied.NO
        assert "ADD COLUMN note text DEFAULT ?" in await action.preview(context())
        said = await action.execute(context())
        assert "secret" not in said
        assert said.startswith("cancelled 1 statements of step_agent: ALTER TABLE users")
        with pytest.raises(psycopg.errors.QueryCanceled):
            await alter
        await reader.execute("SELECT 1")
        assert (await action.verify(context())).applied is Applied.YES


async def test_a_transaction_that_sits_on_its_lock_is_ended(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    async with session(guarded.agent_url, "alembic") as migrator:
        await migrator.execute(ALTER)
        assert "1 of them by ending the session" in await step(resources).execute(context())
        with pytest.raises(psycopg.OperationalError):
            await migrator.execute("SELECT 1")


async def test_others_are_left_alone(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    async with session(guarded.agent_url, "somebody") as other, session(guarded.app_url, "alembic") as reader:
        await other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        await reader.execute("SELECT count(*) FROM users")
        said = await step(resources).execute(context())
        assert said == "no statement of a migration holds or waits for a lock"
        assert said == await step(resources, roles=("nobody",), application_names=()).execute(context())
        assert said == await step(resources, query="alter table", application_names=()).execute(context())
        await other.execute("SELECT 1")
        await reader.execute("SELECT 1")


async def test_a_stale_leader_cancels_nothing(guarded: Guarded, resources: Roles, context: Contexts) -> None:
    await step(resources).execute(context(epoch=2))
    async with session(guarded.agent_url, "alembic") as migrator:
        await migrator.execute(ALTER)
        with pytest.raises(FencedError):
            await step(resources).execute(context(epoch=1))
        await migrator.execute("SELECT 1")


def test_everybody_is_nobody() -> None:
    assert list(KIND.complaints(CancelMigrationOptions()))
    assert list(KIND.complaints(CancelMigrationOptions(query="(")))


def test_literals_are_left_out() -> None:
    assert without_literals("ALTER TABLE x ADD c int DEFAULT 5 -- 'a'") == "ALTER TABLE x ADD c int DEFAULT ?"
    assert without_literals("UPDATE x SET a = 'secret'") == "UPDATE x SET a = ?"
    assert without_literals("UPDATE x SET a = 'cut of") == "UPDATE x …"
