import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import psycopg
import pytest
from psycopg import sql

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.ports.errors import ProbeError
from watchdog.ports.probes import Probe
from watchdog.probes.postgres import KIND, Of, PostgresRead
from watchdog.servers.postgres import PostgresServer
from watchdog.targets.postgres import PostgresOptions, PostgresTarget

Build = Callable[..., Probe]
Connection = psycopg.AsyncConnection[Any]

EVERYTHING = {of: PostgresRead(of=of) for of in get_args(Of)}


async def value(probe: Probe, name: str) -> float:
    answer = (await probe.read())[name][()]
    assert isinstance(answer, float)
    return answer


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - the condition is a server's, which sets no event
            await asyncio.sleep(0.02)


async def test_a_quiet_database_has_a_value_for_everything_but_the_lag_of_a_standby_that_is_not_there(
    pg_target: PostgresTarget, build: Build
) -> None:
    readings = await build(KIND, pg_target, EVERYTHING).read()
    lag = readings.pop("replication_lag_seconds")[()] if isinstance(readings, dict) else None
    assert isinstance(lag, Missing)
    assert "is a standby connected?" in lag.detail
    quiet = set(get_args(Of)) - {"replication_lag_seconds", "reachable", "commits", "rollbacks", "started"}
    assert {name: readings[name] for name in quiet} == {name: {(): 0.0} for name in quiet}
    assert readings["reachable"] == {(): 1.0}
    (started,) = readings["started"].values()
    assert isinstance(started, float)
    assert started > 1_600_000_000


async def test_it_is_one_statement(pg_target: PostgresTarget, build: Build, admin: Connection) -> None:
    probe = build(KIND, pg_target, EVERYTHING)
    await probe.read()
    found = await admin.execute(
        "SELECT count(DISTINCT pid), max(query) LIKE '%%pg_stat_database%%pg_has_role%%pg_blocking_pids%%' "
        "FROM pg_stat_activity WHERE application_name = 'watchdog/main-db' AND datname = current_database()"
    )
    assert await found.fetchone() == (1, True)


async def test_commits_and_rollbacks_of_this_database_are_counters(
    pg_target: PostgresTarget, build: Build, pg_database: str
) -> None:
    probe = build(KIND, pg_target, {name: EVERYTHING[name] for name in ("commits", "rollbacks")})
    commits, rollbacks = await value(probe, "commits"), await value(probe, "rollbacks")
    async with await psycopg.AsyncConnection.connect(pg_database) as connection:
        for _ in range(50):
            await connection.execute("SELECT 1")
            await connection.commit()
        for _ in range(7):
            await connection.execute("SELECT 1")
            await connection.rollback()

    async def seen() -> bool:
        return await value(probe, "commits") >= commits + 50 and await value(probe, "rollbacks") == rollbacks + 7

    await until(seen)
    assert KIND.signal_kind(PostgresRead(of="commits")) is SignalKind.COUNTER
    assert KIND.signal_kind(PostgresRead(of="connections")) is SignalKind.GAUGE


async def test_an_alter_behind_a_long_transaction_blocks_everybody_behind_it(
    pg_target: PostgresTarget, build: Build, admin: Connection, pg_database: str
) -> None:
    await admin.execute("CREATE TABLE busy (id int)")
    await admin.execute("INSERT INTO busy VALUES (1)")
    probe = build(KIND, pg_target, EVERYTHING)
    connections = [await psycopg.AsyncConnection.connect(pg_database) for _ in range(5)]
    reader, alter, *behind = connections
    await reader.execute("SELECT * FROM busy")

    async def run(connection: Connection, statement: str) -> None:
        await connection.execute(statement.encode())
        await connection.commit()

    tasks = [asyncio.create_task(run(alter, "ALTER TABLE busy ADD extra int"))]

    async def waiting(count: int) -> bool:
        return await value(probe, "waiting_locks") == count

    try:
        await until(lambda: waiting(1))
        assert await value(probe, "blocked_ddl") == 0
        tasks += [asyncio.create_task(run(connection, "SELECT * FROM busy")) for connection in behind]
        await until(lambda: waiting(4))
        assert await value(probe, "blocked_ddl") == 3
        assert await value(probe, "connections") == 6
        assert 0 < await value(probe, "longest_lock_wait_seconds") < await value(probe, "oldest_transaction_seconds")
        await reader.rollback()
        await asyncio.gather(*tasks)
    finally:
        for connection in connections:
            await connection.close()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_waiting_for_a_row_is_not_waiting_for_ddl(
    pg_target: PostgresTarget, build: Build, admin: Connection, pg_database: str
) -> None:
    await admin.execute("CREATE TABLE busy (id int)")
    await admin.execute("INSERT INTO busy VALUES (1)")
    probe = build(KIND, pg_target, EVERYTHING)
    async with (
        await psycopg.AsyncConnection.connect(pg_database) as holder,
        await psycopg.AsyncConnection.connect(pg_database) as waiter,
    ):
        await holder.execute("UPDATE busy SET id = 2")
        task = asyncio.create_task(waiter.execute("UPDATE busy SET id = 3"))

        async def waits() -> bool:
            return await value(probe, "waiting_locks") == 1

        await until(waits)
        assert await value(probe, "blocked_ddl") == 0
        await holder.rollback()
        await task


