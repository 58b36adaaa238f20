"""Takes away what an index half built or half dropped leaves behind: pg_dump does not show it, the catalog does."""

from typing import Final

from watchdog.migrations.shape import Connection
from watchdog.migrations.tools.begun import Begun
from watchdog.migrations.tools.capture import patiently

_INVALID: Final = """
    SELECT c.oid::bigint, n.nspname::text, c.relname::text, format('%I.%I', n.nspname, c.relname)
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'watchdog')
       AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
"""


async def drop_invalid(connection: Connection, begun: Begun) -> tuple[str, ...]:
    """Drops indexes that became INVALID since the run began; answers with their names.

    Raises:
        WatchdogError: Somebody holds a table for too long.
    """
    there = {one.number for one in begun.shape.names if one.group == "relation"}
    valid = {(entry.schema, entry.tag) for entry in begun.entries if entry.kind == "INDEX"}
    rows = await (await connection.execute(_INVALID)).fetchall()
    names = [said for number, schema, name, said in rows if number not in there or (schema, name) in valid]
    for name in names:
        await patiently(connection, (f"DROP INDEX IF EXISTS {name}",), f"The INVALID index {name} cannot be dropped")
    return tuple(names)
