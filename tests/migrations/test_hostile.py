"""Scripts that mean harm: taken back exactly, or never applied. `python -m benchmarks.rollback.harm` runs them all."""

import pytest

from benchmarks.rollback.harm import judge
from benchmarks.rollback.hostile import HOSTILE, REFUSED
from watchdog.servers.postgres import PostgresServer

TAKEN_BACK = (
    "names swapped",
    "column squatter",
    "cascade",
    "enum rebuilt",
    "hidden delete",
    "partition column",
    "rewritten table",
    "schema move",
    "grants",
    "function body",
    "sequence dropped",
    "deferred",
)
NEVER_APPLIED = (
    "hidden large object",
    "hidden role",
    "mixed concurrently",
    "data decides the schema",
    "fails on rows only",
    "schema dropped",
)


@pytest.mark.parametrize("name", TAKEN_BACK)
async def test_a_hostile_script_is_taken_back_exactly(
    name: str, pg_database: str, postgres_server: PostgresServer
) -> None:
    assert await judge(pg_database, postgres_server.url("postgres"), HOSTILE[name]) == ("restored", "")


@pytest.mark.parametrize("name", NEVER_APPLIED)
async def test_what_cannot_be_taken_back_is_refused_and_nothing_changes(
    name: str, pg_database: str, postgres_server: PostgresServer
) -> None:
    kind, why = await judge(pg_database, postgres_server.url("postgres"), REFUSED[name])
    assert kind == "refused", why
