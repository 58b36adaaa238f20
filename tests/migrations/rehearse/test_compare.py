"""Everything that a rollback could lose is found, and nothing else."""

import pytest

from tests.support.archives import open_to, sql
from watchdog.migrations.rehearse.compare import Moments, losses
from watchdog.migrations.rehearse.snapshots import shape_of, take, take_back
from watchdog.migrations.runs import prepare

BEFORE = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE users (id int PRIMARY KEY, name text, age int, feels mood);
CREATE TABLE lines (said text);
CREATE TABLE notes (id int PRIMARY KEY, said text);
INSERT INTO users SELECT n, 'name ' || n, n, 'sad' FROM generate_series(1, 9) n;
INSERT INTO lines SELECT 'line ' || n % 2 FROM generate_series(1, 6) n;
INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 3) n;
"""
UP = """
ALTER TABLE users RENAME name TO called;
UPDATE users SET age = age * 10;
DROP TABLE notes;
CREATE TABLE made (id int);
INSERT INTO made VALUES (1);
INSERT INTO users VALUES (50, 'by the script', 0);
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
"""
USERS = """
UPDATE users SET called = 'changed' WHERE id = 1;
DELETE FROM users WHERE id = 2;
INSERT INTO users VALUES (100, 'new', 7, 'blue');
INSERT INTO lines VALUES ('a new line');
DELETE FROM lines WHERE ctid = (SELECT min(ctid) FROM lines);
INSERT INTO made VALUES (2);
"""
DOWN = """
ALTER TABLE users RENAME called TO name;
ALTER TYPE mood RENAME VALUE 'blue' TO 'sad';
UPDATE users SET age = age / 10 WHERE id < 50;
DELETE FROM users WHERE id = 50;
DROP TABLE made;
CREATE TABLE notes (id int PRIMARY KEY, said text);
INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 3) n;
INSERT INTO watchdog.migration_quarantine (run, "table", reason, "row")
VALUES (1, '"public"."made"', '', '{"id": "2"}');
"""


async def found_after(url: str, down: str, users: str = USERS) -> list[str]:
    await sql(url, BEFORE)
    async with open_to(url) as connection:
        await prepare(connection)
        old = await shape_of(connection)
        before = await take(connection, "before", old)
        await sql(url, UP)
        new = await shape_of(connection)
        after = await take(connection, "after", new, old)
        await sql(url, users)
        later = await take(connection, "later", new, old)
        await sql(url, down)
        back, gone = await take_back(connection, "back", old, await shape_of(connection))
        if gone:
            return list(gone)
        return await losses(connection, 1, old, new, Moments(before, after, later, back))


async def test_a_way_back_that_keeps_everything_has_no_losses(pg_database: str) -> None:
    assert await found_after(pg_database, DOWN) == []


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("DELETE FROM users WHERE id = 5", '1 earlier rows of "public"."users" are gone or changed'),
        ("UPDATE users SET age = 0 WHERE id > 7 AND id < 50", '2 earlier rows of "public"."users" are gone or changed'),
        ("DELETE FROM users WHERE id = 100", '1 later rows of "public"."users" are neither live nor in quarantine'),
        (
            "UPDATE users SET name = 'name 1' WHERE id = 1",
            '1 later rows of "public"."users" are neither live nor in quarantine',
        ),
        ("INSERT INTO users VALUES (2, 'name 2', 2)", '1 rows of "public"."users" are there again that users had'),
        ("INSERT INTO users VALUES (50, 'by the script', 0)", '1 rows of "public"."users" are there that nobody wrote'),
        ("DELETE FROM lines", '5 earlier rows of "public"."lines" are gone or changed'),
        ("DELETE FROM lines WHERE said LIKE 'a%'", '1 later rows of "public"."lines" are neither live nor'),
        ("INSERT INTO lines VALUES ('a new line')", '1 rows of "public"."lines" are there that nobody wrote'),
        ("DELETE FROM notes WHERE id = 1", '1 earlier rows of "public"."notes" are gone or changed'),
        ("INSERT INTO notes VALUES (4)", '1 rows of "public"."notes" are there that nobody wrote'),
        ("TRUNCATE watchdog.migration_quarantine", '1 later rows of "public"."made" are not in quarantine'),
        ("DROP TABLE notes", 'table "public"."notes" or one of its columns is gone'),
        ("ALTER TABLE users DROP age", 'table "public"."users" or one of its columns is gone'),
    ],
)
async def test_every_loss_is_found(pg_database: str, damage: str, finding: str) -> None:
    assert any(line.startswith(finding) for line in await found_after(pg_database, f"{DOWN}; {damage}"))


async def test_what_is_in_quarantine_is_not_lost(pg_database: str) -> None:
    aside = """;
        DELETE FROM users WHERE id IN (5, 100);
        INSERT INTO watchdog.migration_quarantine (run, "table", reason, "row")
        VALUES (1, '"public"."users"', '', '{"id": 5}'), (1, '"public"."users"', '', '{"id": "100"}')
    """
    assert await found_after(pg_database, DOWN + aside) == []
