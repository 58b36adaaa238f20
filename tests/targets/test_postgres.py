import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.actions.conftest import Guarded, Plain
from watchdog.model.time import MILLISECOND
from watchdog.ports.errors import TargetError
from watchdog.ports.kinds import Duration
from watchdog.servers.paths import scratch_dir
from watchdog.servers.postgres import PostgresServer
from watchdog.targets.postgres import PostgresError, PostgresOptions, PostgresTarget


@pytest.fixture
async def target(pg_database: str) -> AsyncIterator[PostgresTarget]:
    made = PostgresTarget("main", PostgresOptions(url=Plain(pg_database)))
    yield made
    await made.close()


async def value(target: PostgresTarget, query: str) -> object:
    async with target.observe() as connection:
        row = await (await connection.execute(query.encode())).fetchone()
        return row[0] if row else None


async def test_an_observer_cannot_write(target: PostgresTarget) -> None:
    with pytest.raises(PostgresError) as caught:
        await value(target, "CREATE TABLE t ()")
    assert caught.value.sqlstate == "25006"


async def test_an_observer_is_kept_for_the_next_use_and_there_are_two_at_most(target: PostgresTarget) -> None:
    async def pid() -> object:
        return await value(target, "SELECT pg_backend_pid() FROM pg_sleep(0.05)")

    pids = await asyncio.gather(*(pid() for _ in range(6)))
    assert len(set(pids)) == 2


async def test_an_observer_that_was_cancelled_is_not_used_again(target: PostgresTarget) -> None:
    first = await value(target, "SELECT pg_backend_pid()")
    task = asyncio.create_task(value(target, "SELECT pg_sleep(30)"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(task, 0.2)
    assert isinstance(first, int)
    assert await value(target, "SELECT 1") == 1


async def test_a_statement_that_only_looks_is_limited(pg_database: str) -> None:
    options = PostgresOptions(url=Plain(pg_database), statement_timeout=Duration(50 * MILLISECOND))
    target = PostgresTarget("main", options)
    with pytest.raises(PostgresError) as caught:
        await value(target, "SELECT pg_sleep(30)")
    assert (caught.value.sqlstate, caught.value.retryable) == ("57014", False)
    await target.close()


async def test_an_acting_session_has_every_timeout(target: PostgresTarget) -> None:
    names = ("client_connection_check_interval", "lock_timeout", "statement_timeout")
    async with target.act(lock_timeout=1500 * MILLISECOND) as connection:
        settings = [await (await connection.execute(f"SHOW {name}".encode())).fetchone() for name in names]
        idle = await (await connection.execute("SHOW idle_in_transaction_session_timeout")).fetchone()
    assert settings == [("1s",), ("1500ms",), ("1min",)]
    assert idle == ("10s",)


async def test_an_acting_session_leaves_no_lock_behind(target: PostgresTarget, pg_database: str) -> None:
    async with await psycopg.AsyncConnection.connect(pg_database) as other:
        await other.execute("CREATE TABLE t ()")
        await other.commit()
        async with target.act() as connection:
            await connection.execute("BEGIN; LOCK TABLE t")
        await other.execute("LOCK TABLE t NOWAIT")


async def test_a_wrong_password_is_named_without_it(postgres_server: PostgresServer, guarded: Guarded) -> None:
    url = postgres_server.url("postgres", "step_app", "hunter2")
    target = PostgresTarget("main", PostgresOptions(url=Plain(url)))
    with pytest.raises(PostgresError, match="password authentication failed") as caught:
        await value(target, "SELECT 1")
    assert "hunter2" not in str(caught.value)
    assert f"127.0.0.1:{postgres_server.port}/postgres" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@[bad/x",
        "http://u:hunter2@h/x",
        "u:hunter2",
        "postgresql://u:p@hunter2@127.0.0.1:1/db",
        "postgresql://u:p/hunter2@127.0.0.1:1/db",
        "postgresql://u:99/hunter2@127.0.0.1:1/db",
        "postgresql://u:hunter2?dbname=x",
        "postgresql://127.0.0.1:1/p/hunter2",
    ],
)
async def test_an_address_that_is_none_is_not_shown(url: str) -> None:
    target = PostgresTarget("main", PostgresOptions(url=Plain(url)))
    with pytest.raises(TargetError, match="target main is no PostgreSQL address") as caught:
        await value(target, "SELECT 1")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_values_of_rows_are_not_quoted(target: PostgresTarget) -> None:
    with pytest.raises(PostgresError) as caught:
        await value(target, "SELECT 'a secret'::int")
    assert "secret" not in str(caught.value)
    assert "22P02" in str(caught.value)


@pytest.mark.parametrize(
    ("state", "statement"),
    [
        ("P0001", "DO $$ BEGIN RAISE EXCEPTION 'bad person %', 'SSN-123'; END $$"),
        ("23505", "DO $$ BEGIN RAISE 'there is SSN-123' USING ERRCODE = '23505'; END $$"),
        ("ZZ999", "DO $$ BEGIN RAISE 'SSN-123' USING ERRCODE = 'ZZ999'; END $$"),
        ("22P02", """SELECT 'a "quoted" SSN-123'::int"""),
        ("22023", "SELECT format_type(NULL, NULL), set_config('work_mem', 'SSN-123', true)"),
    ],
)
async def test_what_a_function_raises_is_told_by_its_code_alone(
    target: PostgresTarget, state: str, statement: str
) -> None:
    with pytest.raises(PostgresError, match=state) as caught:
        await value(target, statement)
    assert "SSN-123" not in str(caught.value)
    assert caught.value.sqlstate == state


async def test_what_the_server_says_about_names_is_told(target: PostgresTarget) -> None:
    with pytest.raises(PostgresError, match='42P01: relation "no_such_table" does not exist'):
        await value(target, "SELECT FROM no_such_table")


async def test_a_socket_directory_is_a_host() -> None:
    target = PostgresTarget("main", PostgresOptions(url=Plain("postgresql:///db?host=/nowhere/at/all")))
    with pytest.raises(PostgresError, match="does not answer"):
        await value(target, "SELECT 1")


async def test_a_server_that_comes_back_is_used_again() -> None:
    with scratch_dir("test-restart") as directory:
        async with await PostgresServer.start(directory / "data") as server:
            target = PostgresTarget("main", PostgresOptions(url=Plain(server.url("postgres"))))
            assert await value(target, "SELECT 1") == 1
            await server.stop(mode="immediate")
            with pytest.raises(PostgresError, match="does not answer") as caught:
                await value(target, "SELECT 1")
            assert caught.value.retryable
            await server.restart()
            assert await value(target, "SELECT 1") == 1
            await target.close()


@pytest.mark.parametrize(
    ("code", "retryable"),
    [("55P03", True), ("40P01", True), ("40001", True), ("57P03", True), ("42P01", False), ("57014", False)],
)
async def test_what_may_succeed_later_is_marked(target: PostgresTarget, code: str, retryable: bool) -> None:  # noqa: FBT001 - a parameter of the test
    with pytest.raises(PostgresError) as caught:
        async with target.act() as connection:
            await connection.execute(f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$".encode())
    assert (caught.value.sqlstate, caught.value.retryable) == (code, retryable)
