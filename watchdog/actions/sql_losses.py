"""What a script has really done to rows, by the server's own count, against what is archived.

A script can be read, but triggers, rules, views, defaults and foreign keys cannot: they are found out here, before
the step commits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg import sql

from watchdog.migrations.sql import Table
from watchdog.ports.errors import StepError
from watchdog.targets.archive import Archive
from watchdog.targets.postgres import Connection

_OURS = "watchdog"
_RECORDS = frozenset({"fence", "receipts", "archives", "fenced_grants"})
# Only for this transaction, uncommitted work included. TRUNCATE sets the counts to zero, but gives a new file.
_COUNTS = """
    SELECT pg_class.oid::bigint, nspname, relname, relfilenode::bigint, pg_stat_get_xact_tuples_inserted(pg_class.oid),
           pg_stat_get_xact_tuples_updated(pg_class.oid), pg_stat_get_xact_tuples_deleted(pg_class.oid)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
"""
# Whoever drops, empties or rewrites a table holds this lock to the end: what others do meanwhile is told apart by it.
_LOCKED = """
    SELECT relation::bigint FROM pg_locks
    WHERE locktype = 'relation' AND pid = pg_backend_pid() AND mode = 'AccessExclusiveLock' AND granted
"""
_PARENTS = "SELECT inhrelid::bigint, inhparent::bigint FROM pg_inherits"


@dataclass(frozen=True)
class Counts:
    """One table: its file, and how many of its rows this transaction has touched so far."""

    table: Table
    file: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class Before:
    """How things were before the script.

    Attributes:
        tables: By object id.
        parents: Of partitions and inheriting tables: an archive of the parent holds their rows too.
        archives: By the object id of what they keep.
    """

    tables: Mapping[int, Counts]
    parents: Mapping[int, frozenset[int]]
    archives: Mapping[int, tuple[Archive, ...]]

    def family(self, oid: int) -> frozenset[int]:
        """A table and everything above it."""
        found = {oid}
        waiting = [oid]
        while waiting:
            above = self.parents.get(waiting.pop(), frozenset()) - found
            found |= above
            waiting += above
        return frozenset(found)

    def kept(self, oid: int) -> tuple[Archive, ...]:
        """The archives that hold rows of a table."""
        return tuple(archive for each in self.family(oid) for archive in self.archives.get(each, ()))

    def deleted(self, source: Archive, after: Mapping[int, Counts]) -> int:
        """How many rows are gone of what an archive keeps."""
        return sum(
            found.deleted - self.tables[oid].deleted
            for oid, found in after.items()
            if oid in self.tables and source in self.kept(oid)
        )


async def before(connection: Connection, archives: Sequence[Archive], schema: str) -> Before:
    """Takes down how things are.

    Raises:
        StepError: The server does not count.
    """
    counting = await (await connection.execute("SELECT current_setting('track_counts')::bool")).fetchone()
    if counting != (True,):
        raise StepError("The server has track_counts off, so what the script deletes cannot be counted; switch it on.")
    kept: dict[int, tuple[Archive, ...]] = {}
    for archive in archives:
        name = sql.Identifier(*archive.source(schema)).as_string(connection)
        row = await (await connection.execute("SELECT to_regclass(%s)::oid::bigint", (name,))).fetchone()
        oid = int(row[0]) if row else 0
        kept[oid] = (*kept.get(oid, ()), archive)
    parents: dict[int, frozenset[int]] = {}
    for child, parent in await (await connection.execute(_PARENTS)).fetchall():
        parents[child] = parents.get(child, frozenset()) | {parent}
    return Before(await _counts(connection), parents, kept)


async def now(connection: Connection, then: Before) -> dict[int, Counts]:
    """Every table, by object id; what other sessions have dropped or emptied since is given as it was."""
    found = await _counts(connection)
    mine = {int(oid) for (oid,) in await (await connection.execute(_LOCKED)).fetchall()}
    for oid, was in then.tables.items():
        if oid not in mine:
            found[oid] = replace(found.get(oid, was), file=was.file)
    return found


async def _counts(connection: Connection) -> dict[int, Counts]:
    rows = await (await connection.execute(_COUNTS.encode())).fetchall()
    return {int(oid): Counts((str(schema), str(name)), *map(int, rest)) for oid, schema, name, *rest in rows}


def unkept(then: Before, after: Mapping[int, Counts], rewritten: frozenset[Table]) -> Iterator[str]:
    """What was destroyed that no archive holds, one sentence each.

    Args:
        rewritten: Tables that the script alters or drops by name, which was judged by reading it.
    """
    for oid, was in then.tables.items():
        found = after.get(oid)
        if was.table[0] == _OURS:
            yield from _ours(was, found)
            continue
        kept = then.kept(oid)
        named = any(
            counted.table in rewritten
            for each in then.family(oid)
            for counted in (then.tables.get(each), after.get(each))
            if counted
        )
        if what := _lost(was, found, kept, named=named):
            name = ".".join(was.table)
            yield (
                f"{what} {name} would be lost too (by a trigger, a rule, a view, a function or a foreign key) and no "
                f"archive holds them; add {{name: …, table: {name}}} under archive."
            )


def _lost(was: Counts, found: Counts | None, kept: Sequence[Archive], *, named: bool) -> str:
    everything = any(not archive.columns and not archive.where for archive in kept)
    if everything:
        return ""
    if found is None:
        return "All rows of"
    deleted, updated = found.deleted - was.deleted, found.updated - was.updated
    if deleted > 0 and all(archive.columns for archive in kept):
        return f"{deleted} deleted rows of"
    if updated > 0 and not kept:
        return f"{updated} changed rows of"
    return "All rows of" if found.file != was.file and not named else ""


def _ours(was: Counts, found: Counts | None) -> Iterator[str]:
    changed = found is None or (found.updated, found.deleted, found.file) != (was.updated, was.deleted, was.file)
    written = found is not None and found.inserted != was.inserted and was.table[1] in _RECORDS
    if changed or written or (found is not None and found.table != was.table):
        yield f"{'.'.join(was.table)} would be changed, which is the watchdog's own."
