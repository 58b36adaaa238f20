import json
from pathlib import Path

import psycopg
import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from watchdog.cli.migration import app
from watchdog.cli.root import app as root
from watchdog.servers.postgres import PostgresServer


def watchdog(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["migration", *arguments])


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "up.sql"
    path.write_text("ALTER TABLE t DROP b")
    return path


def test_a_migration_goes_out_and_comes_back(pg_database: str, postgres_server: PostgresServer, script: Path) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'x')")
        scratch = postgres_server.url("postgres")
        said = watchdog("apply", str(script), "--database", pg_database, "--scratch", scratch, "--json")
        assert said.exit_code == 0, said.output
        applied = json.loads(said.stdout)
        assert applied["archives"] == {"public.t": 1}
        back = watchdog("rollback", str(applied["run"]), "--database", pg_database)
        assert back.exit_code == 0, back.output
        assert connection.execute("TABLE t").fetchall() == [(1, "x")]
        listed = json.loads(watchdog("status", "--database", pg_database, "--json").stdout)
        assert [one["state"] for one in listed] == ["rolled back"]


def test_what_cannot_be_undone_is_refused_by_name(pg_database: str, tmp_path: Path) -> None:
    path = tmp_path / "up.sql"
    path.write_text("SELECT 1;\nALTER SYSTEM SET work_mem = '1MB'")
    said = watchdog("apply", str(path), "--database", pg_database)
    assert said.exit_code == 1
    assert "line 2: ALTER SYSTEM" in said.output


def test_a_script_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    assert watchdog("apply", str(tmp_path / "none.sql"), "--database", "postgresql://nobody").exit_code == 2


def test_a_database_that_does_not_answer_is_said(script: Path) -> None:
    said = watchdog("apply", str(script), "--database", "postgresql://u@127.0.0.1:1/x")
    assert said.exit_code == 1
    assert "cannot be reached" in said.output


def test_every_verb_is_listed() -> None:
    assert {"apply", "rollback", "status"} <= set(get_command(app).commands)  # type: ignore[attr-defined]
