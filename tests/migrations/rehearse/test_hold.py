"""A certificate holds for one script on one kind of database."""

from dataclasses import replace

import pytest

from tests.support.archives import open_to, sql
from watchdog.migrations.catalog import surroundings
from watchdog.migrations.rehearse.hold import holds, script_hash
from watchdog.model.releases import Certificate, Compatibility, Surroundings

SCRIPT = "ALTER TABLE people DROP note"


async def certified(url: str) -> Certificate:
    async with open_to(url) as connection:
        here = await surroundings(connection)
    return Certificate(
        "c", 0, here, "hash", restored=True, old_code=Compatibility.UNKNOWN, measured=1, scripts=(script_hash(SCRIPT),)
    )


async def reasons(url: str, certificate: Certificate, script: str = SCRIPT) -> tuple[str, ...]:
    async with open_to(url) as connection:
        return await holds(connection, certificate, script)


async def test_it_holds_where_it_was_issued(pg_database: str, shop: str) -> None:
    await sql(pg_database, shop)
    certificate = await certified(pg_database)
    assert await reasons(pg_database, certificate) == ()
    assert await reasons(pg_database, certificate, f"{SCRIPT};") == ("it is of another script; rehearse this one",)
    assert "did not restore" in (await reasons(pg_database, replace(certificate, restored=False)))[0]
    await sql(pg_database, "ALTER TABLE people ADD n int")
    assert await reasons(pg_database, certificate) == ("the schema before the first change is another one",)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"server": "15"}, "PostgreSQL 15"),
        ({"extensions": ("citext 1.6",)}, "the extensions differ: citext 1.6"),
        ({"collation": "c de_DE 2.36"}, "the collation differs"),
    ],
)
async def test_it_does_not_hold_on_another_server(pg_database: str, other: dict[str, str], reason: str) -> None:
    certificate = await certified(pg_database)
    there: Surroundings = replace(certificate.surroundings, **other)  # type: ignore[arg-type]  # values of each field
    assert reason in " ".join(await reasons(pg_database, replace(certificate, surroundings=there)))
