"""What users wrote into a large table is merged before the lock, in rounds, and nothing of it is lost on the way."""

import psycopg
import pytest

from tests.support.archives import sql
from watchdog.migrations import rollback as rollback_module
from watchdog.migrations.apply import apply
from watchdog.migrations.merge_large import read_written
from watchdog.migrations.options import Options
from watchdog.migrations.policies import Policy
from watchdog.migrations.rollback import rollback
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, name text, score int, born date NOT NULL, email text UNIQUE);
INSERT INTO people SELECT n, 'p' || n, n, '2000-01-01', n || '@x' FROM generate_series(1, 40) n;
"""
ONLINE = Options(online_rows=1)


@pytest.fixture
def under_lock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """All is merged in rounds where that is possible; how many keys were left for the lock."""
    left: list[int] = []

    async def counted(
        connection: Connection, run: int, index: int, table: TablePlan, *, beside: bool, policy: Policy
    ) -> int:
        kept = await read_written(connection, run, index, table, beside=beside, policy=policy)
        name = f"watchdog.run_{run}_{index}_keys"
        row = await (await connection.execute(f"SELECT count(*) FROM {name}".encode())).fetchone()
        left.append(row[0] if row else 0)
        return kept

    monkeypatch.setattr(rollback_module, "read_written", counted)
    monkeypatch.setattr("watchdog.migrations.merge_large._FEW", 1)
    return left


async def test_rows_that_do_not_fit_wait_for_the_lock_and_the_others_do_not(
    owner: str, scratch: str, under_lock: list[int]
) -> None:
    await sql(owner, PEOPLE)
    script = "ALTER TABLE people DROP born, DROP CONSTRAINT people_email_key"
    run = (await apply(owner, script, scratch_url=scratch, options=ONLINE)).run
    await sql(owner, "UPDATE people SET score = 0 WHERE id <= 20; UPDATE people SET email = '1@x' WHERE id = 30")
    await sql(owner, "INSERT INTO people VALUES (100, 'new', 1), (101, 'new', 2)")
    report = await rollback(owner, run)
    assert under_lock == [3]
    assert (report.changed, report.later, report.quarantined, report.earlier) == (20, 0, 3, 20)
    assert await sql(owner, "SELECT count(*), sum(score) FROM people") == [(40, sum(range(21, 41)))]
    assert await sql(owner, "SELECT email FROM people WHERE id = 30") == [("30@x",)]
    kept = """SELECT "row" ->> 'id', sqlstate, about FROM watchdog.migration_quarantine ORDER BY 2, 1"""
    assert await sql(owner, kept) == [
        ("100", "23502", "born"),
        ("101", "23502", "born"),
        ("30", "23505", "people_email_key"),
    ]


async def test_a_value_that_moved_from_row_to_row_fits_in_the_end(
    owner: str, scratch: str, under_lock: list[int]
) -> None:
    await sql(owner, PEOPLE)
    run = (await apply(owner, "ALTER TABLE people DROP born", scratch_url=scratch, options=ONLINE)).run
    await sql(owner, "UPDATE people SET email = 'moving' WHERE id = 1; UPDATE people SET email = '1@x' WHERE id = 2")
    report = await rollback(owner, run)
    assert under_lock == [0]
    assert (report.changed, report.quarantined) == (2, 0)
    assert await sql(owner, "SELECT email FROM people WHERE id < 3 ORDER BY id") == [("moving",), ("1@x",)]


async def test_values_of_added_columns_are_kept_whenever_they_were_merged(
    owner: str, scratch: str, under_lock: list[int]
) -> None:
    await sql(owner, PEOPLE)
    script = "ALTER TABLE people DROP born, ADD nick text"
    run = (await apply(owner, script, scratch_url=scratch, options=ONLINE)).run
    await sql(owner, "UPDATE people SET nick = 'n' || id WHERE id <= 3")
    report = await rollback(owner, run)
    assert under_lock == [0]
    assert report.kept_columns == [f"watchdog.run_{run}_0_live"]
    assert await sql(owner, f"SELECT c0, x0 FROM watchdog.run_{run}_0_live ORDER BY 1") == [
        ("1", "n1"),
        ("2", "n2"),
        ("3", "n3"),
    ]


async def test_nothing_of_the_rounds_is_left_behind(owner: str, scratch: str, under_lock: list[int]) -> None:
    await sql(owner, PEOPLE)
    run = (await apply(owner, "ALTER TABLE people DROP born", scratch_url=scratch, options=ONLINE)).run
    await sql(owner, "UPDATE people SET score = 0")
    await rollback(owner, run)
    assert under_lock == [0]
    assert await sql(owner, "SELECT relname::text FROM pg_class WHERE relname ~ '^run_' AND relkind = 'r'") == [
        (f"run_{run}_0_before",)
    ]


async def test_an_older_transaction_that_writes_a_row_later_does_not_hide_who_wrote_it_first(
    owner: str, scratch: str, under_lock: list[int]
) -> None:
    await sql(owner, PEOPLE)
    run = (await apply(owner, "ALTER TABLE people DROP born", scratch_url=scratch, options=ONLINE)).run
    older = await psycopg.AsyncConnection.connect(owner)
    idle = await psycopg.AsyncConnection.connect(owner)
    async with older, idle:
        for connection in (older, idle):
            await connection.execute("SELECT pg_current_xact_id()")
        # That of `idle` is older than this one, and open: only what `older` writes is merged before the lock.
        await sql(owner, "UPDATE people SET name = 'first' WHERE id = 7")
        await older.execute("UPDATE people SET score = 700 WHERE id = 7")
        await older.commit()
        report = await rollback(owner, run)
    assert under_lock == [1]
    assert report.changed == 1
    assert await sql(owner, "SELECT name, score, born::text FROM people WHERE id = 7") == [("first", 700, "2000-01-01")]


async def test_many_rows_without_a_required_value_are_set_aside_at_once(owner: str, scratch: str) -> None:
    await sql(owner, PEOPLE)
    run = (await apply(owner, "ALTER TABLE people DROP born", scratch_url=scratch)).run
    await sql(owner, "INSERT INTO people SELECT n, 'new', n FROM generate_series(1000, 20000) n")
    report = await rollback(owner, run)
    assert (report.quarantined, report.later, report.earlier) == (19_001, 0, 40)
