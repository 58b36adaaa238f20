# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Children whose parent is not there any more when a foreign key comes back."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from watchdog.migrations.images import qualified
from watchdog.migrations.renames import literal, quote
from watchdog.migrations.shape import Connection, ForeignKey, load_query

_ROUNDS = 50


async def settle_orphans(connection: Connection, run: int, keys: Sequence[ForeignKey]) -> Counter[str]:
    """Does what the keys would have done: sets NULL where they say so, else keeps the child in quarantine.

    Returns:
        How many rows were changed or set aside, by the quoted name of their table.
    """
    total: Counter[str] = Counter()
    for _ in range(_ROUNDS):
        done: Counter[str] = Counter()
        for key in keys:
            if key.valid:
                done += await _settle(connection, run, key)
        total += done
        if not done.total():
            break
    return total


async def _settle(connection: Connection, run: int, key: ForeignKey) -> Counter[str]:
    pairs = zip(key.columns, key.parent_columns, strict=True)
    joined = " AND ".join(f"p.{quote(parent)} = c.{quote(child)}" for child, parent in pairs)
    there = " AND ".join(f"c.{quote(column)} IS NOT NULL" for column in key.columns)
    orphan = f"{there} AND NOT EXISTS (SELECT FROM {qualified(key.parent)} p WHERE {joined})"
    child = qualified(key.child)
    row = await (await connection.execute(f"SELECT EXISTS (SELECT FROM {child} c WHERE {orphan})".encode())).fetchone()
    if not (row and row[0]):
        return Counter()
    if key.on_delete == "n":
        changes = ", ".join(f"{quote(column)} = NULL" for column in key.columns)
        async with silenced(connection, child):
            cursor = await connection.execute(f"UPDATE {child} c SET {changes} WHERE {orphan}".encode())
        return Counter({child: cursor.rowcount})
    reason = f"its parent in {qualified(key.parent)} is not there any more ({key.name})"
    return await set_aside(connection, run, child, orphan, reason)


async def set_aside(
    connection: Connection, run: int, table: str, condition: str, reason: str, above: tuple[str, ...] = ()
) -> Counter[str]:
    """Moves rows to quarantine, with the rows of other tables that need them.

    Args:
        table: Quoted.
        condition: Which rows, by the alias `c`.
        above: Tables whose rows are being moved already, against circles.
    """
    total: Counter[str] = Counter()
    # Deeper rows first: a foreign key that is there now would refuse, or delete them without a trace.
    for child, joined in await _references(connection, table):
        if child in above or child == table:
            continue
        there = f"EXISTS (SELECT FROM (SELECT c.* FROM {table} c WHERE {condition}) p WHERE {joined})"
        total += await set_aside(connection, run, child, there, reason, (*above, table))
    async with silenced(connection, table):
        cursor = await connection.execute(
            f"WITH gone AS (DELETE FROM {table} c WHERE {condition} RETURNING c.*)"
            ' INSERT INTO watchdog.migration_quarantine (run, "table", reason, "row")'
            f" SELECT {run}, {literal(table)}, {literal(reason)}, to_jsonb(gone.*) FROM gone".encode()
        )
    return total + Counter({table: cursor.rowcount})


async def _references(connection: Connection, table: str) -> list[tuple[str, str]]:
    """Tables whose foreign keys point here and do not let go by themselves: quoted name, and how they are joined."""
    rows = await (
        await connection.execute(
            """
            SELECT format('"%%s"."%%s"', replace(n.nspname, '"', '""'), replace(r.relname, '"', '""')),
                   (SELECT string_agg(format('p.%%I = c.%%I', pa.attname, ca.attname), ' AND ')
                      FROM unnest(k.conkey, k.confkey) AS u(x, y)
                      JOIN pg_attribute ca ON ca.attrelid = k.conrelid AND ca.attnum = u.x
                      JOIN pg_attribute pa ON pa.attrelid = k.confrelid AND pa.attnum = u.y)
              FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
             WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = %s::regclass
               AND k.confdeltype NOT IN ('n', 'd')
            """,
            (table,),
        )
    ).fetchall()
    return [(name, joined) for name, joined in rows]


@asynccontextmanager
async def silenced(connection: Connection, table: str) -> AsyncIterator[None]:
    """Keeps the users' triggers silent on a table and on all that a delete there may reach; each comes back as it was.

    A statement that a foreign key starts fires triggers of the other table even when it finds no row.
    """
    states = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}
    rows = await (await connection.execute(load_query("triggers_below.sql"), (table,))).fetchall()
    for where, name, _ in rows:
        await connection.execute(f"ALTER TABLE {where} DISABLE TRIGGER {quote(name)}".encode())
    yield
    for where, name, state in rows:
        await connection.execute(f"ALTER TABLE {where} {states[state]} TRIGGER {quote(name)}".encode())
