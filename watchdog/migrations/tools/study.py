"""Learns on a copy of the schema what a tool will do."""

import json
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from watchdog.migrations.clone import Clone, CloneError, clone, observe, prove
from watchdog.migrations.images import qualified
from watchdog.migrations.session import RefusedError, plain_text, sequence_positions
from watchdog.migrations.shape import Connection, Name, Shape, load_query, look
from watchdog.migrations.toc import Entry, differences
from watchdog.migrations.tools.address import Address, Command, names_its_address, status_words
from watchdog.migrations.tools.capture import drop_log, install, uninstall, written
from watchdog.migrations.tools.known import VERSION_SCHEMAS, VERSION_TABLES
from watchdog.migrations.tools.process import Work
from watchdog.migrations.tools.process import run as run_process
from watchdog.migrations.undo import Learnt, Plan, plan

_ROWS: Final = (1_000, 0)
"""How many rows a table has on the copy; without any when it fails with some, as a sample may not fit together."""
_MOST_MADE: Final = 10_000
"""How many rows of a table that the tool makes are kept in mind."""
_NO_RUN: Final = 0
"""On a copy there is no run."""


@dataclass(frozen=True)
class Study:
    """What a tool does to a copy.

    Attributes:
        archived: Tables whose rows it destroys or writes, by their names of before.
        made: Rows, each as one text, that it wrote into tables of its own, by their names as SQL.
        notes: What could not be learnt as it should be, as sentences.
    """

    learnt: Learnt
    plan: Plan
    archived: frozenset[Name]
    made: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]

    @property
    def does_nothing(self) -> bool:
        """Whether there is nothing to apply."""
        return not self.archived and not differences(self.learnt.before, self.learnt.after)


def is_version_table(more: Collection[str], table: Name) -> bool:
    """Whether a tool notes there what it applied; `more` names tables, with or without schema, that we do not know."""
    return table[1] in VERSION_TABLES or table[0] in VERSION_SCHEMAS or not {table[1], ".".join(table)}.isdisjoint(more)


async def heeds_its_address(url: str, command: Command) -> None:
    """Asks a tool for its state at an address where nobody answers: it must fail, or it works somewhere else.

    Raises:
        RefusedError: It does not go where it is told, or that cannot be found out.
    """
    words = status_words(command)
    if words is None:
        if names_its_address(command):
            return
        raise _refused(
            f"it is not seen in {command.short!r} how to ask the tool for its state, and so not whether it goes to the"
            " database that it is told; put {url} into the command, or name its variable with --env"
        )
    with _closed_port() as port:
        nowhere = Address.of(make_conninfo(url, host="127.0.0.1", port=port), _NO_RUN)
        ended = await run_process(command, nowhere, words, _not_heard)
    if ended.status == 0:
        raise _refused(
            f"{command.short}, asked for its state, answers although the database that it was told is not there: the"
            " tool has another one in its own configuration; let it read DATABASE_URL, or put {url} into the command"
        )


def _refused(reason: str) -> RefusedError:
    return RefusedError((reason,))


async def study(production: Connection, admin: str, entries: tuple[Entry, ...], tool: Work, role: str) -> Study:
    """Runs a tool on a copy, and proves there that what it did can be undone.

    Raises:
        CloneError: It fails there.
        RefusedError: It cannot be undone, or its sessions cannot be told from others'.
    """
    first: CloneError | None = None
    for rows in _ROWS:
        try:
            async with clone(admin, production, entries, rows=rows, role=role) as pair:
                await _settle_in(production, pair, tool)
                return await _observed(pair, tool, first)
        except _ToolFailsError as error:
            first = first or error
    assert first is not None  # noqa: S101 - one of the tries ended
    raise first


class _ToolFailsError(CloneError):
    pass


async def _observed(pair: Clone, tool: Work, earlier: CloneError | None) -> Study:
    touched: set[int] = set()
    made: dict[str, tuple[str, ...]] = {}

    async def work(connection: Connection) -> None:
        await connection.set_autocommit(True)
        before = await look(connection)
        touched.update(await _run_there(connection, pair, tool))
        made.update(await _made(connection, before))
        await connection.set_autocommit(False)

    learnt = await observe(pair, work)
    names = {table.number: table.name for table in learnt.shape_before.tables if table.kind == "r"}
    archived = learnt.destroyed() | tool.writes(learnt.shape_before)
    archived |= {names[number] for number in touched if number in names}
    undo = plan(learnt, archived)
    await _empty(pair)
    if wrong := await prove(pair, learnt, undo):
        raise RefusedError(tuple(f"what the tool does cannot be undone: {line}" for line in wrong[:5]))
    notes = (f"learnt on empty tables, as it fails on a sample of the rows: {earlier}",) if earlier else ()
    return Study(learnt, undo, frozenset(archived), made, notes)


