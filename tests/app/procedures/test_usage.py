import re

import pytest

from tests.app.procedures.conftest import run
from watchdog.app.procedures.compare import Limits, indexes_part
from watchdog.app.procedures.usage import TEXT, shown, usage
from watchdog.model.time import MINUTE
from watchdog.targets.postgres import PostgresTarget

MANY = (
    "CREATE TABLE t (id int PRIMARY KEY, name text)",
    "INSERT INTO t SELECT n, 'name ' || n FROM generate_series(1, 2000) AS n",
    "CREATE INDEX t_name ON t (name)",
)


async def test_rows_indexes_scans_and_queries_are_read(target: PostgresTarget, pg_database: str) -> None:
    await run(pg_database, "CREATE EXTENSION pg_stat_statements", *MANY, "SELECT count(*) FROM t WHERE name > 'secret'")
    found, unseen = await usage(target, MINUTE, counted_before=True)
    assert unseen == ()
    assert found.rows == {"public.t": 2000}
    assert list(found.indexes) == ["public.t_name"]
    assert found.statements is not None
    [query] = [one for one in found.statements.values() if one.text.startswith("SELECT count(*) FROM t WHERE name")]
    assert query.calls == 1
    assert query.milliseconds > 0
    assert "secret" not in str(found)


async def test_without_the_extension_query_times_are_missing_with_why(target: PostgresTarget, pg_database: str) -> None:
    found, _ = await usage(target, MINUTE, counted_before=False)
    assert (found.statements, found.no_statements) == (None, "the extension pg_stat_statements is not there")


async def test_our_own_counting_is_no_scan_since_the_snapshot(target: PostgresTarget, pg_database: str) -> None:
    await run(pg_database, *MANY)
    before, _ = await usage(target, MINUTE, counted_before=True)
    async with target.observe() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    now, _ = await usage(target, MINUTE, counted_before=False)
    assert now.scans["public.t"] == before.scans["public.t"]


async def test_queries_that_lost_their_index_are_seen_in_the_scans(target: PostgresTarget, pg_database: str) -> None:
    lookups = ["SELECT id FROM t WHERE name = 'name 7'"] * 12
    await run(pg_database, *MANY, "ANALYZE t", *lookups)
    before, _ = await usage(target, MINUTE, counted_before=True)
    await run(pg_database, "DROP INDEX t_name", "CREATE INDEX t_upper ON t (upper(name))", *lookups)
    now, _ = await usage(target, MINUTE, counted_before=False)
    part = indexes_part("indexes", before, now, Limits())
    assert part.lines[0] == "index public.t_upper is new, and no query has used it yet"
    # Making an index reads the table too.
    assert re.match(r"public\.t \(2,000 rows\) was read whole 1\d times since, 100% of its scans", part.lines[1])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SELECT *\n  FROM t WHERE a = 'it''s me' AND b = 42", "SELECT * FROM t WHERE a = ? AND b = ?"),
        ("INSERT INTO t1 VALUES ($1, 1.5e3)", "INSERT INTO t1 VALUES ($?, ?)"),
        ("SELECT 'cut off in a val", "SELECT ?"),
        ("SELECT " + "a, " * 100, ("SELECT " + "a, " * 100)[: TEXT - 1] + "…"),
    ],
)
def test_no_value_stays_in_a_query_that_is_shown(text: str, line: str) -> None:
    assert shown(text) == line
