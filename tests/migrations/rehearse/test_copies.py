"""Copies are like production, or are refused; what is personal does not leave it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.support.archives import open_to, sql
from watchdog.migrations.catalog import surroundings
from watchdog.migrations.dump import dump
from watchdog.migrations.rehearse.copies import Copies, copies
from watchdog.migrations.rehearse.values import Data, Given
from watchdog.migrations.session import RefusedError


@asynccontextmanager
async def made(url: str, scratch: str, given: Given) -> AsyncIterator[Copies]:
    async with (
        open_to(url) as production,
        copies(scratch, production, await dump(url), await surroundings(production), given) as found,
    ):
        yield found


async def test_a_sample_is_masked_and_its_foreign_keys_hold(owner: str, scratch: str, shop: str) -> None:
    await sql(owner, shop)
    async with made(owner, scratch, Given("", rows=5)) as found, found.fresh() as copy:
        assert found.loaded.rows == {("public", "people"): 10, ("public", "pets"): 5, ("public", "log"): 5}
        orphans = "SELECT count(*) FROM pets WHERE owner NOT IN (SELECT id FROM people)"
        assert await sql(copy.url, orphans) == [(0,)]
        assert await sql(copy.url, "SELECT count(*) FROM people WHERE note LIKE '%secret%'") == [(0,)]
        # A new row gets a new number, as it would in production.
        assert await sql(copy.url, "INSERT INTO people DEFAULT VALUES RETURNING id") == [(31,)]
        async with found.fresh() as another:
            assert await sql(another.url, "SELECT count(*) FROM people") == [(10,)]
    assert await sql(scratch, "SELECT count(*) FROM pg_database WHERE datname LIKE 'watchdog_clone%'") == [(0,)]


async def test_all_rows_are_copied_as_they_are_when_that_is_wanted(owner: str, scratch: str, shop: str) -> None:
    await sql(owner, shop)
    given = Given("", data=Data.FULL, masked=False)
    async with made(owner, scratch, given) as found, found.fresh() as copy:
        assert await sql(copy.url, "TABLE people ORDER BY id") == await sql(owner, "TABLE people ORDER BY id")


async def test_another_version_of_an_extension_is_refused(pg_database: str, scratch: str) -> None:
    await sql(pg_database, "CREATE EXTENSION hstore VERSION '1.4'")
    with pytest.raises(RefusedError, match=r"proves nothing here: the extensions differ: hstore 1\.4, hstore"):
        async with made(pg_database, scratch, Given("")):
            pass


async def test_another_version_of_the_server_is_refused(pg_database: str, scratch: str) -> None:
    async with open_to(pg_database) as production:
        other = replace(await surroundings(production), server="15")
        with pytest.raises(RefusedError, match="the scratch server is PostgreSQL 18, production is 15"):
            async with copies(scratch, production, (), other, Given("")):
                pass


FAMILY = """
CREATE TABLE tree (id int PRIMARY KEY, above int);
INSERT INTO tree SELECT n, nullif(n + 1, 9) FROM generate_series(1, 8) n;
ALTER TABLE tree ADD FOREIGN KEY (above) REFERENCES tree;
CREATE TABLE days (at date, id int, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO days SELECT date '2024-01-01' + n, n FROM generate_series(1, 9) n;
CREATE TABLE visits (id int PRIMARY KEY, at date, day int, FOREIGN KEY (at, day) REFERENCES days);
INSERT INTO visits VALUES (1, '2024-01-10', 9), (2, NULL, 7);
CREATE TABLE codes (id int PRIMARY KEY, said text);
INSERT INTO codes VALUES (1, '12');
CREATE UNIQUE INDEX ON codes ((said::int));
CREATE TABLE uses (code int REFERENCES codes);
INSERT INTO uses VALUES (1), (NULL);
"""


async def test_parents_of_parents_are_there_and_what_cannot_be_masked_is_named(owner: str, scratch: str) -> None:
    await sql(owner, FAMILY)
    async with made(owner, scratch, Given("", rows=2)) as found:
        loaded = {name: count for (_, name), count in found.loaded.rows.items()}
        assert loaded == {"tree": 8, "days_1": 3, "visits": 2, "codes": 0, "uses": 1}
        assert found.loaded.empty == (("public", "codes"),)
