"""Errors of a copy say what happened, and no value of a row."""

import psycopg
import pytest

from tests.support.archives import sql
from watchdog.migrations.rehearse.errors import plain
from watchdog.ports.errors import WatchdogError


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("INSERT INTO people (email) VALUES ('p1')", "SQLSTATE 23505 on public.people"),
        ("SELECT email::int FROM people", "SQLSTATE 22P02"),
        ("SELECT * FROM nowhere", 'relation "nowhere" does not exist (SQLSTATE 42P01)'),
    ],
)
async def test_values_are_left_out(pg_database: str, shop: str, statement: str, said: str) -> None:
    await sql(pg_database, shop)
    with pytest.raises(psycopg.Error) as caught:
        await sql(pg_database, statement)
    assert plain(caught.value) == said
    outer = WatchdogError(f"it failed: {caught.value}")
    outer.__cause__ = caught.value
    assert plain(outer) == said


def test_our_own_errors_stay_as_they_are() -> None:
    assert plain(WatchdogError("the schema was changed")) == "the schema was changed"
