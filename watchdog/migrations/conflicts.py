# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Values that the script changed and users changed again: whichever loses is kept."""

from typing import Final

from watchdog.migrations.changelog import is_key, keys_of
from watchdog.migrations.images import as_json, image, qualified
from watchdog.migrations.policies import Policy
from watchdog.migrations.renames import literal
from watchdog.migrations.runs import close
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan

REASON: Final = "users changed what the migration had changed too, and the conflict policy is quarantine"


async def keep_losers(connection: Connection, run: int, index: int, table: TablePlan, policy: Policy) -> int:
    """Keeps the losing row of each conflict in the result, by the policy it was merged with; says how many.

    They go to the image `conflicts`, where `lost` says whether it is the `earlier` row or the `later` one, or to
    quarantine.
    """
    result = image(run, index, "result")
    if not await _any(connection, f"SELECT EXISTS (SELECT FROM {result} WHERE conflict)"):
        return 0
    if policy is Policy.QUARANTINE:
        return await _to_quarantine(connection, run, index, table)
    kept, name = [f"c{n}" for n in range(len(table.columns))], image(run, index, "conflicts")
    added = [f"x{n}" for n in range(len(table.added))]
    if not await _any(connection, f"SELECT to_regclass('{name}') IS NOT NULL"):
        listed = ", ".join(f"{column} text" for column in ("lost", *kept, *added))
        await connection.execute(f"CREATE TABLE {name} (n bigint GENERATED ALWAYS AS IDENTITY, {listed})".encode())
        await close(connection, name)
    if policy is Policy.LATER:
        lost, source, columns = "earlier", "before", kept
        same = " AND ".join(f"s.c{n} = r.c{n}" for n, _ in keys_of(table))
    else:
        lost, source, columns, same = "later", "live", kept + added, "s.n = r.ln"
    cursor = await connection.execute(
        f"INSERT INTO {name} (lost{''.join(f', {c}' for c in columns)})"
        f" SELECT {literal(lost)}{''.join(f', s.{c}' for c in columns)}"
        f" FROM {result} r JOIN {image(run, index, source)} s ON {same} WHERE r.conflict".encode()
    )
    return cursor.rowcount


async def forget_losers(connection: Connection, run: int, index: int, table: TablePlan) -> None:
    """Takes back what was kept for the keys in the image `keys`, which are merged anew."""
    name = image(run, index, "conflicts")
    if await _any(connection, f"SELECT to_regclass('{name}') IS NOT NULL"):
        await connection.execute(f"DELETE FROM {name} s WHERE {is_key(run, index, table, 's')}".encode())


async def losers(connection: Connection, run: int, index: int) -> int:
    """How many losing rows of a table are kept."""
    name = image(run, index, "conflicts")
    if not await _any(connection, f"SELECT to_regclass('{name}') IS NOT NULL"):
        return 0
    row = await (await connection.execute(f"SELECT count(*) FROM {name}".encode())).fetchone()
    return int(row[0]) if row else 0


async def _to_quarantine(connection: Connection, run: int, index: int, table: TablePlan) -> int:
    cursor = await connection.execute(
        'INSERT INTO watchdog.migration_quarantine (run, "table", reason, "row")'
        f" SELECT {run}, {literal(qualified(table.name))}, {literal(REASON)}, {as_json(table, 'l')}"
        f" FROM {image(run, index, 'result')} r JOIN {image(run, index, 'live')} l ON l.n = r.ln"
        " WHERE r.conflict".encode()
    )
    return cursor.rowcount


async def _any(connection: Connection, query: str) -> bool:
    row = await (await connection.execute(query.encode())).fetchone()
    return bool(row and row[0])
