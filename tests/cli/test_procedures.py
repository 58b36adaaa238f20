"""`watchdog test` and `watchdog validate`, on a real database whose service is down."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import Result

from tests.app.procedures.conftest import ORDERS, run, write_project
from tests.cli.conftest import Live, Watchdog
from watchdog.servers.postgres import PostgresServer


@pytest_asyncio.fixture
async def shop(place: Path, pg_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of the shop's configuration."""
    monkeypatch.setenv("SHOP_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SHOP_TOKEN", "hush")
    monkeypatch.setenv("SHOP_DB_URL", pg_database)
    await run(pg_database, ORDERS)
    return str(write_project(place))


@pytest.fixture
def call(watchdog: Watchdog, shop: str) -> Any:
    """The command, in a thread: it has an event loop of its own."""

    async def say(verb: str, *words: str) -> Result:
        return await asyncio.to_thread(watchdog, verb, "--guard", "shop", "--config", shop, *words)

    return say


async def test_each_part_is_a_line_with_its_outcome(call: Any) -> None:
    ran = await call("test")
    assert ran.exit_code == 1, ran.output
    lines = ran.output.splitlines()
    assert lines[0] == "not run  staging dry run: name a staging database by --staging"
    assert "ok       db: rows: 5 rows in 2 tables" in lines
    assert "           public.orders: 3" in lines
    [rollback] = [line for line in lines if "rollback:" in line]
    assert rollback.startswith("failed   rollback: no certificate")


async def test_machines_get_every_part_with_its_numbers(call: Any) -> None:
    ran = await call("test", "--json")
    said = json.loads(ran.output)
    assert (said["guard"], said["ok"]) == ("shop", False)
    [rows] = [part for part in said["parts"] if part["name"] == "db: rows"]
    assert rows == {
        "name": "db: rows",
        "outcome": "ok",
        "detail": "5 rows in 2 tables",
        "lines": ["public.customers: 2", "public.orders: 3"],
        "numbers": {"tables": 2.0, "rows": 5.0},
    }


async def test_a_migration_is_tried_on_staging(
    call: Any, place: Path, pg_database: str, postgres_server: PostgresServer
) -> None:
    (place / "up.sql").write_text("ALTER TABLE orders ADD score int")
    words = ("--script", str(place / "up.sql"), "--scratch", postgres_server.url("postgres"))
    refused = await call("test", "--staging", pg_database, *words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "which the guard watches: name a copy" in refused.stderr
    gone = await call("test", "--staging", "postgresql://u:hush@127.0.0.1:1/x", *words)
    assert gone.exit_code == 1
    assert "hush" not in gone.output


@pytest.mark.parametrize(
    "words",
    [
        ["--users", "3"],
        ["--for", "30s"],
        ["--users", "0", "--for", "1s"],
        ["--users", "1", "--for", "soon"],
        ["--users", "1", "--for", "0s"],
        ["--users", "1", "--for", "1s", "--max-errors", "lots"],
        ["--path", "health"],
        ["--script", "nowhere.sql"],
        ["--pgbench-script", "nowhere.sql"],
        ["--certificate", "nowhere.json"],
        ["--staging", "no address"],
    ],
    ids=" ".join,
)
async def test_what_makes_no_sense_is_wrong_use(call: Any, words: list[str]) -> None:
    ran = await call("test", *words)
    assert (ran.exit_code, ran.stdout) == (2, ""), ran.output


async def test_a_validation_compares_with_the_snapshot_that_was_saved(call: Any, place: Path, pg_database: str) -> None:
    file = str(place / "before.json")
    saved = await call("validate", "--save", file)
    assert saved.exit_code == 0, saved.output
    assert "  db: 5 rows in 2 tables; the extension pg_stat_statements is not there" in saved.output
    ran = await call("validate", "--before", file, "--judge-for", "20ms", "--json")
    parts = {part["name"]: part["outcome"] for part in json.loads(ran.output)["parts"]}
    assert (parts["db: rows"], parts["db: indexes"], parts["health"]) == ("ok", "ok", "failed")
    await run(pg_database, "DELETE FROM orders WHERE id = 3")
    ran = await call("validate", "--before", file, "--judge-for", "20ms")
    assert ran.exit_code == 1
    assert "public.orders has 2 rows, 1 fewer than before" in ran.output
    lenient = await call("validate", "--before", file, "--judge-for", "20ms", "--may-shrink", "50%", "--json")
    parts = {part["name"]: part["outcome"] for part in json.loads(lenient.output)["parts"]}
    assert parts["db: rows"] == "ok"


async def test_the_rules_are_those_of_the_daemon_where_one_runs(call: Any, live: Live) -> None:
    await asyncio.to_thread(live.seconds, 30)
    ran = await call("validate", "--json")
    [rules] = [part for part in json.loads(ran.output)["parts"] if part["name"] == "rules"]
    assert rules["detail"] == "1 ok, 1 no data (as the daemon has judged them)"
    assert rules["lines"][0].startswith("error_rate: ok")


async def test_strict_counts_what_was_not_run(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = await call("validate", "--judge-for", "20ms", "--strict", "--json")
    assert ran.exit_code == 1
    assert json.loads(ran.output)["ok"] is False


@pytest.mark.parametrize(
    "words",
    [["--save", "a.json", "--before", "b.json"], ["--before", "nowhere.json"], ["--slower", "0.5"], ["--timeout", "7"]],
    ids=" ".join,
)
async def test_a_validation_that_makes_no_sense_is_wrong_use(call: Any, words: list[str]) -> None:
    ran = await call("validate", *words)
    assert (ran.exit_code, ran.stdout) == (2, ""), ran.output


async def test_a_guard_that_is_not_there_is_one_line(watchdog: Watchdog, shop: str) -> None:
    for verb in ("test", "validate"):
        ran = await asyncio.to_thread(watchdog, verb, "--guard", "shopp", "--config", shop)
        assert ran.exit_code == 1
        assert ran.stderr.endswith("there are: shop\n")
