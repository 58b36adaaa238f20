# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Children whose parent is not there any more when a foreign key comes back."""

from collections.abc import Sequence

from watchdog.migrations.images import qualified
from watchdog.migrations.renames import literal, quote
from watchdog.migrations.shape import Connection, ForeignKey

_ROUNDS = 50


async def settle_orphans(connection: Connection, run: int, keys: Sequence[ForeignKey]) -> int:
    """Does what the keys would have done: sets NULL where they say so, else keeps the child in quarantine.

    Returns:
        How many rows were changed or set aside.
    """
    total = 0
    for _ in range(_ROUNDS):
        done = 0
        for key in keys:
            if key.valid:
                done += await _settle(connection, run, key)
        total += done
        if not done:
            break
    return total


async def _settle(connection: Connection, run: int, key: ForeignKey) -> int:
    pairs = zip(key.columns, key.parent_columns, strict=True)
    joined = " AND ".join(f"p.{quote(parent)} = c.{quote(child)}" for child, parent in pairs)
    there = " AND ".join(f"c.{quote(column)} IS NOT NULL" for column in key.columns)
    orphan = f"{there} AND NOT EXISTS (SELECT FROM {qualified(key.parent)} p WHERE {joined})"
    child = qualified(key.child)
    row = await (await connection.execute(f"SELECT EXISTS (SELECT FROM {child} c WHERE {orphan})".encode())).fetchone()
    if not (row and row[0]):
        return 0
    await _quiet(connection, key, on=False)
    if key.on_delete == "n":
        changes = ", ".join(f"{quote(column)} = NULL" for column in key.columns)
        cursor = await connection.execute(f"UPDATE {child} c SET {changes} WHERE {orphan}".encode())
    else:
        reason = f"its parent in {qualified(key.parent)} is not there any more ({key.name})"
        cursor = await connection.execute(
            f"WITH gone AS (DELETE FROM {child} c WHERE {orphan} RETURNING c.*)"
            ' INSERT INTO watchdog.migration_quarantine (run, "table", reason, "row")'
            f" SELECT {run}, {literal(child)}, {literal(reason)}, to_jsonb(gone.*) FROM gone".encode()
        )
    await _quiet(connection, key, on=True)
    return cursor.rowcount


async def _quiet(connection: Connection, key: ForeignKey, *, on: bool) -> None:
    """Keeps the users' triggers on a table silent for a moment; each comes back as it was."""
    where = f"ALTER TABLE {qualified(key.child)}"
    states = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}
    if not on:
        await connection.execute(
            "CREATE TEMP TABLE watchdog_triggers ON COMMIT DROP AS SELECT tgname::text, tgenabled::text FROM pg_trigger"
            " WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled <> 'D'",
            (qualified(key.child),),
        )
    rows = await (await connection.execute("SELECT tgname, tgenabled FROM pg_temp.watchdog_triggers")).fetchall()
    for name, state in rows:
        await connection.execute(f"{where} {states[state] if on else 'DISABLE'} TRIGGER {quote(name)}".encode())
    if on:
        await connection.execute("DROP TABLE pg_temp.watchdog_triggers")
