"""A throw-away copy of a schema, on which a script is tried before production sees it."""

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, LiteralString, cast
from urllib.parse import quote as quote_url
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from watchdog.migrations.dump import dump
from watchdog.migrations.plain import plain
from watchdog.migrations.renames import quote, renames_back
from watchdog.migrations.sample import load
from watchdog.migrations.shape import Connection, Name, Shape, load_query, look
from watchdog.migrations.toc import Entry, differences
from watchdog.migrations.undo import Learnt, Plan
from watchdog.ports.errors import WatchdogError
from watchdog.servers.paths import scratch_dir
from watchdog.servers.postgres import PostgresServer, Version

_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "40"}
_KNOWN: tuple[Version, ...] = ("15", "17", "18")
_numbers = itertools.count(1)


class CloneError(WatchdogError):
    """The schema cannot be cloned, or the script fails on the clone."""


class ScriptFailsError(CloneError):
    """The script fails on the clone.

    Attributes:
        needs_rows: It may be that only the rows are missing that production has.
        foreign_key: A foreign key is what failed.
    """

    def __init__(self, error: psycopg.Error) -> None:
        state = error.sqlstate or ""
        self.needs_rows = not state.startswith("42")
        self.foreign_key = state == "23503"
        super().__init__(f"The script fails on a copy of the schema: {plain(error)}")


@dataclass(frozen=True)
class Clone:
    """A database on a scratch server with the schema before, to try things on as production's user."""

    url: str
    user: str
    search_path: str


@asynccontextmanager
async def scratch(version: int, url: str | None) -> AsyncIterator[str]:
    """The URL of a scratch server as superuser: the given one, or a server of the same major version of our own."""
    if url is not None:
        yield url
        return
    if str(version) not in _KNOWN:
        raise CloneError(
            f"No PostgreSQL {version} is at hand to try the script on; name a scratch server by --scratch."
        )
    with scratch_dir("clone") as directory:
        async with await PostgresServer.start(
            directory / "data", version=cast("Literal['15', '17', '18']", str(version)), settings=_SETTINGS
        ) as server:
            yield server.url("postgres")


def database_url(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote_url(name, safe='')}"))


@asynccontextmanager
async def clone(
    admin: str, production: Connection, entries: Sequence[Entry], *, rows: int = 0, role: str = ""
) -> AsyncIterator[Clone]:
    """The schema of `entries` on the scratch server, with up to `rows` masked rows a table; dropped at the end."""
    name = f"watchdog_clone_{os.getpid()}_{next(_numbers)}"
    settings = await _surroundings(production)
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as server:
        await _roles(server, production)
        try:
            await _create(server, name, settings)
            user = sql.Identifier(role or production.info.user)
            await server.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(name), user))
            made = Clone(database_url(admin, name), role or production.info.user, await _search_path(production))
            filled = (await look(production)).filled()
            async with await psycopg.AsyncConnection.connect(made.url) as fresh:
                await _restore(fresh, entries, made.search_path)
                if rows:
                    await load(production, fresh, rows)
                await _fill(fresh, entries, filled)
            yield made
        finally:
            await server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


async def _create(server: Connection, name: str, settings: dict[LiteralString, str]) -> None:
    # An empty database is copied faster as files than through the write-ahead log.
    words = sql.SQL("CREATE DATABASE {} TEMPLATE template0 STRATEGY FILE_COPY").format(sql.Identifier(name))
    for key, value in settings.items():
        said = sql.Identifier(value) if key == "OWNER" else sql.Literal(value)
        words += sql.SQL(" {} {}").format(sql.SQL(key), said)
    await server.execute(words)


async def _surroundings(production: Connection) -> dict[LiteralString, str]:
    row = await (
        await production.execute(
            "SELECT pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba)"
            " FROM pg_database WHERE datname = current_database()"
        )
    ).fetchone()
    assert row is not None  # noqa: S101 - the database that we are connected to exists
    return {"ENCODING": row[0], "LC_COLLATE": row[1], "LC_CTYPE": row[2], "OWNER": row[3]}


async def _roles(server: Connection, production: Connection) -> None:
    wanted = await (
        await production.execute("SELECT rolname, rolsuper FROM pg_roles WHERE rolname !~ '^pg_'")
    ).fetchall()
    there = {name for (name,) in await (await server.execute("SELECT rolname FROM pg_roles")).fetchall()}
    for name, superuser in wanted:
        if name not in there:
            kind = sql.SQL("SUPERUSER" if superuser else "NOSUPERUSER")
            await server.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(name), kind))


