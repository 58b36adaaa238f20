"""The catalog as text: what a schema is made of, so that two of them can be compared and named by a hash."""

import hashlib
from importlib import resources

from watchdog.model.releases import Surroundings
from watchdog.targets.postgres import Connection

_EXTENSIONS = "SELECT format('%s %s', extname, extversion) FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
_COLLATION = """
    SELECT format('%s %s %s', datlocprovider, coalesce(datlocale, datcollate), datcollversion)
      FROM pg_database WHERE datname = current_database()
"""
_COLLATION_BEFORE_17 = _COLLATION.replace("datlocale", "daticulocale")


async def catalog(connection: Connection) -> tuple[str, ...]:
    """One line for each object of the database, sorted; our own schema is left out."""
    query = resources.files("watchdog.migrations").joinpath("catalog.sql").read_text(encoding="utf-8")
    return tuple(str(line) for (line,) in await (await connection.execute(query)).fetchall())


def schema_hash(lines: tuple[str, ...]) -> str:
    """SHA-256 of a catalog."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


async def surroundings(connection: Connection) -> Surroundings:
    """What a rehearsal on this database proves something for."""
    version = connection.info.server_version // 10_000
    collations = _COLLATION if version >= 17 else _COLLATION_BEFORE_17
    extensions = tuple(str(line) for (line,) in await (await connection.execute(_EXTENSIONS)).fetchall())
    row = await (await connection.execute(collations)).fetchone()
    return Surroundings(
        server=str(version),
        extensions=extensions,
        collation=str(row[0]) if row else "",
        schema_hash=schema_hash(await catalog(connection)),
    )


def differences(rehearsed: Surroundings, here: Surroundings) -> tuple[str, ...]:
    """Why a certificate from there proves nothing here; empty when it does."""
    found: list[str] = []
    if rehearsed.server != here.server:
        found.append(f"it was rehearsed on PostgreSQL {rehearsed.server}, this is {here.server}")
    if rehearsed.extensions != here.extensions:
        other = set(rehearsed.extensions) ^ set(here.extensions)
        found.append(f"the extensions differ: {', '.join(sorted(other))}")
    if rehearsed.collation != here.collation:
        found.append(f"the collation differs: {rehearsed.collation!r} there, {here.collation!r} here")
    if rehearsed.schema_hash != here.schema_hash:
        found.append("the schema before the first change is another one")
    return tuple(found)
