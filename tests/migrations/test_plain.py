"""Errors of a script or a rollback say what went wrong, and never a row's value."""

import psycopg
import pytest

from tests.support.archives import sql
from watchdog.migrations.apply import apply
from watchdog.migrations.options import Options
from watchdog.migrations.plain import plain
from watchdog.ports.errors import WatchdogError

PLANTED = "planted-4711"
TABLE = f"""
CREATE TABLE t (id int PRIMARY KEY, word text, other text);
INSERT INTO t SELECT n, '{PLANTED}', 'x' FROM generate_series(1, 3) n;
CREATE FUNCTION say(word text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN IF word LIKE 'planted%' THEN RAISE EXCEPTION 'no %', word; END IF; RETURN word; END $$;
CREATE FUNCTION violate(word text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN IF word LIKE 'planted%' THEN RAISE EXCEPTION 'no %', word USING ERRCODE = '23505'; END IF; RETURN word;
       END $$;
"""


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("ALTER TABLE t ALTER word TYPE json USING word::json", "invalid input syntax for type json"),
        ("ALTER TABLE t ALTER word TYPE numeric USING word::numeric", "invalid input syntax for type numeric"),
        ("ALTER TABLE t ALTER word TYPE date USING word::date", "invalid input syntax for type date"),
        ("CREATE TYPE e AS ENUM ('a'); ALTER TABLE t ALTER word TYPE e USING word::e", "invalid input value for enum"),
        ("ALTER TABLE t ADD UNIQUE (word)", "could not create unique index"),
        ("ALTER TABLE t ADD CHECK (word = 'x')", "is violated by some row"),
        ("ALTER TABLE t ALTER word TYPE varchar(3)", "value too long for type"),
        ("UPDATE t SET id = (SELECT word FROM t LIMIT 1)::int", "invalid input syntax for type integer"),
        ("UPDATE t SET other = say(word)", "SQLSTATE P0001"),
        ("UPDATE t SET other = violate(word)", "SQLSTATE 23505"),
    ],
)
@pytest.mark.parametrize("online_rows", [50_000, 1])
async def test_a_value_that_a_script_stumbles_over_is_not_said(
    owner: str, scratch: str, script: str, said: str, online_rows: int
) -> None:
    await sql(owner, TABLE)
    with pytest.raises(WatchdogError) as raised:
        await apply(owner, script, scratch_url=scratch, options=Options(online_rows=online_rows))
    assert said in str(raised.value)
    assert PLANTED not in str(raised.value)


async def test_without_an_archive_neither(owner: str, scratch: str) -> None:
    await sql(owner, TABLE)
    options = Options(archive=False, reason="asked for")
    with pytest.raises(WatchdogError, match="invalid input syntax for type json") as raised:
        await apply(owner, "ALTER TABLE t ALTER word TYPE json USING word::json", scratch_url=scratch, options=options)
    assert PLANTED not in str(raised.value)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("SELECT 1 / 0", "division by zero"),
        ("SELECT nothing FROM pg_class", 'column "nothing" does not exist'),
        (f"SELECT '{PLANTED}'::int", "invalid input syntax for type integer"),
        (f"SELECT '{{\"a\": {PLANTED}}}'::jsonb", "invalid input syntax for type json"),
        ("SELECT '99999999999999'::int", "value … is out of range for type integer"),
    ],
)
async def test_the_rest_of_an_error_is_kept_as_far_as_it_is_about_objects(
    pg_database: str, script: str, said: str
) -> None:
    with pytest.raises(psycopg.Error) as raised:
        await sql(pg_database, script)
    assert plain(raised.value) == said
