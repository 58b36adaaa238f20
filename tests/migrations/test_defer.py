"""Drops that are put off until the run is settled."""

import psycopg
import pytest
import pytest_asyncio

from watchdog.migrations.apply import apply
from watchdog.migrations.options import Options
from watchdog.migrations.rollback import rollback
from watchdog.migrations.settle import settle
from watchdog.ports.errors import WatchdogError
from watchdog.servers.postgres import PostgresServer

SHOP = """
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, born date NOT NULL, kind text NOT NULL DEFAULT 'x',
    email text UNIQUE, age int);
CREATE INDEX ON people (born);
CREATE TABLE pets (id serial PRIMARY KEY, owner int NOT NULL REFERENCES people (id) ON DELETE CASCADE, name text);
CREATE VIEW names AS SELECT name FROM people;
INSERT INTO people SELECT n, 'p' || n, '2000-01-01', 'k' || n, n || '@x', n FROM generate_series(1, 50) n;
INSERT INTO pets (owner, name) SELECT n, 'pet' FROM generate_series(1, 20) n;
"""
DEFER = Options(defer=True)


async def run(url: str, script: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(script.encode())
        return await cursor.fetchall() if cursor.description else []


async def columns(url: str, table: str) -> list[object]:
    query = f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
    return [name for (name,) in await run(url, query)]


@pytest.fixture
def scratch(postgres_server: PostgresServer) -> str:
    return postgres_server.url("postgres")


@pytest_asyncio.fixture
async def shop(pg_database: str) -> str:
    await run(pg_database, SHOP)
    return pg_database


async def test_a_column_moves_aside_comes_back_and_keeps_its_place(shop: str, scratch: str) -> None:
    before = await run(shop, "SELECT * FROM people ORDER BY id")
    applied = await apply(
        shop, "ALTER TABLE people DROP COLUMN born, ADD COLUMN x int", scratch_url=scratch, options=DEFER
    )
    assert applied.archives == {}
    assert "born" in applied.moved[0]
    assert "born" not in await columns(shop, "people")
    await run(shop, "INSERT INTO people (id, name) VALUES (99, 'later'); UPDATE people SET name = 'new' WHERE id = 1")
    report = await rollback(shop, applied.run)
    assert report.quarantined == 1  # no birthday, and the column asks for one
    after = await run(shop, "SELECT * FROM people ORDER BY id")
    assert after == [(1, "new", *before[0][2:]), *before[1:]]
    assert (await columns(shop, "people"))[2] == "born"


async def test_a_later_row_has_the_default_of_the_column_that_was_aside(shop: str, scratch: str) -> None:
    applied = await apply(shop, "ALTER TABLE people DROP kind", scratch_url=scratch, options=DEFER)
    await run(shop, "INSERT INTO people (id, name, born) VALUES (99, 'later', '2020-01-01')")
    assert (await rollback(shop, applied.run)).quarantined == 0
    assert await run(shop, "SELECT kind FROM people WHERE id IN (7, 99) ORDER BY id") == [("k7",), ("x",)]


async def test_a_table_moves_aside_with_all_that_is_its_own(shop: str, scratch: str) -> None:
    applied = await apply(shop, "DROP TABLE pets", scratch_url=scratch, options=DEFER)
    assert await run(shop, "SELECT to_regclass('pets'), to_regclass('pets_id_seq')") == [(None, None)]
    await run(shop, "DELETE FROM people WHERE id = 1")  # nothing holds it any more
    report = await rollback(shop, applied.run)
    assert report.quarantined == 1  # the pet of who is gone
    assert await run(shop, "SELECT count(*) FROM pets") == [(19,)]
    assert await run(shop, "INSERT INTO pets (owner) VALUES (2) RETURNING id") == [(21,)]


async def test_settling_drops_for_real(shop: str, scratch: str) -> None:
    script = "ALTER TABLE people DROP born; DROP TABLE pets"
    applied = await apply(shop, script, scratch_url=scratch, options=DEFER)
    await settle(shop, applied.run)
    assert await run(shop, "SELECT count(*) FROM pg_class WHERE relname ~ 'pets'") == [(0,)]
    assert await columns(shop, "people") == ["id", "name", "kind", "email", "age"]
    with pytest.raises(WatchdogError, match="settled"):
        await rollback(shop, applied.run)


async def test_a_run_is_not_settled_under_a_later_one_that_remembers(shop: str, scratch: str) -> None:
    first = await apply(shop, "ALTER TABLE people DROP born", scratch_url=scratch, options=DEFER)
    second = await apply(shop, "ALTER TABLE people ADD y int", scratch_url=scratch)
    with pytest.raises(WatchdogError, match=f"run {second.run}"):
        await settle(shop, first.run)
    await rollback(shop, second.run)
    await settle(shop, first.run)


@pytest.mark.parametrize(
    "script", ["ALTER TABLE people DROP email", "DROP TABLE people CASCADE", "UPDATE people SET age = 0"]
)
async def test_what_cannot_move_aside_is_archived(shop: str, scratch: str, script: str) -> None:
    before = await run(shop, "SELECT * FROM people ORDER BY id")
    applied = await apply(shop, script, scratch_url=scratch, options=DEFER)
    assert applied.moved == ()
    assert applied.archives["public.people"] == 50
    await rollback(shop, applied.run)
    assert await run(shop, "SELECT * FROM people ORDER BY id") == before


async def test_another_schema_in_the_end_is_refused(shop: str, scratch: str) -> None:
    await run(shop, "CREATE TYPE mood AS ENUM ('a'); ALTER TABLE people ADD mood mood")
    script = "ALTER TABLE people DROP mood; DROP TYPE mood"
    with pytest.raises(WatchdogError, match="mood"):
        await apply(shop, script, scratch_url=scratch, options=DEFER)
    assert "mood" in await columns(shop, "people")
    await rollback(shop, (await apply(shop, script, scratch_url=scratch)).run)


async def test_a_script_that_makes_a_table_of_the_same_name_is_told_apart(shop: str, scratch: str) -> None:
    before = await run(shop, "SELECT * FROM pets ORDER BY id")
    script = "DROP TABLE pets; CREATE TABLE pets (id serial PRIMARY KEY, animal text)"
    applied = await apply(shop, script, scratch_url=scratch, options=DEFER)
    await run(shop, "INSERT INTO pets (animal) VALUES ('cat')")
    assert (await rollback(shop, applied.run)).quarantined == 1
    assert await run(shop, "SELECT * FROM pets ORDER BY id") == before
