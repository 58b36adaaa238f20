from dataclasses import replace
from pathlib import Path

import pytest

from tests.app.procedures.conftest import Service, collect, run
from watchdog.app.compose import NoGuardError
from watchdog.app.procedures.checks import Said
from watchdog.app.procedures.parts import Outcome, Part
from watchdog.app.procedures.snapshot import Snapshot
from watchdog.app.procedures.validation import UncountedError, Wanted, remember, validate
from watchdog.model.time import MILLISECOND
from watchdog.runtime.clock import SystemClock
from watchdog.servers.postgres import PostgresServer

FINE = [Said("unhealthy", "ok", "healthy is 1")]


async def validated(project: Path, before: Snapshot | None, wanted: Wanted | None = None) -> dict[str, Part]:
    asked = replace(wanted or Wanted(rules=FINE), before=before)
    return await collect(validate(project, "shop", asked, SystemClock()))


async def test_a_migration_that_hurt_nothing_is_well(project: Path, pg_database: str) -> None:
    before = await remember(project, "shop", SystemClock())
    assert before.checks == {"negative": 0.0}
    await run(pg_database, "ALTER TABLE orders ADD score int", "INSERT INTO orders VALUES (4, 1, 40, 7)")
    found = await validated(project, before)
    outcomes = {name: part.outcome.value for name, part in found.items()}
    assert outcomes == {
        "db: rows": "ok",
        "db: foreign keys": "ok",
        "db: indexes": "ok",
        "db: query times": "not run",
        "health": "ok",
        "checks": "ok",
        "rules": "ok",
    }
    assert found["db: rows"].detail == "6 rows in 2 tables, 1 more than before"


async def test_a_migration_that_hurt_is_found_in_each_part(project: Path, pg_database: str, service: Service) -> None:
    before = await remember(project, "shop", SystemClock())
    service.status = 500
    await run(
        pg_database,
        "CREATE INDEX fresh ON orders (amount)",
        "SET session_replication_role = replica",
        "DELETE FROM customers WHERE id = 1",
        "UPDATE orders SET amount = -5 WHERE id = 2",
    )
    found = await validated(project, before, Wanted(judge_for=40 * MILLISECOND))
    failed = [name for name, part in found.items() if part.outcome is Outcome.FAILED]
    assert failed == ["db: rows", "db: foreign keys", "db: indexes", "health", "checks", "rules"]
    assert found["db: rows"].lines == ("public.customers has 1 rows, 1 fewer than before",)
    assert found["health"].lines[0].startswith("api/health: 500 in ")
    assert found["checks"].lines == ("negative (rule negative_amounts): 1, 0 allowed",)
    assert any(line.startswith("unhealthy: breach") for line in found["rules"].lines)


async def test_query_times_are_compared_over_the_snapshot(project: Path, pg_database: str) -> None:
    slow = ["SELECT pg_sleep(0.02) FROM orders WHERE id = 1"] * 6
    fast = ["SELECT pg_sleep(0.001) FROM orders WHERE id = 1"] * 6
    await run(pg_database, "CREATE EXTENSION pg_stat_statements", *fast)
    before = await remember(project, "shop", SystemClock())
    await run(pg_database, *slow)
    part = (await validated(project, before))["db: query times"]
    assert part.outcome is Outcome.FAILED
    [line] = part.lines
    assert line.endswith("before: SELECT pg_sleep($?) FROM orders WHERE id = $?")


async def test_without_a_snapshot_the_rest_is_still_looked_at(project: Path) -> None:
    found = await validated(project, None)
    assert found["db: rows"].outcome is Outcome.NOT_RUN
    assert found["db: foreign keys"].outcome is Outcome.OK
    assert found["health"].outcome is Outcome.OK


async def test_a_database_that_is_gone_is_a_finding(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await remember(project, "shop", SystemClock())
    monkeypatch.setenv("SHOP_DB_URL", "postgresql://u:hush@127.0.0.1:1/x")
    found = await validated(project, before)
    assert found["db: rows"].outcome is Outcome.FAILED
    assert found["checks"].outcome is Outcome.NOT_RUN
    assert "hush" not in str(found)


async def test_a_snapshot_is_whole_or_none(
    project: Path, pg_database: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(
        pg_database,
        "DO $$ BEGIN CREATE ROLE reader LOGIN PASSWORD 'reader'; EXCEPTION WHEN duplicate_object THEN END $$",
        "GRANT SELECT ON orders TO reader",
    )
    monkeypatch.setenv("SHOP_DB_URL", postgres_server.url(pg_database.rpartition("/")[2], "reader", "reader"))
    with pytest.raises(UncountedError, match=r"public\.customers: .*; give the user SELECT on it"):
        await remember(project, "shop", SystemClock())


async def test_a_guard_that_is_not_there_is_named(project: Path) -> None:
    with pytest.raises(NoGuardError, match="there are: shop"):
        await remember(project, "shopp", SystemClock())