async def test_a_user_who_cannot_see_other_sessions_gets_no_value_instead_of_a_wrong_one(
    admin: Connection, build: Build, postgres_server: PostgresServer, secret: Any
) -> None:
    database = admin.info.dbname
    user = f"{database}_plain"
    await admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pw-of-plain'").format(sql.Identifier(user)))
    url = postgres_server.url(database, user, "pw-of-plain")
    target = PostgresTarget("main-db", PostgresOptions(url=secret(url)))
    try:
        readings = await build(KIND, target, EVERYTHING).read()
        waiting = readings["waiting_locks"][()]
        assert isinstance(waiting, Missing)
        assert "GRANT pg_monitor" in waiting.detail
        assert readings["reachable"] == {(): 1.0}
        assert isinstance(readings["commits"][()], float)
    finally:
        await target.close()
        await admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(user)))


async def test_a_server_that_is_not_there_is_a_fact_for_reachable_and_no_value_for_the_rest(
    build: Build, secret: Any, unused_tcp_port: int
) -> None:
    url = f"postgresql://u:hush-hush@127.0.0.1:{unused_tcp_port}/shop"
    target = PostgresTarget("main-db", PostgresOptions(url=secret(url)))
    readings = await build(KIND, target, EVERYTHING).read()
    assert readings["reachable"] == {(): 0.0}
    commits = readings["commits"][()]
    assert isinstance(commits, Missing)
    assert commits.cause is Cause.UNREACHABLE
    assert "main-db (127.0.0.1" in commits.detail
    assert "hush-hush" not in commits.detail
    with pytest.raises(ProbeError) as caught:
        await build(KIND, target, {"commits": EVERYTHING["commits"]}).read()
    assert caught.value.cause is Cause.UNREACHABLE


async def test_a_session_that_hangs_can_be_given_up_and_the_next_reading_takes_another(
    pg_target: PostgresTarget, build: Build, admin: Connection
) -> None:
    probe = build(KIND, pg_target, {"reachable": EVERYTHING["reachable"]})
    await probe.read()
    found = await admin.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'watchdog/main-db' AND datname = current_database()"
    )
    [(pid,)] = await found.fetchall()
    os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(15):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await probe.read()
            assert await probe.read() == {"reachable": {(): 1.0}}
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("statement", "changes"),
    [
        ("ALTER TABLE t ADD COLUMN other int", True),
        ("ALTER TABLE t ALTER v SET NOT NULL", True),
        ("ALTER TABLE t RENAME v TO w", True),
        ("CREATE INDEX ON t (v)", True),
        ("ALTER TABLE t ADD CHECK (v > 0)", True),
        ("DROP TABLE t", True),
        ("INSERT INTO t VALUES (1); VACUUM t; REINDEX TABLE t", False),
        ("CREATE TEMPORARY TABLE own (v int)", False),
        ("CREATE TABLE part PARTITION OF parted FOR VALUES IN (1)", False),
        ("CREATE SCHEMA watchdog; CREATE TABLE watchdog.own (v int)", False),
    ],
)
async def test_the_fingerprint_is_another_one_when_the_schema_is(
    pg_target: PostgresTarget, build: Build, pg_database: str, statement: str, *, changes: bool
) -> None:
    probe = build(KIND, pg_target, {"schema": EVERYTHING["schema_fingerprint"]})
    async with await psycopg.AsyncConnection.connect(pg_database, autocommit=True) as connection:
        await connection.execute("CREATE TABLE t (v int)")
        await connection.execute("CREATE TABLE parted (v int) PARTITION BY LIST (v)")
        before = await value(probe, "schema")
        for one in statement.split("; "):
            await connection.execute(one.encode())
        assert (await value(probe, "schema") != before) is changes
    assert before > 0