async def _run_there(connection: Connection, pair: Clone, tool: Work) -> frozenset[int]:
    """Runs the tool on the copy; answers with the tables that it wrote, by number."""
    await connection.execute("CREATE SCHEMA IF NOT EXISTS watchdog")
    await install(connection, _NO_RUN, tables_with_rows(await look(connection)), ())
    # Some drivers want TLS unless they are told otherwise.
    there = {"sslmode": "require" if connection.pgconn.ssl_in_use else "disable", **conninfo_to_dict(pair.url)}
    address = Address.of(make_conninfo("", **there), _NO_RUN, role=pair.user, search_path=pair.search_path)
    outside = await what_lies_outside(connection)
    ended = await tool.run(address, _NO_RUN, _not_heard)
    if ended.status:
        raise _ToolFailsError(f"{tool.short} fails on a copy of the schema with status {ended.status}:\n{ended.said}")
    touched = await written(connection, _NO_RUN, tool=True)
    if await written(connection, _NO_RUN, tool=False):
        raise _refused(
            "the sessions of the tool cannot be told from others': its driver does not heed PGOPTIONS nor the options"
            " of the URL; put {url} into the command"
        )
    if await what_lies_outside(connection) != outside:
        raise _refused("it changes what lies outside the schema: large objects, roles or settings")
    await uninstall(connection, _NO_RUN)
    await drop_log(connection, _NO_RUN)
    return touched


async def _empty(pair: Clone) -> None:
    """Takes the rows away: what is tried next makes tables anew, and foreign keys would miss the rows of those."""
    async with await psycopg.AsyncConnection.connect(pair.url, autocommit=True) as fresh:
        if tables := tables_with_rows(await look(fresh)):
            names = sql.SQL(", ").join(sql.Identifier(*name) for name in tables)
            await fresh.execute("SET session_replication_role = replica")
            await fresh.execute(sql.SQL("TRUNCATE {}").format(names))


async def what_lies_outside(connection: Connection) -> str:
    """Hashes of what lies outside the schema and would not come back."""
    return json.dumps(await (await connection.execute(load_query("outside.sql"))).fetchone())


async def _made(connection: Connection, before: Shape) -> dict[str, tuple[str, ...]]:
    """Rows of tables that were not there before."""
    found: dict[str, tuple[str, ...]] = {}
    async with connection.transaction():
        await plain_text(connection)
        for table in (await look(connection)).tables:
            if table.kind == "r" and before.table(table.number) is None:
                query = f"SELECT ROW(t.*)::text FROM ONLY {qualified(table.name)} t LIMIT {_MOST_MADE}"  # noqa: S608 - quoted
                rows = await (await connection.execute(query.encode())).fetchall()
                found[qualified(table.name)] = tuple(text for (text,) in rows)
    return found


def tables_with_rows(shape: Shape) -> tuple[Name, ...]:
    """The ordinary tables of a schema."""
    return tuple(table.name for table in shape.tables if table.kind == "r")


async def _settle_in(production: Connection, pair: Clone, tool: Work) -> None:
    """Gives the copy production's version rows, unmasked, and its sequences."""
    async with await psycopg.AsyncConnection.connect(pair.url, autocommit=True) as fresh:
        await fresh.execute("SET session_replication_role = replica")
        async with production.transaction():
            tables = tables_with_rows(await look(production))
        for table in (name for name in tables if is_version_table(tool.version_tables, name)):
            await _copy(production, fresh, table)
        for name, (value, called) in (await sequence_positions(production)).items():
            await fresh.execute("SELECT setval(%s::regclass, %s, %s)", (name, value, called))


async def _copy(production: Connection, fresh: Connection, table: Name) -> None:
    rows = await (
        await production.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND attgenerated = '' ORDER BY attnum",
            (qualified(table),),
        )
    ).fetchall()
    names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in rows)
    where = sql.Identifier(*table)
    await fresh.execute(sql.SQL("DELETE FROM {}").format(where))
    async with (
        production.cursor() as source,
        fresh.cursor() as sink,
        source.copy(sql.SQL("COPY {} ({}) TO STDOUT").format(where, names)) as reader,
        sink.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(where, names)) as writer,
    ):
        async for block in reader:
            await writer.write(block)


@contextmanager
def _closed_port() -> Iterator[int]:
    """A port of this machine on which nobody listens, and that nobody else gets meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def _not_heard(_: str) -> None:
    """What a tool says on a copy is only said when it fails."""
