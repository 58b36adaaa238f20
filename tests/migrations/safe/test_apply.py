from typing import Any

import psycopg
import pytest

from tests.support.archives import sql
from watchdog.migrations.options import Options, OptionsError
from watchdog.migrations.rollback import rollback
from watchdog.migrations.safe.apply import SafelyApplied, apply_safe
from watchdog.migrations.safe.limits import Limits
from watchdog.migrations.safe.progress import Progress
from watchdog.migrations.safe.values import Kind
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import WatchdogError

SCHEMA = """
CREATE TABLE owner (id int PRIMARY KEY);
INSERT INTO owner SELECT generate_series(1, 10);
CREATE TABLE t (id int PRIMARY KEY, v text, w int);
INSERT INTO t SELECT n, 'Name ' || n, 1 + n % 10 FROM generate_series(1, 3000) n;
"""
EVERYTHING = """
ALTER TABLE t ADD COLUMN lowered text;
UPDATE t SET lowered = lower(v);
ALTER TABLE t ALTER COLUMN lowered SET NOT NULL;
CREATE INDEX by_lowered ON t (lowered);
ALTER TABLE t ADD UNIQUE (v), ADD CHECK (w > 0), ADD CONSTRAINT owned FOREIGN KEY (w) REFERENCES owner (id);
ALTER TABLE t DROP CONSTRAINT t_w_check;
"""
LIMITS = Limits(batch_rows=500, pause_seconds=0.05, tries=100)


async def applied(url: str, script: str, scratch: str, **more: Any) -> SafelyApplied:
    return await apply_safe(url, script, scratch_url=scratch, limits=LIMITS, **more)


async def leftovers(url: str) -> list[tuple[str]]:
    return await sql(
        url,
        "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal UNION ALL"
        " SELECT relname::text FROM pg_class WHERE relnamespace = 'watchdog'::regnamespace AND relname ~ '^tool_'"
        " UNION ALL SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid",
    )


async def test_a_script_in_safe_forms_goes_out_and_comes_back(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)
    before = await sql(pg_database, "TABLE t ORDER BY id")
    heard: list[Progress] = []
    done = await applied(pg_database, EVERYTHING, scratch, tell=heard.append, down="SELECT 1")
    assert {step.kind for step in done.steps} == {Kind.BLOCK, Kind.BACKFILL, Kind.INDEX, Kind.VALIDATE}
    assert done.reversible, done.lowered
    assert done.kept == ()
    assert any(one.kind is Kind.BACKFILL and one.rows == 3000 for one in heard)
    assert await sql(pg_database, "SELECT count(*) FROM t WHERE lowered = lower(v)") == [(3000,)]
    assert await sql(pg_database, "SELECT conname::text FROM pg_constraint WHERE NOT convalidated") == []
    states = "SELECT DISTINCT state, position IS NULL FROM watchdog.migration_steps"
    assert await sql(pg_database, states) == [("done", True)]
    assert await sql(pg_database, "SELECT manifest ->> 'down' FROM watchdog.migration_runs") == [("SELECT 1",)]
    await sql(pg_database, "INSERT INTO t VALUES (4000, 'later', 1, 'later')")
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT * FROM t ORDER BY id") == [*before, (4000, "later", 1)]
    assert await leftovers(pg_database) == []


async def test_what_would_fail_on_real_rows_is_taken_back(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA + "INSERT INTO t VALUES (5000, 'planted', 99)")
    before = await sql(pg_database, "TABLE t ORDER BY id")
    script = """ALTER TABLE t ADD COLUMN x int; UPDATE t SET x = w; CREATE INDEX i ON t (x);
    ALTER TABLE t ADD FOREIGN KEY (w) REFERENCES owner (id)"""
    # The sample that the copy has is of the first rows.
    with pytest.raises(WatchdogError, match=r"(?s)line 2.*23503.*taken back") as error:
        await applied(pg_database, script, scratch)
    assert "99" not in str(error.value)
    assert await sql(pg_database, "TABLE t ORDER BY id") == before
    assert await leftovers(pg_database) == []


async def test_a_unique_index_that_fails_leaves_nothing_invalid(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA + "UPDATE t SET v = 'Name 2999' WHERE id = 3000")
    with pytest.raises(WatchdogError, match="23505"):
        await applied(pg_database, "CREATE UNIQUE INDEX only_one ON t (v)", scratch)
    assert await leftovers(pg_database) == []
    assert await sql(pg_database, "SELECT to_regclass('only_one')") == [(None,)]


