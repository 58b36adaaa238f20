"""Rows in quarantine come back where they fit, and none of their values is ever shown."""

import pytest
import pytest_asyncio

from tests.support.archives import sql
from watchdog.migrations.apply import apply
from watchdog.migrations.quarantine import Waiting, replay, waiting, without_values
from watchdog.migrations.rollback import rollback
from watchdog.ports.errors import WatchdogError

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, born date NOT NULL);
CREATE TABLE pets (id int PRIMARY KEY, owner int NOT NULL REFERENCES people (id), tags text[], extra jsonb,
                   size int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO people VALUES (1, 'ann', '1990-01-01');
INSERT INTO pets VALUES (1, 1, '{a}', '{}');
"""
LEFT = """SELECT "table", "row" ->> 'id' FROM watchdog.migration_quarantine ORDER BY 1, 2"""


@pytest_asyncio.fixture
async def people(owner: str) -> str:
    await sql(owner, PEOPLE)
    return owner


async def tried(url: str, scratch: str, script: str, later: str) -> int:
    """Applies a script, lets users write, and takes it back; its run."""
    done = await apply(url, script, scratch_url=scratch)
    await sql(url, later)
    await rollback(url, done.run)
    return done.run


async def test_after_a_later_try_everything_that_waited_is_live(people: str, scratch: str) -> None:
    script = "ALTER TABLE people DROP born"
    later = (
        "INSERT INTO people VALUES (4, 'dan');"
        """ INSERT INTO pets VALUES (2, 4, '{"b,c",d}', '{"a": [1, "x"]}'), (3, 4, NULL, '[1]')"""
    )
    run = await tried(people, scratch, script, later)
    assert [(one.table, one.rows) for one in await waiting(people, run)] == [
        ('"public"."people"', 1),
        ('"public"."pets"', 2),
    ]
    await apply(people, script, scratch_url=scratch)
    done = await replay(people, run)
    assert done.back == {'"public"."people"': 1, '"public"."pets"': 2}
    assert done.waiting == ()
    assert await sql(people, "SELECT id, name FROM people ORDER BY 1") == [(1, "ann"), (4, "dan")]
    found = await sql(people, "SELECT id, owner, tags, extra, size FROM pets ORDER BY 1")
    assert found == [(1, 1, ["a"], {}, 2), (2, 4, ["b,c", "d"], {"a": [1, "x"]}, 4), (3, 4, None, [1], 6)]
    assert await sql(people, LEFT) == []


async def test_parents_come_before_children_whatever_their_names_and_order(people: str, scratch: str) -> None:
    script = (
        "CREATE TABLE b (id int PRIMARY KEY, up int REFERENCES b);"
        " CREATE TABLE a (id int PRIMARY KEY, b int REFERENCES b)"
    )
    run = await tried(people, scratch, script, "INSERT INTO b VALUES (1, NULL), (2, 1); INSERT INTO a VALUES (1, 2)")
    # The deeper child first.
    await sql(
        people,
        """UPDATE watchdog.migration_quarantine SET id = 100 WHERE "row" ->> 'id' = '1' AND "table" LIKE '%"b"'""",
    )
    await apply(people, script, scratch_url=scratch)
    assert (await replay(people, run)).back == {'"public"."a"': 1, '"public"."b"': 2}


async def test_what_still_does_not_fit_stays_with_its_reason_of_now(people: str, scratch: str) -> None:
    run = await tried(
        people, scratch, "ALTER TABLE people DROP born", "INSERT INTO people VALUES (4, 'dan'), (5, 'eve')"
    )
    await apply(people, "ALTER TABLE people DROP born, ADD CHECK (name <> 'eve')", scratch_url=scratch)
    done = await replay(people, run)
    assert done.back == {'"public"."people"': 1}
    (left,) = done.waiting
    assert 'violates check constraint "people_name_check"' in left.reason
    assert await sql(people, LEFT) == [('"public"."people"', "5")]


async def test_nothing_live_is_overwritten(people: str, scratch: str) -> None:
    run = await tried(people, scratch, "ALTER TABLE people DROP born", "INSERT INTO people VALUES (4, 'dan')")
    await apply(people, "ALTER TABLE people DROP born", scratch_url=scratch)
    await sql(people, "INSERT INTO people VALUES (4, 'other')")
    done = await replay(people, run)
    assert done.back == {}
    assert "people_pkey" in done.waiting[0].reason
    assert await sql(people, "SELECT name FROM people WHERE id = 4") == [("other",)]


async def test_a_column_that_is_not_there_keeps_a_row_that_has_a_value_for_it(people: str, scratch: str) -> None:
    script = "CREATE TABLE notes (id int, t text, u text)"
    run = await tried(people, scratch, script, "INSERT INTO notes VALUES (1, 'x', NULL), (2, 'x', 'y')")
    await apply(people, "CREATE TABLE notes (id int, t text)", scratch_url=scratch)
    done = await replay(people, run)
    assert done.back == {'"public"."notes"': 1}
    assert [one.reason for one in done.waiting] == ["a column (u) of its is not there"]
    assert await sql(people, LEFT) == [('"public"."notes"', "2")]


async def test_a_table_that_is_not_there_keeps_its_rows(people: str, scratch: str) -> None:
    run = await tried(people, scratch, "CREATE TABLE notes (id int)", "INSERT INTO notes VALUES (1)")
    assert [one.reason for one in (await replay(people, run)).waiting] == ['its table "public"."notes" is not there']


async def test_names_of_after_lead_to_the_names_of_now(people: str, scratch: str) -> None:
    script = (
        "ALTER TABLE people RENAME name TO called; ALTER TABLE people RENAME TO persons; ALTER TABLE persons DROP born"
    )
    later = "INSERT INTO persons VALUES (4, 'dan'); INSERT INTO pets VALUES (2, 4)"
    run = await tried(people, scratch, script, later)
    # The old schema takes them too, once it asks for less.
    await sql(people, "ALTER TABLE people ALTER born DROP NOT NULL")
    assert (await replay(people, run)).waiting == ()
    assert await sql(people, "SELECT name FROM people JOIN pets ON owner = people.id ORDER BY 1") == [
        ("ann",),
        ("dan",),
    ]


async def test_columns_that_changed_names_with_each_other_are_not_guessed(people: str, scratch: str) -> None:
    await sql(people, "CREATE TABLE t (id int PRIMARY KEY, a text, b text, c int NOT NULL)")
    script = (
        "ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME x TO b; ALTER TABLE t DROP c"
    )
    run = await tried(people, scratch, script, "INSERT INTO t VALUES (1, 'was a', 'was b')")
    await apply(people, script, scratch_url=scratch)
    done = await replay(people, run)
    assert done.back == {}
    assert "changed names with each other" in done.waiting[0].reason


async def test_replaying_again_finds_nothing_to_do(people: str, scratch: str) -> None:
    run = await tried(people, scratch, "CREATE TABLE notes (id int)", "INSERT INTO notes VALUES (1)")
    await apply(people, "CREATE TABLE notes (id int)", scratch_url=scratch)
    assert (await replay(people, run)).back == {'"public"."notes"': 1}
    assert (await replay(people, run)).back == {}
    assert await sql(people, "TABLE notes") == [(1,)]


async def test_a_run_that_is_not_there_is_said(people: str) -> None:
    with pytest.raises(WatchdogError, match="no run 7"):
        await waiting(people, 7)
    with pytest.raises(WatchdogError, match="no run 7"):
        await replay(people, 7)


async def test_a_value_in_a_reason_is_not_shown(people: str, scratch: str) -> None:
    await sql(people, "CREATE TYPE size AS ENUM ('s'); CREATE TABLE shirts (id int PRIMARY KEY, size size)")
    run = await tried(people, scratch, "ALTER TYPE size ADD VALUE 'secret'", "INSERT INTO shirts VALUES (1, 'secret')")
    (one,) = await waiting(people, run)
    assert one in {
        Waiting('"public"."shirts"', f"invalid input value for enum {size}", 1) for size in ("size", "public.size")
    }


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("its table was made by the migration", True),
        ('its parent in "public"."people" is not there any more (pets_owner_fkey)', True),
        ('duplicate key value violates unique constraint "people_pkey"', True),
        ('null value in column "born" of relation "people" violates not-null constraint', True),
        ("integer out of range", True),
        ("value too long for type character varying(3)", True),
        ('invalid input syntax for type integer: "secret"', False),
        ('value "secret" is out of range for type integer', False),
        ('date/time field value out of range: "secret"', False),
        ('malformed array literal: "secret"', False),
        ("the customer secret may not do this", False),
        ("invalid input syntax for type json", False),
    ],
)
def test_only_sentences_without_values_are_repeated(reason: str, *, shown: bool) -> None:
    assert (without_values(reason) == reason) is shown
    assert "secret" not in without_values(reason)
