import json
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
from typer.testing import CliRunner, Result

from tests.migrations.tools.plain import WAIT, held, plain, somebody_waits
from tests.support.archives import sql
from watchdog.cli.root import app
from watchdog.servers.postgres import PostgresServer


def watchdog(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["migration", *arguments])


def test_a_tool_runs_and_its_run_is_taken_back(
    pg_database: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    command = plain(tmp_path, ("ALTER TABLE t DROP b", "UPDATE t SET a = 2"))
    options = ("--database", pg_database, "--scratch", postgres_server.url("postgres"), "--json")
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'x')")
        said = watchdog("apply", *options, "--tool", "other", "--env", "DATABASE_URL", "--", *command.words)
        assert said.exit_code == 0, said.output
        applied = json.loads(said.stdout)
        assert applied["archives"] == {"public.t": 1}
        assert applied["reversible"]
        back = watchdog("rollback", str(applied["run"]), "--database", pg_database)
        assert back.exit_code == 0, back.output
        assert connection.execute("TABLE t").fetchall() == [(1, "x")]


async def test_told_to_stop_it_takes_back_what_the_tool_committed(
    pg_database: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    await sql(pg_database, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    command = plain(tmp_path, ("UPDATE t SET a = 2", WAIT))
    options = ("--database", pg_database, "--scratch", postgres_server.url("postgres"), "--tool", "other")
    words = (sys.executable, "-m", "watchdog", "migration", "apply", *options, "--env", "DATABASE_URL", "--")
    async with held(pg_database):
        with subprocess.Popen((*words, *command.words), stderr=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220 - it only starts here
            try:
                await somebody_waits(pg_database)
                process.send_signal(signal.SIGTERM)
                said = process.communicate(timeout=30)[1]
            finally:
                process.kill()
    assert process.returncode == 1
    assert "was taken back: run 1 is rolled back" in said
    assert await sql(pg_database, "TABLE t") == [(1,)]


def test_neither_script_nor_tool_is_wrong_use(tmp_path: Path) -> None:
    assert watchdog("apply", "--database", "postgresql://nobody").exit_code == 2
    assert watchdog("apply", "--database", "postgresql://nobody", "a.sql", "b.sql").exit_code == 2
    unknown = watchdog("apply", "--database", "postgresql://nobody", "--tool", "magic", "--", "x")
    assert unknown.exit_code == 2
    assert "it is one of alembic" in unknown.output
