"""`watchdog migration plan`, as a person types it."""

import json
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from typer.testing import CliRunner

from tests.support.archives import sql
from watchdog.cli.root import app
from watchdog.servers.postgres import PostgresServer
from watchdog.servers.redis import RedisServer

PLAN = """
version: 1
release: r1
migrations:
  - {name: prices, target: db, script: prices.sql}
  - {name: cache, target: cache, script: cache.redis.yaml}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "prices.sql").write_text("ALTER TABLE goods DROP COLUMN price;")
    (tmp_path / "cache.redis.yaml").write_text('version: 1\nsteps:\n  - clear: "shop:price:"\n')
    path = tmp_path / "release.yaml"
    path.write_text(PLAN)
    return path


@pytest_asyncio.fixture
async def at(pg_database: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    await sql(pg_database, "CREATE TABLE goods (id int PRIMARY KEY, price int); INSERT INTO goods VALUES (1, 10)")
    async with Redis.from_url(redis_server.url()) as client:
        await client.flushdb()
        await client.set("shop:price:1", 10)
    monkeypatch.setenv("SHOP_DB", pg_database)
    return "--at", "db=${env:SHOP_DB}", "--at", f"cache={redis_server.url()}"


def test_a_plan_is_applied_shown_and_taken_back(
    plan: Path, at: tuple[str, ...], postgres_server: PostgresServer
) -> None:
    runner = CliRunner()
    scratch = ("--scratch", postgres_server.url("postgres"))
    done = runner.invoke(app, ["migration", "plan", "apply", str(plan), *at, *scratch])
    assert done.exit_code == 0, done.output
    assert "applied prices to db: run 1" in done.output
    assert "2 migrations applied, 0 were there; all of the plan is applied" in done.output
    shown = runner.invoke(app, ["migration", "plan", "status", str(plan), *at, "--json"])
    assert [line["state"] for line in json.loads(shown.output)] == ["applied", "applied"]
    back = runner.invoke(app, ["migration", "plan", "rollback", str(plan), *at])
    assert "2 migrations taken back; nothing of the plan is applied" in back.output
    shown = runner.invoke(app, ["migration", "plan", "status", str(plan), *at])
    assert "prices  db: rolled back, run 1" in shown.output


def test_a_target_without_an_address_is_wrong_use(plan: Path) -> None:
    ran = CliRunner().invoke(app, ["migration", "plan", "status", str(plan), "--at", "db=postgresql://127.0.0.1:1/x"])
    assert (ran.exit_code, ran.stderr) == (2, "watchdog: Where is cache? Say --at cache=URL.\n")