async def _search_path(production: Connection) -> str:
    """The session's own: functions that name things without their schema need it, already when a table is made."""
    row = await (await production.execute("SELECT reset_val FROM pg_settings WHERE name = 'search_path'")).fetchone()
    return str(row[0]) if row else ""


async def _restore(fresh: Connection, entries: Sequence[Entry], search_path: str) -> None:
    await fresh.execute(
        "SELECT set_config('search_path', %s, false), set_config('check_function_bodies', 'off', false)", (search_path,)
    )
    for entry in entries:
        try:
            if entry.kind != "SCHEMA" or entry.tag != "public":
                await fresh.execute(entry.definition.encode())
            if entry.owner_statement:
                await fresh.execute(entry.owner_statement.encode())
        except psycopg.Error as error:
            raise CloneError(
                f"{entry.kind} {entry.schema}.{entry.tag} cannot be made on the scratch server: {plain(error)};"
                " name one with what it needs by --scratch"
            ) from error


async def _fill(fresh: Connection, entries: Sequence[Entry], filled: Collection[Name]) -> None:
    for entry in entries:
        if entry.kind == "MATERIALIZED VIEW" and (entry.schema, entry.tag) in filled:
            await fresh.execute(f"REFRESH MATERIALIZED VIEW {quote(entry.schema)}.{quote(entry.tag)}".encode())


async def learn(made: Clone, script: str, *, foreign_keys: bool = True) -> Learnt:
    """Runs the script on the clone and names everything back; answers with what it did.

    Args:
        foreign_keys: Without them (and without triggers) a script is learnt that writes rows which need others.

    Raises:
        CloneError: The script fails there.
    """

    async def run(work: Connection) -> None:
        if not foreign_keys:
            await work.execute("SET session_replication_role = replica")
        await as_user(work, made.user)
        await work.execute("SELECT set_config('search_path', %s, false)", (made.search_path,))
        try:
            await work.execute(script.encode())
            await work.execute("SET CONSTRAINTS ALL IMMEDIATE")
            await work.execute("RESET SESSION AUTHORIZATION")
            await work.commit()
        except psycopg.Error as error:
            raise ScriptFailsError(error) from error

    return await observe(made, run)


async def observe(made: Clone, run: Callable[[Connection], Awaitable[None]]) -> Learnt:
    """Lets something change the clone and names everything back; answers with what was done.

    Args:
        run: Gets a connection to the clone, outside a transaction, and leaves it so.
    """
    contents = await dump(made.url)
    async with await psycopg.AsyncConnection.connect(made.url) as work:
        shape = await look(work)
        await work.commit()
        await run(work)
        forward = await look(work)
        renames = renames_back(shape, forward)
        for statement in renames:
            await work.execute(statement.encode())
        after = await look(work)
    return Learnt(contents, await dump(made.url), shape, forward, after, renames)


async def before_deferral(made: Clone) -> tuple[Shape, frozenset[tuple[Name, str]]]:
    """The clone's shape, and the columns that something other than their values knows."""
    async with await psycopg.AsyncConnection.connect(made.url) as work:
        rows = await (await work.execute(load_query("bound.sql"))).fetchall()
        return await look(work), frozenset(((schema, table), column) for schema, table, column in rows)


async def schema_after(made: Clone, script: str) -> tuple[Entry, ...]:
    """The contents of the clone's schema after a script, which stays there; raises ScriptFailsError."""
    async with await psycopg.AsyncConnection.connect(made.url) as work:
        await as_user(work, made.user)
        await work.execute("SELECT set_config('search_path', %s, false)", (made.search_path,))
        try:
            await work.execute(script.encode())
        except psycopg.Error as error:
            raise ScriptFailsError(error) from error
    return await dump(made.url)


async def as_user(connection: Connection, user: str) -> None:
    """Works as production's user would, when the scratch server has it."""
    await connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(user)))


async def prove(made: Clone, learnt: Learnt, plan: Plan) -> tuple[str, ...]:
    """Undoes the script on the clone, without rows; answers with what is not as before."""
    try:
        async with await psycopg.AsyncConnection.connect(made.url) as work:
            await work.execute("SET LOCAL check_function_bodies = off")
            await work.execute("SELECT set_config('search_path', %s, true)", (made.search_path,))
            for statement in (*plan.drops, *plan.makes, *plan.constrains, *plan.finishes):
                await work.execute(statement.encode())
    except psycopg.Error as error:
        return (plain(error),)
    return differences(learnt.before, await dump(made.url))
