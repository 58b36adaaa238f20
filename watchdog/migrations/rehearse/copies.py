"""Throw-away copies: made once with production's schema and rows, and then as often as a fresh one is needed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from urllib.parse import unquote, urlsplit

from psycopg import sql

from watchdog.migrations.catalog import differences, surroundings
from watchdog.migrations.clone import Clone, clone, database_url
from watchdog.migrations.images import qualified
from watchdog.migrations.rehearse.values import Data, Given
from watchdog.migrations.sample import Loaded, load
from watchdog.migrations.session import RefusedError, connected, plain_text, sequence_positions
from watchdog.migrations.shape import Connection, look
from watchdog.migrations.toc import Entry
from watchdog.model.releases import Surroundings


@dataclass(frozen=True)
class Copy:
    """A database with production's schema and rows.

    Attributes:
        url: As superuser.
        role: Production's user, with whose rights the script runs.
    """

    url: str
    role: str


class Copies:
    """Makes copies, each as production was.

    Attributes:
        loaded: What each of them holds.
    """

    def __init__(self, admin: str, base: Clone, loaded: Loaded) -> None:
        self.loaded = loaded
        self._admin = admin
        self._base = base
        self._numbers = count(1)

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[Copy]:
        """A copy that nothing was done to; dropped at the end."""
        base = unquote(urlsplit(self._base.url).path.lstrip("/"))
        name = f"{base}_{next(self._numbers)}"
        words = {"name": sql.Identifier(name), "base": sql.Identifier(base), "role": sql.Identifier(self._base.user)}
        async with connected(self._admin) as server:
            try:
                row = await (
                    await server.execute(
                        "SELECT quote_ident(pg_get_userbyid(datdba)) FROM pg_database WHERE datname = %s", (base,)
                    )
                ).fetchone()
                owner = sql.SQL(row[0] if row else "CURRENT_USER")
                await server.execute(
                    sql.SQL("CREATE DATABASE {name} TEMPLATE {base} OWNER {owner}").format(owner=owner, **words)
                )
                await server.execute(sql.SQL("GRANT CREATE ON DATABASE {name} TO {role}").format(**words))
                if path := self._base.search_path:
                    # It is a list already, as production's server writes it.
                    await server.execute(
                        sql.SQL("ALTER DATABASE {name} SET search_path TO {path}").format(path=sql.SQL(path), **words)
                    )
                yield Copy(database_url(self._admin, name), self._base.user)
            finally:
                await server.execute(sql.SQL("DROP DATABASE IF EXISTS {name} WITH (FORCE)").format(**words))


@asynccontextmanager
async def copies(
    admin: str, production: Connection, entries: Sequence[Entry], here: Surroundings, given: Given
) -> AsyncIterator[Copies]:
    """A base to make copies from, on the scratch server.

    Args:
        entries: The schema of production.
        here: What production runs on; on anything else a rehearsal proves nothing.

    Raises:
        RefusedError: The scratch server is of another version, or has other extensions or another collation.
        CloneError: The schema cannot be made there.
    """
    async with connected(admin) as server:
        version = str(server.info.server_version // 10_000)
    if version != here.server:
        raise _proves_nothing((f"the scratch server is PostgreSQL {version}, production is {here.server}",))
    async with clone(admin, production, entries) as base:
        async with connected(base.url) as copy:
            there = await surroundings(copy)
            if other := differences(replace(there, schema_hash=here.schema_hash), here):
                raise _proves_nothing(other)
            # Functions that name things without their schema need it.
            await copy.execute("SELECT set_config('search_path', %s, false)", (base.search_path,))
            loaded = Loaded({}, ()) if given.data is Data.NONE else await _fill(production, copy, entries, given)
        yield Copies(admin, base, loaded)


def _proves_nothing(reasons: Sequence[str]) -> RefusedError:
    advice = "name a scratch server like production by --scratch"
    return RefusedError(tuple(f"a rehearsal there proves nothing here: {reason}; {advice}" for reason in reasons))


async def _fill(production: Connection, copy: Connection, entries: Sequence[Entry], given: Given) -> Loaded:
    """Loads the rows as of one moment, sets the sequences, and refreshes what is derived."""
    filled = (await look(production)).filled()
    rows = None if given.data is Data.FULL else given.rows
    async with copy.transaction(), production.transaction():
        await production.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await plain_text(production)
        await plain_text(copy)
        loaded = await load(production, copy, rows, masked=given.masked, parents=True)
        for name, (value, called) in (await sequence_positions(production)).items():
            await copy.execute("SELECT setval(%s::regclass, %s, %s)", (name, value, called))
    for entry in entries:
        if entry.kind == "MATERIALIZED VIEW" and (entry.schema, entry.tag) in filled:
            await copy.execute(f"REFRESH MATERIALIZED VIEW {qualified((entry.schema, entry.tag))}".encode())
    await copy.execute("ANALYZE")
    return loaded
