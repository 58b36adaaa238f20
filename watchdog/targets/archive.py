"""Keeps what a step is about to destroy, in the transaction that destroys it."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import sql

from watchdog.ports.actions import StepContext
from watchdog.ports.errors import StepError
from watchdog.targets.postgres import Connection

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_MAX_IDENTIFIER = 63

# Types that the script may drop are kept as text, so that the archive does not hold on to them.
_COLUMNS = """
    SELECT attname,
           coalesce(element.typtype, type.typtype) IN ('e', 'd', 'c') AND NOT EXISTS (
               SELECT FROM pg_depend
               WHERE classid = 'pg_type'::regclass AND objid = coalesce(element.oid, type.oid) AND deptype = 'e'
           ) AND coalesce(element.typnamespace, type.typnamespace) <> 'pg_catalog'::regnamespace,
           coalesce(attnum = ANY (indkey::int2[]), false)
    FROM pg_attribute
    JOIN pg_type AS type ON type.oid = atttypid
    LEFT JOIN pg_type AS element ON element.oid = type.typelem AND type.typcategory = 'A'
    LEFT JOIN pg_index ON indrelid = attrelid AND indisprimary
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
    ORDER BY attnum
"""
# A sum over 64-bit hashes of whole rows does not depend on their order.
_CHECKSUM = sql.SQL("SELECT count(*), coalesce(sum(hashtextextended(kept::text, 0)), 0)::text FROM {} AS kept")


@dataclass(frozen=True, kw_only=True)
class Archive:
    """What to keep before it is destroyed.

    Attributes:
        name: The archive's table is `watchdog.archive_<name>` for the newest run; an older run's table carries
            its run behind that (`watchdog.archives` says which table is whose).
        table: `schema.table`; without a schema, `public`.
        columns: What to keep beside the key; empty keeps all.
        key: Columns that find a row again; empty takes the primary key.
        where: Which rows; empty keeps all.
    """

    name: str
    table: str
    columns: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    where: str = ""

    @property
    def relation(self) -> str:
        """The table in schema `watchdog` that holds it."""
        return f"archive_{self.name}"

    def source(self, schema: str = "public") -> tuple[str, str]:
        """Schema and table."""
        before, _, table = self.table.rpartition(".")
        return before or schema, table

    def complaints(self) -> Iterable[str]:
        """What is wrong with it that can be seen without a database."""
        if not _NAME.fullmatch(self.name):
            yield f"archive {self.name!r}: write a name of small letters, digits and _ (at most 41)."
        if not all(self.table.split(".")) or self.table.count(".") > 1:
            yield f"archive {self.name!r}: write table as schema.table, not {self.table!r}."


@dataclass(frozen=True)
class Kept:
    """An archive that has been made."""

    archive: Archive
    rows: int
    checksum: str
    key: tuple[str, ...]


async def lock(
    connection: Connection, archives: Iterable[Archive], exclusive: set[tuple[str, str]], schema: str
) -> None:
    """Keeps writers out, so that nothing changes between the archive and the effect.

    Args:
        exclusive: Tables that the script will lock against readers anyhow; locked so at once, because a later
            upgrade of the lock can deadlock.
    """
    for source in sorted({archive.source(schema) for archive in archives}):
        mode = "ACCESS EXCLUSIVE" if source in exclusive else "SHARE ROW EXCLUSIVE"
        await connection.execute(sql.SQL(f"LOCK TABLE {{}} IN {mode} MODE").format(sql.Identifier(*source)))


async def keep(connection: Connection, context: StepContext, archive: Archive, schema: str = "public") -> Kept:
    """Copies, counts and checksums, inside the caller's transaction; the copy belongs to nobody else.

    Raises:
        StepError: The run has this archive already, or a table of this name that is no archive is in the way, or
            the rows cannot be told apart.
    """
    source = archive.source(schema)
    columns, key = await _columns(connection, archive, source)
    await _make_room(connection, context, archive)
    relation = sql.Identifier("watchdog", archive.relation)
    where = sql.SQL(" WHERE " + archive.where) if archive.where else sql.SQL("")
    copied = await connection.execute(
        sql.SQL("CREATE TABLE {} AS SELECT {} FROM {}{}").format(
            relation, sql.SQL(", ").join(columns), sql.Identifier(*source), where
        )
    )
    await connection.execute(sql.SQL("REVOKE ALL ON {} FROM PUBLIC").format(relation))
    found = await (await connection.execute(_CHECKSUM.format(relation))).fetchone()
    rows, checksum = (int(found[0]), str(found[1])) if found else (0, "")
    if rows != copied.rowcount:
        raise StepError(f"Archive {archive.name}: {copied.rowcount} rows were copied but {rows} are there.")
    await connection.execute(
        "INSERT INTO watchdog.archives (run_id, name, source, relation, rows, checksum)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (context.run_id, archive.name, ".".join(source), archive.relation, rows, checksum),
    )
    return Kept(archive, rows, checksum, key)


async def _columns(
    connection: Connection, archive: Archive, source: tuple[str, str]
) -> tuple[list[sql.Composable], tuple[str, ...]]:
    relation = sql.Identifier(*source).as_string(connection)
    found = await (await connection.execute(_COLUMNS, (relation,))).fetchall()
    names = [str(row[0]) for row in found]
    key = archive.key or tuple(str(row[0]) for row in found if row[2])
    missing = [name for name in (*archive.columns, *key) if name not in names]
    if missing:
        raise StepError(f"Archive {archive.name}: table {'.'.join(source)} has no column {', '.join(missing)}.")
    if archive.columns and not key:
        raise StepError(
            f"Archive {archive.name}: table {'.'.join(source)} has no primary key; name columns that find a row "
            "again under `key`, or leave out `columns` to keep whole rows."
        )
    wanted = {*archive.columns, *key} if archive.columns else set(names)
    return [_kept_as(str(name), bool(as_text)) for name, as_text, _ in found if name in wanted], key


def _kept_as(name: str, as_text: bool) -> sql.Composable:  # noqa: FBT001 - a column of the catalog query
    identifier = sql.Identifier(name)
    return sql.SQL("{}::text AS {}").format(identifier, identifier) if as_text else identifier


async def _make_room(connection: Connection, context: StepContext, archive: Archive) -> None:
    """Renames the archive of an earlier run."""
    exists = await (
        await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"watchdog.{archive.relation}",))
    ).fetchone()
    if not exists or not exists[0]:
        return
    owner = await (
        await connection.execute("SELECT run_id FROM watchdog.archives WHERE relation = %s", (archive.relation,))
    ).fetchone()
    if owner is None:
        raise StepError(f"Table watchdog.{archive.relation} is in the way and is no archive; rename it.")
    if owner[0] == context.run_id:
        raise StepError(f"Archive {archive.name} is there already in run {context.run_id}; give each its own name.")
    renamed = f"{archive.relation}_{owner[0]}"
    if len(renamed.encode()) > _MAX_IDENTIFIER:
        renamed = f"{archive.relation}_{hashlib.sha256(str(owner[0]).encode()).hexdigest()[:12]}"
    await connection.execute(
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(
            sql.Identifier("watchdog", archive.relation), sql.Identifier(renamed)
        )
    )
    await connection.execute(
        "UPDATE watchdog.archives SET relation = %s WHERE relation = %s", (renamed, archive.relation)
    )
