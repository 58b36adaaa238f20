"""A person's rows leave every archive and quarantine; everybody else's come back as if nothing had been erased."""

from collections import Counter

import pytest
import pytest_asyncio

from tests.support.archives import archived, open_to, sql
from watchdog.migrations.erase import Erasure, ErasureError, erase
from watchdog.migrations.rollback import rollback
from watchdog.migrations.runs import archives, damaged
from watchdog.ports.errors import WatchdogError

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, email text);
CREATE TABLE pets (id int PRIMARY KEY, owner int NOT NULL REFERENCES people (id), name text);
INSERT INTO people VALUES (1, 'ann', 'ann@x'), (2, 'bob', 'bob@x'), (3, 'cyd', 'cyd@x');
INSERT INTO pets VALUES (1, 1, 'rex'), (2, 2, 'tom');
"""


@pytest_asyncio.fixture
async def people(owner: str) -> str:
    await sql(owner, PEOPLE)
    return owner


def counted(done: Erasure) -> Counter[str]:
    found: Counter[str] = Counter()
    for place in done.places:
        found[place.name] += place.rows
    return found


async def test_a_person_leaves_both_images_and_does_not_come_back(people: str, scratch: str) -> None:
    run = await archived(people, "UPDATE people SET name = upper(name)", scratch)
    await sql(people, "DELETE FROM pets WHERE owner = 1; DELETE FROM people WHERE id = 1")
    done = await erase(people, "public.people", {"id": "1"})
    assert counted(done) == {"watchdog.run_1_0_before": 1, "watchdog.run_1_0_after": 1}
    await rollback(people, run)
    assert await sql(people, "SELECT id, name FROM people ORDER BY 1") == [(2, "bob"), (3, "cyd")]


async def test_a_column_that_the_script_dropped_still_finds_the_person_in_both_images(
    people: str, scratch: str
) -> None:
    await archived(people, "ALTER TABLE people DROP email", scratch)
    done = await erase(people, "people", {"email": "ann@x"})
    assert counted(done) == {"watchdog.run_1_0_before": 1, "watchdog.run_1_0_after": 1}
    assert (await sql(people, "SELECT c0 FROM watchdog.run_1_0_after ORDER BY 1")) == [("2",), ("3",)]


async def test_all_columns_must_hold(people: str, scratch: str) -> None:
    await archived(people, "DROP TABLE pets", scratch)
    assert counted(await erase(people, "pets", {"owner": "1", "name": "tom"})) == {}
    assert counted(await erase(people, "pets", {"owner": "1", "name": "rex"})) == {"watchdog.run_1_0_before": 1}


async def test_the_registry_stays_true(people: str, scratch: str) -> None:
    run = await archived(people, "DROP TABLE people CASCADE", scratch)
    await erase(people, "people", {"id": "2"})
    async with open_to(people) as connection:
        kept = {one.name: (one.rows, one.erased) for one in await archives(connection, run)}
        assert (2, 1) in kept.values()
        assert await damaged(connection, run) == ()
        (size,) = await sql(
            people, "SELECT sum(bytes - pg_total_relation_size(name::regclass)) FROM watchdog.migration_archives"
        )
    assert size == (0,)


async def test_nothing_of_the_person_is_left_in_the_files(people: str, pg_database: str, scratch: str) -> None:
    await archived(people, "DROP TABLE people CASCADE; CREATE TABLE notes (who text)", scratch)
    await sql(
        people,
        'INSERT INTO watchdog.migration_quarantine (run, "table", reason, "row") VALUES'
        ' (1, \'"public"."people"\', \'x\', \'{"id": "1", "email": "ann@x"}\')',
    )
    files = (
        "SELECT count(*) FROM (SELECT c0.oid FROM pg_class c0 WHERE relnamespace = 'watchdog'::regnamespace"
        " AND relkind = 'r' AND relname ~ '^(run_|migration_quarantine)') c,"
        " pg_read_binary_file(pg_relation_filepath(c.oid)) AS content WHERE position('ann@x'::bytea IN content) > 0"
    )
    await sql(pg_database, "CHECKPOINT")
    assert await sql(pg_database, files) == [(2,)]
    done = await erase(people, "people", {"id": "1"})
    assert sum(counted(done).values()) == 2
    await sql(pg_database, "CHECKPOINT")
    assert await sql(pg_database, files) == [(0,)]


async def test_rows_in_quarantine_go_too_and_other_peoples_stay(people: str, scratch: str) -> None:
    await sql(people, "ALTER TABLE people ALTER email SET NOT NULL")
    run = await archived(people, "ALTER TABLE people DROP email", scratch)
    await sql(
        people, "INSERT INTO people VALUES (4, 'dan'), (5, 'eve'); INSERT INTO pets VALUES (3, 4, 'cat'), (4, 5, 'dog')"
    )
    await rollback(people, run)
    done = await erase(people, "people", {"id": "4"})
    assert counted(done) == {"watchdog.migration_quarantine": 1}
    assert '"public"."pets"' in done.others
    assert counted(await erase(people, "pets", {"owner": "4"})) == {"watchdog.migration_quarantine": 1}
    left = await sql(people, """SELECT "row" ->> 'name' FROM watchdog.migration_quarantine ORDER BY 1""")
    assert left == [("dog",), ("eve",)]


@pytest.mark.parametrize(
    ("kind", "kept", "given"),
    [
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
        ("date", "2025-01-08", "8 Jan 2025"),
        ("int", "42", "042"),
        ("citext", "Ann@X", "ann@x"),
        ("text", r"it's \ 5 % \u0041", r"it's \ 5 % \u0041"),
    ],
)
async def test_a_value_is_found_however_it_is_spelt(
    pg_database: str, scratch: str, kind: str, kept: str, given: str
) -> None:
    await sql(pg_database, f"CREATE EXTENSION citext; CREATE TABLE t (k {kind}, n int)")
    async with open_to(pg_database) as connection:
        await connection.execute(f"INSERT INTO t VALUES (%s::text::{kind}, 1)".encode(), (kept,))
    await archived(pg_database, "DROP TABLE t", scratch)
    assert counted(await erase(pg_database, "t", {"k": given})) == {"watchdog.run_1_0_before": 1}


async def test_in_a_table_without_key_only_the_persons_row_is_merged_away(people: str, scratch: str) -> None:
    await sql(people, "CREATE TABLE visits (who text, page text, note text)")
    await sql(
        people, "INSERT INTO visits VALUES ('ann', '/', 'a'), ('bob', '/', 'b'), ('bob', '/x', 'b'), ('cyd', '/', 'c')"
    )
    run = await archived(people, "ALTER TABLE visits DROP who", scratch)
    # The shared columns of ann's row are nobody else's, those of what is erased next are.
    assert sum(counted(await erase(people, "visits", {"who": "ann"})).values()) == 2
    await sql(people, "DELETE FROM visits WHERE note = 'a'")
    await rollback(people, run)
    assert await sql(people, "SELECT who, page FROM visits ORDER BY 1, 2") == [
        ("bob", "/"),
        ("bob", "/x"),
        ("cyd", "/"),
    ]


async def test_a_table_and_its_columns_are_found_by_their_names_of_before_and_of_after(
    people: str, scratch: str
) -> None:
    script = (
        "ALTER TABLE people RENAME TO persons; ALTER TABLE persons RENAME id TO number; UPDATE persons SET name = ''"
    )
    run = await archived(people, script, scratch)
    assert sum(counted(await erase(people, "people", {"id": "1"})).values()) == 2
    assert sum(counted(await erase(people, "persons", {"number": "2"})).values()) == 2
    assert await sql(people, f"SELECT c0 FROM watchdog.run_{run}_0_before") == [("3",)]


async def test_names_that_were_swapped_mean_those_of_before(people: str, scratch: str) -> None:
    await sql(
        people,
        "CREATE TABLE others (id int PRIMARY KEY, name text, email text); INSERT INTO others VALUES (1, 'o', 'o@x')",
    )
    script = (
        "ALTER TABLE people RENAME TO x; ALTER TABLE others RENAME TO people; ALTER TABLE x RENAME TO others;"
        " UPDATE people SET email = ''; UPDATE others SET email = ''"
    )
    await archived(people, script, scratch)
    done = await erase(people, "people", {"id": "1"})
    assert {place.table for place in done.places} == {'"public"."people"'}
    assert ("o@x",) in await sql(
        people, "SELECT c2 FROM watchdog.run_1_0_before UNION SELECT c2 FROM watchdog.run_1_1_before"
    )


async def test_values_of_a_column_that_the_migration_added_go_too(people: str, scratch: str) -> None:
    run = await archived(people, "ALTER TABLE people ADD nick text", scratch)
    await sql(people, "UPDATE people SET nick = 'annie' WHERE id = 1")
    (kept,) = (await rollback(people, run)).kept_columns
    assert counted(await erase(people, "people", {"nick": "annie"})) == {kept: 1}
    assert ("annie",) not in await sql(people, f"SELECT x0 FROM {kept}")


async def test_what_cannot_be_searched_and_what_was_not_looked_at_is_said(people: str, scratch: str) -> None:
    await archived(people, "DROP TABLE pets", scratch)
    await archived(people, "UPDATE people SET name = 'x'", scratch)
    done = await erase(people, "people", {"phone": "1"})
    assert done.places == []
    assert "run 2 has no column phone" in done.unsearched[0]
    assert done.others == ['"public"."pets"']


async def test_without_runs_there_is_nothing_to_erase(people: str) -> None:
    assert await erase(people, "people", {"id": "1"}) == Erasure()


@pytest.mark.parametrize(("table", "key"), [("people", {}), ("a.b.c", {"id": "1"}), ('"', {"id": "1"})])
async def test_what_cannot_be_meant_is_wrong_use(people: str, scratch: str, table: str, key: dict[str, str]) -> None:
    await archived(people, "DROP TABLE pets", scratch)
    with pytest.raises(ErasureError):
        await erase(people, table, key)


async def test_a_rollback_under_way_is_not_disturbed(people: str, scratch: str) -> None:
    await archived(people, "DROP TABLE pets", scratch)
    async with open_to(people) as other, other.transaction():
        await other.execute(b"SELECT FROM watchdog.migration_runs FOR UPDATE")
        with pytest.raises(WatchdogError, match="in use"):
            await erase(people, "pets", {"id": "1"})
    assert len(await sql(people, "TABLE watchdog.run_1_0_before")) == 2
