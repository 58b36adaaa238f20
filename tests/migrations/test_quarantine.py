"""Rows in quarantine come back where they fit, and none of their values is ever shown."""

import pytest
import pytest_asyncio

from tests.support.archives import sql
from watchdog.migrations.apply import apply
from watchdog.migrations.options import Options
from watchdog.migrations.quarantine import Waiting, replay, said, waiting
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


SWAPPED = "ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME x TO b; ALTER TABLE t DROP c"


async def swapped(url: str, scratch: str) -> int:
    """A run that swaps the names of two columns, taken back with one row in quarantine."""
    await sql(url, "CREATE TABLE t (id int PRIMARY KEY, a text, b text, c int NOT NULL)")
    return await tried(url, scratch, SWAPPED, "INSERT INTO t (id, b, a) VALUES (1, 'was a', 'was b')")


async def test_columns_that_changed_names_with_each_other_find_their_own_values(people: str, scratch: str) -> None:
    run = await swapped(people, scratch)
    await apply(people, SWAPPED, scratch_url=scratch)
    assert (await replay(people, run)).back == {'"public"."t"': 1}
    assert await sql(people, "SELECT b, a FROM t") == [("was a", "was b")]


async def test_in_the_old_schema_they_do_too(people: str, scratch: str) -> None:
    run = await swapped(people, scratch)
    await sql(people, "ALTER TABLE t ALTER c DROP NOT NULL")
    assert (await replay(people, run)).back == {'"public"."t"': 1}
    assert await sql(people, "SELECT a, b FROM t") == [("was a", "was b")]


async def test_after_another_migration_nobody_guesses_which_is_which(people: str, scratch: str) -> None:
    run = await swapped(people, scratch)
    await apply(people, SWAPPED, scratch_url=scratch)
    await apply(people, "ALTER TABLE people ADD nick text", scratch_url=scratch)
    done = await replay(people, run)
    assert done.back == {}
    assert "changed names with each other" in done.waiting[0].reason


async def test_what_the_server_said_is_kept_apart_from_how_it_said_it(people: str, scratch: str) -> None:
    run = await tried(people, scratch, "ALTER TABLE people DROP born", "INSERT INTO people VALUES (4, 'dan')")
    kept = await sql(people, "SELECT sqlstate, about FROM watchdog.migration_quarantine")
    assert kept == [("23502", "born")]
    assert [one.sqlstate for one in await waiting(people, run)] == ["23502"]


CHAIN = """
CREATE TABLE a (id int PRIMARY KEY, must int NOT NULL);
CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a (id));
CREATE TABLE c (id int PRIMARY KEY, b int NOT NULL REFERENCES b (id) ON DELETE CASCADE);
CREATE TABLE d (id int PRIMARY KEY, c int REFERENCES c (id) ON DELETE SET NULL, note text);
CREATE TABLE e (id int PRIMARY KEY, b int NOT NULL REFERENCES b (id));
INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); INSERT INTO c VALUES (1, 1); INSERT INTO d VALUES (1, 1);
"""
LATER = """
INSERT INTO a VALUES (2); INSERT INTO b VALUES (2, 2); INSERT INTO c VALUES (2, 2), (3, 2);
INSERT INTO d VALUES (2, 2, 'stays'); INSERT INTO e VALUES (2, 2);
"""


@pytest.mark.parametrize("online_rows", [50_000, 1])
async def test_the_rows_that_need_a_quarantined_row_follow_it_and_come_back_with_it(
    people: str, scratch: str, online_rows: int
) -> None:
    await sql(people, CHAIN)
    options = Options(online_rows=online_rows)
    run = (await apply(people, "ALTER TABLE a DROP must", scratch_url=scratch, options=options)).run
    await sql(people, LATER)
    report = await rollback(people, run)
    assert report.quarantined == 5
    assert await sql(people, LEFT) == [
        ('"public"."a"', "2"),
        ('"public"."b"', "2"),
        ('"public"."c"', "2"),
        ('"public"."c"', "3"),
        ('"public"."e"', "2"),
    ]
    assert await sql(people, "SELECT id, c, note FROM d ORDER BY 1") == [(1, 1, None), (2, None, "stays")]
    await apply(people, "ALTER TABLE a DROP must", scratch_url=scratch)
    assert (await replay(people, run)).waiting == ()
    assert await sql(people, "SELECT count(*) FROM c JOIN b ON b = b.id JOIN a ON a = a.id") == [(3,)]


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
        Waiting('"public"."shirts"', f"invalid input value for enum {size}", 1, "22P02")
        for size in ("size", "public.size")
    }


async def test_what_a_function_of_the_database_says_is_not_repeated(people: str, scratch: str) -> None:
    await sql(
        people,
        """CREATE FUNCTION no() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
            $$ BEGIN RAISE EXCEPTION 'not secret' USING ERRCODE = '23514'; END $$;
        CREATE FUNCTION few(n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
            $$ BEGIN IF n > 3 THEN RETURN no(); END IF; RETURN true; END $$;
        CREATE TABLE t (id int PRIMARY KEY, n int CHECK (few(n)))""",
    )
    run = await tried(people, scratch, "ALTER TABLE t DROP CONSTRAINT t_n_check", "INSERT INTO t VALUES (1, 4)")
    (one,) = await waiting(people, run)
    assert (one.sqlstate, "secret" in one.reason) == ("23514", False)


@pytest.mark.parametrize(
    ("reason", "state", "about", "shown"),
    [
        ("its table was made by the migration", None, None, "its table was made by the migration"),
        (
            'its parent in "public"."people" is not there any more (pets_owner_fkey)', None, None,
            'its parent in "public"."people" is not there any more (pets_owner_fkey)',
        ),
        ("the customer secret may not do this", None, None, "another error, see column reason in the database"),
        ("doppelter Schlüsselwert secret", "23505", "k", 'duplicate key value violates unique constraint "k"'),
        ("NULL-Wert in Spalte secret", "23502", "born", 'null value in column "born" violates not-null constraint'),
        ("integer out of range", "22003", None, "integer out of range"),
        ('invalid input syntax for type integer: "secret"', "22P02", None, "invalid input syntax for type integer"),
        ("ungültige Eingabesyntax für Typ integer: »secret«", "22P02", None, "ungültige Eingabesyntax für Typ integer"),
        ('value "secret" is out of range for type integer', "22003", None, "value … is out of range for type integer"),
        ("Wert »secret« ist außerhalb", "22003", None, "Wert … ist außerhalb"),
        (
            "the customer secret", "P0001", None,
            "another error, see column reason in the database (SQLSTATE P0001)",
        ),
        ("secret", "23514", None, "another error, see column reason in the database (SQLSTATE 23514)"),
    ],
)  # fmt: skip
def test_only_what_holds_no_value_is_said(reason: str, state: str | None, about: str | None, shown: str) -> None:
    assert said(reason, state, about) == shown
