import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from typer.testing import CliRunner, Result

from watchdog.cli.migration_safe import apply_safely, refuse_safe, resume_safely
from watchdog.cli.migration_split import split
from watchdog.migrations.options import Options, OptionsError
from watchdog.ports.errors import WatchdogError
from watchdog.servers.postgres import PostgresServer

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL, old text);
INSERT INTO t SELECT n, 'Name ' || n, 'x' FROM generate_series(1, 100) n;
"""
MIXED = "ALTER TABLE t RENAME COLUMN old TO newer;\nALTER TABLE t DROP COLUMN v;\nCREATE INDEX ON t (id);"


def watchdog(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(split)
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    path = tmp_path / "up.sql"
    path.write_text(MIXED)
    return path


def test_a_run_in_steps_is_told_and_printed(
    pg_database: str, postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(SCHEMA)
        more: dict[str, Any] = {"down": None, "scratch": postgres_server.url("postgres"), "options": Options()}
        apply_safely(pg_database, "UPDATE t SET v = lower(v)", **more, as_json=False)
        said = capsys.readouterr().out
        assert "step 1 of 1, line 1: backfill, in batches: 100 of about 100 rows" in said
        assert "run 1 is applied in 1 step; watchdog migration rollback" in said
        assert "archived public.t: 100 rows" in said
        apply_safely(pg_database, "CREATE INDEX i ON t (v)", **more, as_json=True)
        told = json.loads(capsys.readouterr().out)
        assert told["steps"][0]["kind"] == "index, concurrently"
        assert told["reversible"]
        assert "quarantines" not in told
        with pytest.raises(WatchdogError, match="none that stopped half way"):
            resume_safely(pg_database, told["run"], as_json=False)


@pytest.mark.parametrize(
    "said",
    [
        {"safe": True, "tool": "alembic"},
        {"safe": True, "database": "bolt://x"},
        {"resume": 1, "words": ["up.sql"]},
        {"resume": 1, "safe": True},
    ],
)
def test_what_cannot_be_said_together_is_wrong_use(said: dict[str, Any]) -> None:
    nothing: dict[str, Any] = {"safe": False, "resume": None, "words": None, "tool": None, "database": "postgresql://x"}
    refuse_safe(**nothing)
    refuse_safe(**{**nothing, "safe": True, "words": ["up.sql"]})
    with pytest.raises(OptionsError) as error:
        refuse_safe(**{**nothing, **said})
    assert error.value.exit_status == 2


def test_a_script_is_split_and_what_is_in_use_is_shown(pg_database: str, mixed: Path, tmp_path: Path) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(SCHEMA + "CREATE EXTENSION pg_stat_statements")
        connection.execute("SELECT pg_stat_statements_reset()")
        connection.execute("SELECT v FROM t WHERE id = 42 AND v <> 'planted'")
        connection.execute("UPDATE t SET old = v WHERE false /* watchdog */")
        out = tmp_path / "out"
        said = watchdog(str(mixed), "--database", pg_database, "--out", str(out))
        assert said.exit_code == 1
        assert "still in use: column t.v (line 2)" in said.output
        assert "1 calls: SELECT v FROM t WHERE id = $1 AND v <> $2" in said.output
        assert "planted" not in said.output
        assert "UPDATE" not in said.output
        connection.execute((out / "up.expand.sql").read_bytes())
        assert connection.execute("SELECT id, v, old, newer FROM t WHERE id = 1").fetchone() == (1, "Name 1", "x", "x")
        connection.execute("UPDATE t SET newer = NULL WHERE id = 2")
        connection.execute((out / "up.contract.sql").read_bytes())
        assert connection.execute("SELECT * FROM t WHERE id = 2").fetchone() == (2, "x")
        again = watchdog(str(mixed), "--database", pg_database, "--out", str(out))
        assert again.exit_code == 2 or isinstance(again.exception, WatchdogError)


def test_nothing_in_use_is_said(pg_database: str, mixed: Path) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(SCHEMA + "CREATE EXTENSION pg_stat_statements")
        connection.execute("SELECT pg_stat_statements_reset()")
        said = watchdog(str(mixed), "--database", pg_database, "--json")
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert told["used"] == []
    assert "ADD COLUMN newer text" in told["expand"]
    assert "DROP COLUMN old" in told["contract"]


def test_where_use_cannot_be_seen_the_script_is_split_and_that_is_said(pg_database: str, mixed: Path) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(SCHEMA)
    said = watchdog(str(mixed), "--database", pg_database, "--json")
    assert said.exit_code == 0
    assert "pg_stat_statements is not installed in this database" in said.stderr
    assert json.loads(said.stdout)["looked"] is False


def test_without_a_database_what_needs_one_is_refused_by_line(mixed: Path) -> None:
    said = watchdog(str(mixed))
    assert said.exit_code == 1
    assert "line 1: the type of t.old is not known; name --database" in str(said.exception)


def test_both_scripts_are_printed_when_they_go_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "up.sql"
    path.write_text("CREATE TABLE n (a int); DROP TABLE o")
    said = watchdog(str(path))
    assert said.exit_code == 0
    assert said.output.splitlines() == [
        "-- expand: before the new code",
        "CREATE TABLE n (a int);",
        "-- contract: when nothing uses it any more",
        "DROP TABLE o;",
    ]
