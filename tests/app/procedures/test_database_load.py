from pathlib import Path

import psycopg
import pytest

from tests.app.procedures.conftest import run
from watchdog.app.procedures import database_load as module
from watchdog.app.procedures.database_load import SCHEMA, database_load, read_logs
from watchdog.app.procedures.load import Load
from watchdog.app.procedures.parts import Outcome
from watchdog.model.time import MILLISECOND, SECOND

SHORT = Load(users=2, length=SECOND)


async def test_pgbench_brings_its_own_tables_and_takes_them_away(pg_database: str) -> None:
    part = await database_load(pg_database, (), Load(users=1, length=SECOND))
    assert part.outcome is Outcome.OK, part
    numbers = part.numbers
    assert numbers["tried"] > 10
    assert numbers["error_ratio"] == 0
    assert 0 < numbers["p50_seconds"] <= numbers["p95_seconds"] <= numbers["p99_seconds"]
    async with await psycopg.AsyncConnection.connect(pg_database) as connection:
        left = await (await connection.execute("SELECT to_regnamespace(%s)", (SCHEMA,))).fetchone()
    assert left == (None,)


async def test_a_script_of_ones_own_is_run_by_as_many_clients_as_there_are_users(
    pg_database: str, tmp_path: Path
) -> None:
    await run(pg_database, "CREATE TABLE hits (who int)")
    (tmp_path / "hit.sql").write_text("INSERT INTO hits VALUES (:client_id);\n\\sleep 5 ms\n")
    part = await database_load(pg_database, (tmp_path / "hit.sql",), SHORT)
    assert part.outcome is Outcome.OK, part
    async with await psycopg.AsyncConnection.connect(pg_database) as connection:
        rows = await (await connection.execute("SELECT count(*), count(DISTINCT who) FROM hits")).fetchone()
    assert rows == (part.numbers["tried"], 2)


async def test_a_script_that_fails_is_a_finding_and_quotes_no_row(pg_database: str, tmp_path: Path) -> None:
    await run(pg_database, "CREATE TABLE t (a int)")
    (tmp_path / "bad.sql").write_text("SELECT 'hunter2'::int;\n")
    part = await database_load(pg_database, (tmp_path / "bad.sql",), SHORT)
    assert part.outcome is Outcome.FAILED
    assert part.detail == "2 of 2 clients were ended by an error; run the script by psql to see it"
    assert "hunter2" not in str(part)


async def test_the_password_is_not_on_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[str] = []

    async def look(command: list[str], *, env: dict[str, str], **_more: object) -> tuple[int, bytes]:
        seen.extend(command)
        assert env["PGPASSWORD"] == "hush"
        return 1, b""

    monkeypatch.setattr(module, "run_tool", look)
    await database_load("postgresql://ana:hush@127.0.0.1:9/shop", (tmp_path / "any.sql",), SHORT)
    assert "dbname=shop" in " ".join(seen)
    assert "hush" not in " ".join(seen)


async def test_a_limit_on_the_95th_percentile_is_kept(pg_database: str, tmp_path: Path) -> None:
    (tmp_path / "slow.sql").write_text("SELECT pg_sleep(0.02);\n")
    part = await database_load(pg_database, (tmp_path / "slow.sql",), Load(2, SECOND, max_p95=10 * MILLISECOND))
    assert part.outcome is Outcome.FAILED
    assert "0.010 s allowed" in part.detail


async def test_a_database_that_does_not_answer_is_a_finding() -> None:
    part = await database_load("postgresql://u:hush@127.0.0.1:1/x", (), SHORT)
    assert part.outcome is Outcome.FAILED
    assert "hush" not in part.detail


@pytest.mark.parametrize("clients", [1, 2])
def test_logs_are_added_up_and_failed_transactions_have_no_time(tmp_path: Path, clients: int) -> None:
    lines = [f"0 {number} {number * 1000} 0 1 2" for number in range(1, 100)] + ["0 100 failed 0 1 2"]
    for client in range(clients):
        (tmp_path / f"log.{client}").write_text("\n".join(lines) + "\n")
    measured = read_logs(tmp_path, 10)
    assert (measured.tried, measured.failed) == (100 * clients, clients)
    assert (measured.p50, measured.p95, measured.p99) == (0.05, 0.095, 0.099)
    assert measured.per_second == 10 * clients
