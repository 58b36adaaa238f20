"""`watchdog migration rehearse`, and what `apply --certificate` makes of it."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from watchdog.cli.root import app
from watchdog.migrations.rehearse import cycle
from watchdog.migrations.rollback import Report, rollback
from watchdog.servers.postgres import PostgresServer


class Shop:
    """`watchdog migration` on one database, with files of its own."""

    def __init__(self, database: str, scratch: str, place: Path) -> None:
        self.database = database
        self.scratch = scratch
        self.script = place / "up.sql"
        self.certificate = place / "cert.json"
        self.script.write_text("ALTER TABLE users DROP email")

    def __call__(self, verb: str, *words: str) -> Result:
        said = [verb, str(self.script), "--database", self.database, "--scratch", self.scratch, *words]
        return CliRunner().invoke(app, ["migration", *said], env={"COLUMNS": "200"})


@pytest.fixture
def shop(pg_database: str, postgres_server: PostgresServer, tmp_path: Path) -> Shop:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE users (id int PRIMARY KEY, email text);"
            " INSERT INTO users SELECT n, 'a' || n FROM generate_series(1, 9) n; ANALYZE"
        )
    return Shop(pg_database, postgres_server.url("postgres"), tmp_path)


def test_a_certificate_is_written_and_apply_goes_by_it(shop: Shop, tmp_path: Path) -> None:
    statements = tmp_path / "statements.json"
    statements.write_text(json.dumps(["SELECT id FROM users WHERE id = $1"]))
    ran = shop("rehearse", "--out", str(shop.certificate), "--statements", str(statements))
    assert ran.exit_code == 0, ran.output
    assert "schema and data restored" in ran.stdout
    assert "old code compatible" in ran.stdout
    assert any(
        line.split()[:4] == ["1", "public.users", "ACCESS", "EXCLUSIVE"] and line.endswith("reads, writes, other DDL")
        for line in map(str.rstrip, ran.stdout.splitlines())
    ), ran.stdout
    certified: dict[str, Any] = json.loads(shop.certificate.read_text())
    assert certified["restored"] is True
    shop.script.write_text("ALTER TABLE users DROP email ")
    refused = shop("apply", "--certificate", str(shop.certificate))
    assert refused.exit_code == 1
    assert "does not hold here: it is of another script" in refused.output
    shop.script.write_text("ALTER TABLE users DROP email")
    applied = shop("apply", "--certificate", str(shop.certificate))
    assert applied.exit_code == 0, applied.output


def test_without_proof_there_is_no_certificate(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forgetful(url: str, run: int) -> Report:
        report = await rollback(url, run)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE users SET email = '' WHERE id = 8")
        return report

    monkeypatch.setattr(cycle, "rollback", forgetful)
    ran = shop("rehearse", "--out", str(shop.certificate), "--json")
    assert ran.exit_code == 1
    said = json.loads(ran.stdout)
    assert said["restored"] is False
    assert said["findings"][0] == '1 earlier rows of "public"."users" are gone or changed'
    assert {"predicted_rollback_seconds", "locks", "written"} <= said.keys()
    assert not shop.certificate.exists()


@pytest.mark.parametrize(
    ("option", "text", "reason"),
    [
        ("--statements", "[1]", "holds no statements"),
        ("--statements", "{", "is no JSON"),
        ("--writes", '[{"name": "x"}]', "holds no recorded writes"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(shop: Shop, tmp_path: Path, option: str, text: str, reason: str) -> None:
    file = tmp_path / "given.json"
    file.write_text(text)
    ran = shop("rehearse", option, str(file))
    assert ran.exit_code == 2
    assert f"{file} {reason}" in ran.output
