import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from watchdog.demo import stack
from watchdog.demo.data import SMALL, Sizes
from watchdog.demo.stack import Stack, StackError
from watchdog.servers.process import is_alive


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_everything_runs_and_everything_stops_also_after_a_failure(server_dir: Path) -> None:
    ports: list[int] = []
    with pytest.raises(ZeroDivisionError):
        await _run_and_break(server_dir, ports)
    assert [port for port in ports if _listens(port)] == []


async def _run_and_break(run_dir: Path, ports: list[int]) -> None:
    async with stack.running(run_dir, SMALL) as made:
        await made.start_service("v1")
        ports += [made.postgres.port, made.redis.port, made.neo4j.port, made.port, made.rating.port]
        assert all(_listens(port) for port in ports)
        await _has_all_data(made)
        raise ZeroDivisionError


async def test_a_second_run_starts_from_the_loaded_directory(server_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(_sizes: Sizes, store: str) -> Path:
        return server_dir / "kept" / store

    monkeypatch.setattr(stack, "kept", kept)
    for run in ("cold", "warm"):
        said: list[str] = []
        (server_dir / run).mkdir()
        async with AsyncExitStack() as ending:
            server = await stack.start_postgres(server_dir / run, SMALL, said.append, ending)
            async with await psycopg.AsyncConnection.connect(server.url("compliance")) as connection:
                rows = await connection.execute("SELECT count(*) FROM document_embeddings")
                assert await rows.fetchone() == (SMALL.documents,)
        assert any("loading" in text for text in said) == (run == "cold")
        assert not _listens(server.port)


async def _has_all_data(made: Stack) -> None:
    async with await psycopg.AsyncConnection.connect(made.url("watchdog_agent")) as connection:
        rows = await connection.execute("SELECT count(*) FROM assessments")
        assert await rows.fetchone() == (SMALL.assessments,)
    async with made.driver() as graph:
        answer = await graph.execute_query("MATCH (d:Document) RETURN count(d) AS n")
        assert answer.records[0]["n"] == SMALL.documents
    async with made.client() as cache:
        assert len(await cache.keys("compliance:session:*")) == SMALL.sessions


async def test_the_accounts_are_ordinary_users(compliance: Stack) -> None:
    async with await psycopg.AsyncConnection.connect(compliance.url("watchdog_agent")) as agent:
        rights = await agent.execute(
            "SELECT rolsuper, rolcreaterole, pg_has_role('compliance_owner', 'USAGE'), "
            "pg_has_role('pg_monitor', 'USAGE'), pg_has_role('pg_signal_backend', 'USAGE') "
            "FROM pg_roles WHERE rolname = current_user"
        )
        assert await rights.fetchone() == (False, False, True, True, True)
        await agent.execute("SET ROLE compliance_owner")
        await agent.execute("ALTER TABLE assessments ADD COLUMN x int")
    async with await psycopg.AsyncConnection.connect(compliance.url("compliance_app")) as app:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await app.execute("ALTER TABLE assessments ADD COLUMN x int")


async def test_nobody_else_may_connect(compliance: Stack) -> None:
    async with await psycopg.AsyncConnection.connect(compliance.admin_url) as admin:
        rights = await admin.execute(
            "SELECT rolname::text FROM pg_roles WHERE NOT rolsuper AND rolname NOT LIKE 'pg\\_%%' "
            "AND has_database_privilege(rolname, current_database(), 'CONNECT') ORDER BY 1",
            prepare=False,
        )
        assert {name for (name,) in await rights.fetchall()} >= {"compliance_app", "compliance_migrator"}
        public = await admin.execute("SELECT has_database_privilege('public', current_database(), 'CONNECT')")
        assert await public.fetchone() == (False,)


async def test_the_service_is_found_by_its_pid_file_and_stopped_whoever_started_it(
    compliance: Stack,
) -> None:
    await compliance.start_service("v1")
    first = compliance.service_pid()
    assert first is not None
    await compliance.stop_service()
    assert not is_alive(first)
    assert compliance.service_pid() is None
    await compliance.start_service("v2")
    second = compliance.service_pid()
    assert second is not None
    os.kill(second, signal.SIGKILL)
    await compliance.stop_service()
    assert not compliance.pid_file.exists()


async def test_a_number_in_the_pid_file_that_is_somebody_elses_is_left_alone(compliance: Stack) -> None:
    compliance.pid_file.write_text(str(os.getpid()))
    assert compliance.service_pid() is None
    await compliance.stop_service()


async def test_a_service_that_does_not_start_says_where_its_log_is(compliance: Stack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", compliance.port))
        taken.listen()
        with pytest.raises(StackError, match=r"service\.log"):
            await compliance.start_service("v1")
