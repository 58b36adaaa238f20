"""What users did after the migration is kept; a rollback that would not restore is refused."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio

from watchdog.migrations.apply import apply
from watchdog.migrations.options import Options
from watchdog.migrations.rollback import rollback
from watchdog.migrations.runs import runs
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import WatchdogError
from watchdog.servers.postgres import PostgresServer

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, age int, born date NOT NULL);
CREATE TABLE pets (id int PRIMARY KEY, owner int NOT NULL REFERENCES people (id), name text);
INSERT INTO people VALUES (1, 'ann', 30, '1990-01-01'), (2, 'bob', 40, '1980-01-01'), (3, 'cyd', 50, '1970-01-01');
INSERT INTO pets VALUES (1, 1, 'rex');
"""


async def run(url: str, script: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(script.encode())
        return await cursor.fetchall() if cursor.description else []


@pytest.fixture
def scratch(postgres_server: PostgresServer) -> str:
    return postgres_server.url("postgres")


@pytest_asyncio.fixture
async def people(pg_database: str) -> str:
    await run(pg_database, PEOPLE)
    return pg_database


async def test_users_win_over_the_archive_and_dropped_values_return(people: str, scratch: str) -> None:
    applied = await apply(people, "UPDATE people SET age = 0; ALTER TABLE people DROP born", scratch_url=scratch)
    await run(people, "UPDATE people SET name = 'bobby' WHERE id = 2; DELETE FROM people WHERE id = 3")
    report = await rollback(people, applied.run)
    found = await run(people, "SELECT id, name, age, born::text FROM people ORDER BY id")
    assert found == [(1, "ann", 30, "1990-01-01"), (2, "bobby", 40, "1980-01-01")]
    assert (report.changed, report.deleted) == (1, 1)


async def test_a_later_row_that_cannot_fit_waits_in_quarantine_with_what_needs_it(people: str, scratch: str) -> None:
    applied = await apply(people, "ALTER TABLE people DROP born", scratch_url=scratch)
    await run(people, "INSERT INTO people VALUES (4, 'dan', 1); INSERT INTO pets VALUES (2, 4, 'tom')")
    report = await rollback(people, applied.run)
    assert await run(people, "SELECT count(*) FROM people") == [(3,)]
    kept = await run(people, """SELECT "table", "row"->>'name' FROM watchdog.migration_quarantine ORDER BY 1""")
    assert kept == [('"public"."people"', "dan"), ('"public"."pets"', "tom")]
    assert report.quarantined == 2


async def test_what_the_script_inserted_vanishes_and_what_users_inserted_stays(people: str, scratch: str) -> None:
    applied = await apply(people, "INSERT INTO people VALUES (9, 'script', 1, now())", scratch_url=scratch)
    await run(people, "INSERT INTO people VALUES (10, 'user', 1, '2000-01-01')")
    report = await rollback(people, applied.run)
    assert await run(people, "SELECT id FROM people ORDER BY id") == [(1,), (2,), (3,), (10,)]
    assert report.later == 1


async def test_values_of_an_added_column_are_kept_beside(people: str, scratch: str) -> None:
    applied = await apply(people, "ALTER TABLE people ADD nick text", scratch_url=scratch)
    await run(people, "UPDATE people SET nick = 'annie' WHERE id = 1")
    (kept,) = (await rollback(people, applied.run)).kept_columns
    assert ("1", "annie") in await run(people, f"SELECT c0, x0 FROM {kept}")


async def test_added_columns_without_an_equality_are_no_obstacle(people: str, scratch: str) -> None:
    script = "ALTER TABLE people ADD about json, ADD place point DEFAULT '(0,0)', ADD note xml"
    applied = await apply(people, script, scratch_url=scratch)
    await run(people, """UPDATE people SET about = '{"a": 1}' WHERE id = 1""")
    (kept,) = (await rollback(people, applied.run)).kept_columns
    assert await run(people, f"SELECT x0 FROM {kept}") == [('{"a": 1}',)]


async def test_rows_of_a_new_table_wait_in_quarantine(people: str, scratch: str) -> None:
    script = "CREATE TABLE notes (id int, t text); INSERT INTO notes VALUES (1, 'script')"
    applied = await apply(people, script, scratch_url=scratch)
    await run(people, "INSERT INTO notes VALUES (2, 'user')")
    await rollback(people, applied.run)
    assert await run(people, """SELECT "row"->>'t' FROM watchdog.migration_quarantine""") == [("user",)]


async def test_later_changes_of_the_schema_are_taken_back_first(people: str, scratch: str) -> None:
    first = await apply(people, "ALTER TABLE people DROP age", scratch_url=scratch)
    second = await apply(people, "ALTER TABLE people ADD size int", scratch_url=scratch)
    with pytest.raises(RefusedError, match="take the later changes back first"):
        await rollback(people, first.run)
    await rollback(people, second.run)
    await rollback(people, first.run)
    assert [one.state for one in await runs(people)] == ["rolled back", "rolled back"]


async def test_a_run_is_taken_back_once(people: str, scratch: str) -> None:
    applied = await apply(people, "DROP TABLE pets", scratch_url=scratch)
    results = await asyncio.gather(rollback(people, applied.run), rollback(people, applied.run), return_exceptions=True)
    assert [isinstance(result, WatchdogError) for result in results].count(True) == 1
    assert await run(people, "SELECT name FROM pets") == [("rex",)]


async def test_a_run_that_is_not_there_is_said(people: str) -> None:
    with pytest.raises(WatchdogError, match="no run 7"):
        await rollback(people, 7)


async def test_an_index_that_cannot_be_built_leaves_nothing_behind(people: str, scratch: str) -> None:
    await run(people, "UPDATE people SET age = 1")
    with pytest.raises(WatchdogError, match="taken back"):
        await apply(people, "CREATE UNIQUE INDEX CONCURRENTLY one ON people (age)", scratch_url=scratch)
    assert await run(people, "SELECT to_regclass('one')") == [(None,)]
    assert await runs(people) == ()


@pytest_asyncio.fixture
async def owner(pg_database: str, postgres_server: PostgresServer) -> AsyncIterator[str]:
    name = pg_database.rsplit("/", 1)[1]
    await run(pg_database, f"CREATE ROLE {name}_owner LOGIN PASSWORD 'x'; ALTER DATABASE {name} OWNER TO {name}_owner")
    try:
        yield postgres_server.url(name, f"{name}_owner", "x")
    finally:
        await run(pg_database, f"REASSIGN OWNED BY {name}_owner TO postgres; DROP OWNED BY {name}_owner")
        await run(pg_database, f"DROP ROLE {name}_owner")


async def test_an_ordinary_owner_needs_no_superuser(owner: str, scratch: str) -> None:
    await run(owner, PEOPLE)
    applied = await apply(owner, "DROP TABLE people CASCADE; DELETE FROM pets", scratch_url=scratch)
    await rollback(owner, applied.run)
    assert await run(owner, "SELECT count(*) FROM pets JOIN people ON people.id = owner") == [(1,)]


@pytest.mark.parametrize(
    ("script", "later", "reason"),
    [
        ("ALTER TABLE people ADD UNIQUE (name)", "", ""),
        ("ALTER TABLE people DROP CONSTRAINT adult", "INSERT INTO people VALUES (4, 'kid', 3, now())", "adult"),
        ("DROP INDEX born_once", "INSERT INTO people VALUES (4, 'eve', 30, '1990-01-01')", "born_once"),
        ("ALTER TABLE pets DROP CONSTRAINT pets_owner_fkey", "INSERT INTO pets VALUES (2, 77)", "pets_owner_fkey"),
        ("ALTER TYPE size ADD VALUE 'xl'", "INSERT INTO shirts VALUES (2, 'xl')", "invalid input value for enum"),
        ("ALTER TABLE shirts ALTER id TYPE text", "INSERT INTO shirts VALUES ('two', 's')", "invalid input syntax"),
    ],
)
async def test_later_rows_that_break_what_comes_back_wait_in_quarantine(
    people: str, scratch: str, script: str, later: str, reason: str
) -> None:
    await run(
        people,
        "ALTER TABLE people ADD CONSTRAINT adult CHECK (age > 17); CREATE UNIQUE INDEX born_once ON people (born);"
        " CREATE TYPE size AS ENUM ('s', 'l'); CREATE TABLE shirts (id int PRIMARY KEY, size size);"
        " INSERT INTO shirts VALUES (1, 's')",
    )
    before = [await run(people, f"TABLE {table} ORDER BY 1") for table in ("people", "pets", "shirts")]
    applied = await apply(people, script, scratch_url=scratch)
    await run(people, later or "SELECT 1")
    await rollback(people, applied.run)
    assert [await run(people, f"TABLE {table} ORDER BY 1") for table in ("people", "pets", "shirts")] == before
    reasons = [str(text) for (text,) in await run(people, "SELECT reason FROM watchdog.migration_quarantine")]
    assert len(reasons) == bool(later)
    assert all(reason in text for text in reasons)


async def test_what_the_application_makes_as_it_goes_stays(people: str, scratch: str) -> None:
    script = "ALTER TABLE people DROP age; CREATE TABLE extra (id int)"
    applied = await apply(people, script, scratch_url=scratch)
    await run(
        people, "CREATE TABLE made (id int PRIMARY KEY); INSERT INTO made VALUES (1); CREATE INDEX ON pets (name)"
    )
    await rollback(people, applied.run)
    assert await run(people, "SELECT * FROM made") == [(1,)]
    assert await run(people, "SELECT count(*) FROM pg_indexes WHERE tablename = 'pets'") == [(2,)]


@pytest.mark.parametrize(
    "later",
    [
        "CREATE INDEX ON people (name)",
        "CREATE TABLE made (person int REFERENCES people (id))",
        "CREATE VIEW seen AS SELECT name FROM people",
        "ALTER TABLE people ADD more int",
        "CREATE TABLE part PARTITION OF months FOR VALUES FROM (10) TO (20)",
        "DROP INDEX named",
    ],
)
async def test_what_would_not_stay_refuses_the_rollback(people: str, scratch: str, later: str) -> None:
    await run(people, "CREATE INDEX named ON pets (name); CREATE TABLE months (id int, x int) PARTITION BY RANGE (id)")
    await run(people, "CREATE TABLE first PARTITION OF months FOR VALUES FROM (0) TO (10)")
    script = "ALTER TABLE people DROP age; ALTER TABLE months DROP x; UPDATE people SET name = 'x'"
    applied = await apply(people, script, scratch_url=scratch)
    await run(people, later)
    before = await run(people, "SELECT people::text FROM people ORDER BY id")
    with pytest.raises(WatchdogError, match="nothing was changed"):
        await rollback(people, applied.run)
    assert await run(people, "SELECT people::text FROM people ORDER BY id") == before
    assert [one.state for one in await runs(people)] == ["applied"]


async def test_grants_on_the_database_itself_are_no_part_of_its_schema(people: str, scratch: str) -> None:
    said = """
        DO $$ BEGIN
            EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
            EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), 'people');
        END $$
    """
    await run(people, said)
    applied = await apply(people, "ALTER TABLE people DROP age", scratch_url=scratch)
    await rollback(people, applied.run)
    assert await run(people, "SELECT age FROM people WHERE id = 1") == [(30,)]


async def test_what_could_not_be_taken_back_in_time_is_refused_unless_it_is_allowed(people: str, scratch: str) -> None:
    short = Options(rollback_within=0.01)
    with pytest.raises(RefusedError, match=r"its rollback would take about \d+ s, and may take 0 s.*--rollback-within"):
        await apply(people, "ALTER TABLE people DROP age", scratch_url=scratch, options=short)
    assert await run(people, "SELECT age FROM people WHERE id = 1") == [(30,)]
    await apply(people, "ALTER TABLE people DROP age", scratch_url=scratch, options=Options(rollback_within=60.0))
