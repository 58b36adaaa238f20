"""The life of an archive from the command line: shown, settled, erased, its quarantine put back."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from watchdog.cli.root import app
from watchdog.servers.postgres import PostgresServer


class Migration:
    """`watchdog migration` on one database."""

    def __init__(self, database: str, scratch: str, script: Path) -> None:
        self.database = database
        self._scratch = scratch
        self._script = script

    def __call__(self, verb: str, *words: str) -> Result:
        env: dict[str, str | None] = {"WATCHDOG_DATABASE": self.database, "COLUMNS": "160"}
        return CliRunner().invoke(app, ["migration", verb, *words], env=env)

    def said(self, verb: str, *words: str) -> Any:
        done = self(verb, *words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def apply(self, script: str, *words: str) -> Result:
        self._script.write_text(script)
        return self("apply", str(self._script), "--scratch", self._scratch, *words)

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def migration(pg_database: str, postgres_server: PostgresServer, tmp_path: Path) -> Migration:
    made = Migration(pg_database, postgres_server.url("postgres"), tmp_path / "up.sql")
    made.sql(
        "CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL);"
        " INSERT INTO users VALUES (41, 'ann'), (42, 'bob')"
    )
    return made


def expire(migration: Migration) -> None:
    migration.sql("UPDATE watchdog.migration_runs SET expires_at = began_at")


def test_status_shows_every_run_in_a_table_and_what_is_past_its_time(migration: Migration) -> None:
    assert migration.apply("DROP TABLE users").exit_code == 0
    (before,) = migration.said("status")
    assert (before["state"], before["expired"], before["reversible"]) == ("applied", False, True)
    assert before["bytes_kept"] > 0
    expire(migration)
    shown = migration("status").output
    assert "2 rows, " in shown
    assert "applied" in shown
    assert "past their time: 1" in shown


def test_what_was_said_when_it_was_applied_is_shown(migration: Migration) -> None:
    done = migration.apply(
        "DROP TABLE users", "--name", "no users", "--release", "r1", "--expires", "7d", "--budget", "1MB"
    )
    assert done.exit_code == 0, done.output
    (one,) = migration.said("status")
    assert (one["name"], one["release"], one["rows_kept"], one["expired"]) == ("no users", "r1", 2, False)
    assert one["expires_at"] > one["began_at"]
    assert one["predicted_rollback_seconds"] > 0
    shown = migration("status").output
    assert "no users" in shown
    assert "about" in shown


def test_archives_beyond_the_budget_are_refused_before_anything_changes(migration: Migration) -> None:
    done = migration.apply("DROP TABLE users", "--budget", "1kB")
    assert done.exit_code == 1
    assert "allow more with --budget" in done.output
    assert migration.sql("SELECT count(*) FROM users") == [(2,)]
    assert migration.said("status") == []


def test_deferred_drops_wait_until_the_run_is_settled(migration: Migration) -> None:
    done = migration.apply("DROP TABLE users", "--defer")
    assert done.exit_code == 0, done.output
    assert "moved aside until settled" in done.output
    aside = "SELECT count(*) FROM pg_tables WHERE schemaname = 'watchdog_aside'"
    assert migration.sql(f"SELECT to_regclass('public.users'), ({aside})") == [(None, 1)]
    assert migration("settle", "1").exit_code == 0
    assert migration.sql(aside) == [(0,)]


def test_lawful_deletion_keeps_nothing_and_says_that_there_is_no_way_back(migration: Migration) -> None:
    done = migration.apply("DELETE FROM users WHERE id = 42", "--no-archive", "--reason", "request 7")
    assert done.exit_code == 0, done.output
    assert "cannot be taken back" in done.output
    (one,) = migration.said("status")
    assert (one["reversible"], one["reason"], one["rows_kept"], one["bytes_kept"]) == (False, "request 7", 0, 0)
    assert "none: request 7" in migration("status").output
    back = migration("rollback", "1")
    assert back.exit_code == 1
    assert "without archives" in back.output
    assert migration.sql("SELECT id FROM users") == [(41,)]


def test_status_of_a_database_without_runs_says_so(migration: Migration) -> None:
    assert "no runs" in migration("status").output
    assert migration.said("status") == []


def test_a_run_is_settled_and_says_what_is_free_again(migration: Migration) -> None:
    migration.apply("DROP TABLE users")
    done = migration("settle", "1")
    assert done.exit_code == 0, done.output
    assert "run 1 is settled; 1 archives dropped" in done.output
    assert "watchdog.run_1_0_before: " in done.output
    shown = migration("status").output
    assert "nothing" in shown
    assert "dropped 2" in shown
    back = migration("rollback", "1")
    assert back.exit_code == 1
    assert "settled" in back.output


def test_a_whole_release_is_settled_the_last_run_first(migration: Migration) -> None:
    migration.apply("DROP TABLE users", "--release", "r1")
    migration.apply("CREATE TABLE other (id int)", "--release", "r1")
    migration.apply("CREATE TABLE third (id int)", "--release", "r2")
    assert migration("settle", "--release", "r9").exit_code == 1
    assert migration("settle", "--release", "r1", "--expired").exit_code == 2
    done = migration.said("settle", "--release", "r1")
    assert [one["run"] for one in done["settled"]] == [2, 1]
    assert done["failed"] == {}
    assert migration("rollback", "3").exit_code == 0


def test_what_has_expired_is_settled_without_naming_it(migration: Migration) -> None:
    assert "no run is past its time" in migration("settle", "--expired").output
    migration.apply("DROP TABLE users")
    assert migration.said("settle", "--expired")["settled"] == []
    expire(migration)
    (one,) = migration.said("settle", "--expired")["settled"]
    assert (one["run"], one["state"]) == (1, "settled")


def test_a_run_that_cannot_be_settled_makes_status_1(migration: Migration) -> None:
    migration.apply("DROP TABLE users")
    migration.sql("CREATE VIEW v AS TABLE watchdog.run_1_0_before")
    expire(migration)
    done = migration("settle", "--expired")
    assert done.exit_code == 1
    assert "was not settled" in done.output


@pytest.mark.parametrize("words", [[], ["1", "--expired"]])
def test_settle_needs_to_know_what(migration: Migration, words: list[str]) -> None:
    assert migration("settle", *words).exit_code == 2


def test_a_person_is_erased_and_it_is_said_where(migration: Migration) -> None:
    migration.apply("DROP TABLE users")
    done = migration("erase", "--table", "public.users", "--where", "id=42")
    assert done.exit_code == 0, done.output
    assert '1 rows of "public"."users" erased from watchdog.run_1_0_before' in done.output
    assert "bob" not in done.output
    assert "no row was found" in migration("erase", "--table", "public.users", "--where", "id=42").output
    assert migration("rollback", "1").exit_code == 0
    assert migration.sql("TABLE users") == [(41, "ann")]


def test_an_archive_that_could_not_be_searched_makes_status_1(migration: Migration) -> None:
    migration.apply("DROP TABLE users")
    done = migration("erase", "--table", "users", "--where", "phone=1")
    assert done.exit_code == 1
    assert "no column phone" in done.output


@pytest.mark.parametrize("where", [["id"], ["=1"], ["id=1", "id=2"]])
def test_a_place_is_a_column_and_its_value(migration: Migration, where: list[str]) -> None:
    words = [word for text in where for word in ("--where", text)]
    assert migration("erase", "--table", "users", *words).exit_code == 2


def test_help_says_that_children_are_named_by_the_user(migration: Migration) -> None:
    assert "Rows of other tables" in migration("erase", "--help").output


def test_quarantine_is_counted_and_put_back_without_showing_a_row(migration: Migration) -> None:
    script = "ALTER TABLE users DROP email"
    migration.apply(script)
    migration.sql("INSERT INTO users VALUES (4321)")
    assert migration("rollback", "1").exit_code == 0
    assert "1 in quarantine" in migration("status").output
    counted = migration("quarantine", "1")
    assert '1 rows of "public"."users" wait: null value in column "email"' in counted.output
    assert "4321" not in counted.output
    migration.apply(script)
    assert migration.said("quarantine", "1", "--replay") == {"back": {'"public"."users"': 1}, "waiting": []}
    assert "no row waits" in migration("quarantine", "1").output
    assert migration.sql("SELECT count(*) FROM users") == [(3,)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--no-archive"], "--reason"),
        (["--reason", "law"], "--no-archive"),
        (["--budget", "much"], "20GiB"),
        (["--expires", "soon"], "30s"),
        (["--expires", "0s"], "7d"),
    ],
)
def test_options_that_cannot_be_meant_are_wrong_use(migration: Migration, words: list[str], said: str) -> None:
    done = migration.apply("DROP TABLE users", *words)
    assert done.exit_code == 2
    assert said in done.output
    assert migration.sql("SELECT count(*) FROM users") == [(2,)]
