"""PostgreSQL as a process: versions, extensions, crashes, orderly ends."""

import asyncio
import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from watchdog.servers.errors import ServerError
from watchdog.servers.postgres import PostgresServer, Version, _require_access, _require_empty
from watchdog.servers.process import Account, descendants, is_alive

QUICK = {"fsync": "off"}


async def ask(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run the statements in one session, each in its own transaction, and return the last one's rows."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        rows: list[tuple[object, ...]] = []
        for statement in statements:
            cursor = await connection.execute(statement.encode())
            rows = await cursor.fetchall() if cursor.description else []
        return rows


@pytest.mark.parametrize("version", ["15", "17", "18"])
async def test_each_version_starts_and_has_its_contrib_modules(version: Version, server_dir: Path) -> None:
    settings = QUICK | {"shared_preload_libraries": "pg_stat_statements"}
    async with await PostgresServer.start(server_dir / "data", version=version, settings=settings) as server:
        extensions = [f"CREATE EXTENSION {name}" for name in ("citext", "ltree", "pg_stat_statements")]
        rows = await ask(
            server.url("postgres"),
            *extensions,
            "SELECT current_setting('server_version_num')::int / 10000, 'A'::citext = 'a',"
            " 'a.b.c'::ltree <@ 'a.b', (SELECT count(*) > 0 FROM pg_stat_statements),"
            " (SELECT datcollate FROM pg_database WHERE datname = current_database())",
        )
    assert rows == [(int(version), True, True, True, "C.UTF-8")]


async def test_version_18_builds_and_searches_an_hnsw_index(pg_database: str) -> None:
    rows = await ask(
        pg_database,
        "CREATE EXTENSION vector",
        "CREATE TABLE item (id int, place vector(3))",
        "INSERT INTO item SELECT n, ARRAY[n, n % 7, 1]::vector FROM generate_series(1, 500) AS n",
        "CREATE INDEX item_place ON item USING hnsw (place vector_l2_ops)",
        "SET enable_seqscan = off",
        "SELECT id FROM item ORDER BY place <-> '[100, 2, 1]' LIMIT 1",
    )
    plan = await ask(
        pg_database,
        "SET enable_seqscan = off",
        "EXPLAIN SELECT id FROM item ORDER BY place <-> '[100, 2, 1]' LIMIT 1",
    )
    assert rows == [(100,)]
    assert "item_place" in str(plan)


async def test_pgvector_is_absent_where_it_is_not_wanted(server_dir: Path) -> None:
    async with await PostgresServer.start(server_dir / "data", pgvector=False, settings=QUICK) as server:
        found = await ask(server.url("postgres"), "SELECT name FROM pg_available_extensions WHERE name = 'vector'")
    assert found == []


async def test_a_database_of_a_test_is_empty_and_its_own(pg_database: str, postgres_server: PostgresServer) -> None:
    tables = await ask(pg_database, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    assert tables == []
    assert pg_database != postgres_server.url("postgres")


async def test_the_superuser_needs_no_password_through_the_private_socket(postgres_server: PostgresServer) -> None:
    address = f"host={postgres_server.socket_dir} port={postgres_server.port} user=postgres dbname=postgres"
    assert await ask(address, "SELECT 1") == [(1,)]
    assert postgres_server.socket_dir.stat().st_mode & 0o777 == 0o700


async def test_data_with_a_path_too_long_for_a_socket_has_its_socket_elsewhere(server_dir: Path) -> None:
    async with await PostgresServer.start(server_dir / ("x" * 90) / "data", settings=QUICK) as server:
        address = f"host={server.socket_dir} port={server.port} user=postgres dbname=postgres"
        assert await ask(address, "SELECT 1") == [(1,)]
    assert not server.socket_dir.exists()


async def test_over_tcp_everybody_needs_a_password(postgres_server: PostgresServer) -> None:
    await ask(postgres_server.url("postgres"), "CREATE ROLE named LOGIN PASSWORD 'a:b/c@d'")
    for url in (postgres_server.url("postgres", "named"), postgres_server.url("postgres", "postgres", "wrong")):
        with pytest.raises(psycopg.OperationalError, match="password"):
            await ask(url, "SELECT 1")
    named = postgres_server.url("postgres", "named", "a:b/c@d")
    assert await ask(named, "SELECT current_user::text") == [("named",)]


async def test_it_listens_on_the_loopback_address_only(postgres_server: PostgresServer) -> None:
    assert await ask(postgres_server.url("postgres"), "SHOW listen_addresses") == [("127.0.0.1",)]


async def test_settings_reach_the_server_and_leave_alter_system_its_say(server_dir: Path) -> None:
    settings = QUICK | {"work_mem": "7MB", "cluster_name": "it's ours"}
    async with await PostgresServer.start(server_dir / "data", settings=settings) as server:
        assert await ask(server.url("postgres"), "SHOW cluster_name") == [("it's ours",)]
        await ask(server.url("postgres"), "ALTER SYSTEM SET work_mem = '9MB'")
        await server.restart()
        assert await ask(server.url("postgres"), "SHOW work_mem") == [("9MB",)]


async def test_stopping_leaves_no_process_and_keeps_the_data_for_the_next_start(server_dir: Path) -> None:
    server = await PostgresServer.start(server_dir / "data")
    url, family = server.url("postgres"), {server.pid, *descendants(server.pid)}
    await ask(url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
    assert len(family) > 3
    await server.stop()
    await server.stop()
    assert not [pid for pid in family if is_alive(pid)]
    assert not server.socket_dir.exists()

    async with await PostgresServer.start(server_dir / "data", port=server.port) as again:
        assert again.url("postgres") == url
        assert await ask(url, "SELECT n FROM kept") == [(1,)]


async def test_what_was_committed_survives_a_kill_and_what_was_open_does_not(server_dir: Path) -> None:
    async with await PostgresServer.start(server_dir / "data") as server:
        url = server.url("postgres")
        await ask(url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
        open_one = await psycopg.AsyncConnection.connect(url)
        await open_one.execute("INSERT INTO kept VALUES (2)")
        family = {server.pid, *descendants(server.pid)}

        server.kill()
        await server.restart()

        assert await ask(url, "SELECT n FROM kept") == [(1,)]
        assert not [pid for pid in family if is_alive(pid)]
        with pytest.raises(psycopg.OperationalError):
            await open_one.execute("SELECT 1")
        await open_one.close()


async def test_a_port_in_use_is_named_with_the_end_of_the_log(
    postgres_server: PostgresServer, server_dir: Path
) -> None:
    with pytest.raises(ServerError, match=f"(?s)port {postgres_server.port}.*could not bind"):
        await PostgresServer.start(server_dir / "data", port=postgres_server.port)


async def test_a_relative_directory_is_below_the_working_directory(
    server_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(server_dir)
    async with await PostgresServer.start(Path("data"), settings=QUICK) as server:
        assert server.data_dir == server_dir / "data"
        assert await ask(server.url("postgres"), "SHOW data_directory") == [(str(server_dir / "data"),)]


async def test_for_another_user_directories_on_the_way_must_be_open(server_dir: Path) -> None:
    somebody = Account("somebody", os.geteuid() + 1, os.getegid())
    closed = server_dir / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ServerError, match=f"somebody may not enter {closed}, where its binaries are"):
        _require_access(closed / "tree", somebody)
    with pytest.raises(ServerError, match=f"somebody may not enter {closed}; put the data"):
        _require_empty(closed / "data", somebody)


async def test_a_broken_cluster_is_refused_with_the_end_of_the_log(server_dir: Path) -> None:
    data = server_dir / "data"
    server = await PostgresServer.start(data)
    await server.stop()
    (data / "global/pg_control").unlink()
    with pytest.raises(ServerError, match=r"(?s)ended with status.*pg_control"):
        await PostgresServer.start(data)


async def test_a_directory_with_something_else_in_it_is_left_alone(server_dir: Path) -> None:
    precious = server_dir / "data/thesis.txt"
    precious.parent.mkdir()
    precious.write_text("all I have")
    with pytest.raises(ServerError, match="name an empty directory"):
        await PostgresServer.start(precious.parent)
    assert [path.name for path in precious.parent.iterdir()] == ["thesis.txt"]


async def test_a_cluster_of_another_version_is_refused(server_dir: Path) -> None:
    await (await PostgresServer.start(server_dir / "data", version="17")).stop()
    with pytest.raises(ServerError, match="made by PostgreSQL 17, not 18"):
        await PostgresServer.start(server_dir / "data")


async def test_the_client_programs_run(postgres_server: PostgresServer, pg_database: str, tmp_path: Path) -> None:
    await ask(pg_database, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
    for command in (
        ["pg_dump", "-Fc", "-f", str(tmp_path / "dump"), pg_database],
        ["pg_restore", "--clean", "-d", pg_database, str(tmp_path / "dump")],
        ["pgbench", "-i", "-q", pg_database],
    ):
        program = str(postgres_server.tool(command[0]))
        done = await asyncio.to_thread(subprocess.run, [program, *command[1:]], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert await ask(pg_database, "SELECT n, (SELECT count(*) FROM pgbench_accounts) FROM kept") == [(1, 100_000)]


def test_an_unknown_client_program_is_named(postgres_server: PostgresServer) -> None:
    with pytest.raises(ServerError, match="'pg_magic'"):
        postgres_server.tool("pg_magic")


async def test_a_start_given_up_half_way_leaves_no_process(server_dir: Path) -> None:
    before = descendants(os.getpid())
    starting = asyncio.create_task(PostgresServer.start(server_dir / "data"))
    while not (server_dir / "data/postmaster.pid").exists():  # noqa: ASYNC110 - a file announces nothing
        await asyncio.sleep(0.001)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert descendants(os.getpid()) <= before
