from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.ports.probes import Probe
from watchdog.probes.vector_recall import KIND, VectorRecallOptions, VectorRecallRead
from watchdog.targets.postgres import PostgresTarget

Build = Callable[..., Probe]
Connection = psycopg.AsyncConnection[Any]

MADE = """
CREATE EXTENSION vector;
CREATE SCHEMA shop;
CREATE TABLE shop.docs (id bigint PRIMARY KEY, embedding vector(16));
SELECT setseed(0.5);
INSERT INTO shop.docs
SELECT n, (SELECT array_agg(random() + 0 * g + 0 * n) FROM generate_series(1, 16) g)::vector(16)
FROM generate_series(1, 2000) n;
CREATE INDEX docs_good ON shop.docs USING hnsw (embedding vector_cosine_ops);
"""
WHERE = {"table": "shop.docs"}


async def run(connection: Connection, script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            await connection.execute(statement.encode())


async def read(build: Build, target: PostgresTarget, **how: Any) -> Any:
    probe = build(KIND, target, {"recall": VectorRecallRead(**how)}, **WHERE)
    return (await probe.read())["recall"][()]


async def test_an_index_that_finds_less_shows_and_the_same_rows_are_asked_for_each_time(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    await run(admin, MADE)
    good = await read(build, pg_target, index="docs_good", settings={"hnsw.ef_search": "200"})
    assert good >= 0.99
    worse = "CREATE INDEX docs_bad ON shop.docs USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100);\n"
    await run(admin, worse + "DROP INDEX shop.docs_good")
    bad = await read(build, pg_target, index="docs_bad", settings={"ivfflat.probes": "1"})
    assert bad < 0.8
    again = [await read(build, pg_target, index="docs_bad", settings={"ivfflat.probes": "1"}) for _ in range(3)]
    assert again == [bad] * 3
    assert await read(build, pg_target, index="docs_bad", settings={"ivfflat.probes": "100"}) == 1.0


async def test_an_index_that_is_gone_or_of_another_distance_has_no_value(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    await run(admin, MADE)
    gone = await read(build, pg_target, index="docs_old")
    assert isinstance(gone, Missing)
    assert gone.cause is Cause.PROBE_BROKEN
    assert "shop.docs has no valid index docs_old; was it dropped?" in gone.detail
    other = await read(build, pg_target, index="docs_good", distance="l2")
    assert isinstance(other, Missing)
    assert "does not use the index docs_good" in other.detail
    await run(admin, "TRUNCATE shop.docs")
    empty = await read(build, pg_target, index="docs_good")
    assert isinstance(empty, Missing)
    assert empty.cause is Cause.NO_TRAFFIC


async def test_a_table_or_column_that_is_not_there_is_named(
    build: Build, pg_target: PostgresTarget, admin: Connection
) -> None:
    missing = await read(build, pg_target, index="docs_good")
    assert isinstance(missing, Missing)
    assert "no column embedding in a table shop.docs" in missing.detail


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match=r"table: 'a\.b\.c' is no table"):
        VectorRecallOptions(table="a.b.c")
    with pytest.raises(ValueError, match="k must be from 1"):
        VectorRecallRead(index="i", k=0)
    with pytest.raises(ValueError, match="'work_mem' is no setting of pgvector"):
        VectorRecallRead(index="i", settings={"work_mem": "1GB"})
    assert KIND.signal_kind(VectorRecallRead(index="i")) is SignalKind.GAUGE