async def test_concurrently_may_stand_among_other_statements(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA + "CREATE INDEX old ON t (w)")
    script = "ALTER TABLE t ADD COLUMN x int;\nCREATE INDEX CONCURRENTLY new ON t (w, x);\nDROP INDEX CONCURRENTLY old"
    done = await applied(pg_database, script, scratch)
    assert [step.kind for step in done.steps] == [Kind.BLOCK, Kind.INDEX, Kind.DROP_INDEX]
    assert await sql(pg_database, "SELECT to_regclass('old'), to_regclass('new') IS NOT NULL") == [(None, True)]
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT to_regclass('old') IS NOT NULL, to_regclass('new')") == [(True, None)]


async def test_what_has_no_safe_form_runs_as_it_was_written(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)
    done = await applied(pg_database, "UPDATE t SET v = w::text;\nALTER TABLE t DROP COLUMN w", scratch)
    assert done.steps == ()
    [kept] = done.kept
    assert "line 1 stays as it is: line 2 may take away what users write into t meanwhile" in kept
    assert await sql(pg_database, "SELECT v FROM t WHERE id = 5") == [("6",)]
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT v, w FROM t WHERE id = 5") == [("Name 5", 6)]


async def test_a_form_that_ends_in_another_schema_is_not_taken(
    pg_database: str, scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sql(pg_database, SCHEMA)
    monkeypatch.setattr("watchdog.migrations.safe.making.Making.name", lambda *_: "another_name")
    done = await applied(pg_database, "ALTER TABLE t ADD CHECK (w > 0)", scratch)
    assert done.steps == ()
    assert "would end in another schema" in done.kept[0]
    named = "SELECT conname::text FROM pg_constraint WHERE contype = 'c' AND conrelid = 't'::regclass"
    assert await sql(pg_database, named) == [("t_w_check",)]


async def test_rows_are_kept_although_no_row_of_the_sample_is_changed(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)
    done = await applied(pg_database, "UPDATE t SET w = 0 WHERE v = 'Name 7'", scratch)
    assert done.steps
    assert done.reversible, done.lowered
    await rollback(pg_database, done.run)
    assert await sql(pg_database, "SELECT w FROM t WHERE id = 7") == [(8,)]


async def test_what_cannot_be_taken_back_is_refused_with_its_line(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)
    with pytest.raises(RefusedError, match=r"line 2: ALTER SYSTEM"):
        await applied(pg_database, "CREATE INDEX CONCURRENTLY i ON t (v);\nALTER SYSTEM SET work_mem = '1MB'", scratch)
    with pytest.raises(OptionsError, match="leave out --no-archive"):
        await applied(pg_database, "SELECT 1", scratch, options=Options(archive=False, reason="law"))


async def test_an_ordinary_owner_may_do_it(owner: str, scratch: str) -> None:
    await sql(owner, "CREATE SCHEMA s")
    await sql(owner, SCHEMA.replace("TABLE t ", "TABLE s.t ").replace("INTO t ", "INTO s.t "))
    done = await applied(owner, "UPDATE s.t SET v = upper(v); CREATE INDEX i ON s.t (w)", scratch)
    assert len(done.steps) == 2
    await rollback(owner, done.run)
    with psycopg.connect(owner) as connection:
        assert connection.execute("SELECT v FROM s.t WHERE id = 1").fetchone() == ("Name 1",)


async def test_a_script_that_fails_by_itself_changes_nothing(pg_database: str, scratch: str) -> None:
    await sql(pg_database, SCHEMA)
    with pytest.raises(WatchdogError, match=r"line 1: SQLSTATE 23514 on public\.t\n.*taken back"):
        await applied(pg_database, "CREATE INDEX i ON t (w); ALTER TABLE t ADD CHECK (w < 0)", scratch)
    assert await sql(pg_database, "SELECT to_regclass('i')") == [(None,)]
    with pytest.raises(WatchdogError, match='column "nowhere" does not exist'):
        await applied(pg_database, "CREATE INDEX i ON t (w); ALTER TABLE t ADD CHECK (nowhere < 0)", scratch)
    assert await sql(pg_database, "SELECT to_regclass('i')") == [(None,)]
    assert await leftovers(pg_database) == []


async def test_batches_that_give_other_rows_on_a_copy_are_not_taken(
    pg_database: str, scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sql(pg_database, SCHEMA)
    monkeypatch.setattr("watchdog.migrations.safe.updates._unsteady", lambda *_: iter(()))
    done = await applied(pg_database, "UPDATE t SET v = gen_random_uuid()::text WHERE id = 1", scratch)
    assert done.steps == ()
    assert done.kept == ("the script stays as it is: in batches, line 1 gives other rows on a copy",)
