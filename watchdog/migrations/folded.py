# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""What was merged before the lock, round by round: how each key was at first, and what has become of it.

Nothing of it outlives a rollback. Its tables are not logged by the server: where they are empty after a crash, all is
merged again.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from psycopg.types.json import Jsonb

from watchdog.migrations.changelog import ALL, Part, first_entries, is_key, keys_of
from watchdog.migrations.images import image
from watchdog.migrations.runs import close
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan

UNFIT: Final = "unfit"
"""The origin of a row that waits for the lock: it does not fit, or only fits with what others have written since."""
_HELPERS: Final = ("folded", "progress", "keys", "first", "kept")


@dataclass(frozen=True)
class Progress:
    """How far the rounds came.

    Attributes:
        left: What no round has merged yet.
        found: Merged rows by origin.
    """

    left: Part
    found: Counter[str]


async def begin(connection: Connection, run: int, index: int, table: TablePlan) -> None:
    """Nothing is merged yet."""
    await forget(connection, run, index)
    names = [f"c{n}" for n, _ in keys_of(table)]
    columns = "".join(f", {name} text" for name in names)
    name, progress = image(run, index, "folded"), image(run, index, "progress")
    await connection.execute(
        f"CREATE UNLOGGED TABLE {name} (op text, o text, origin text{columns},"
        f" PRIMARY KEY ({', '.join(names)}))".encode()
    )
    await connection.execute(f"CREATE INDEX ON {name} (origin) WHERE origin = '{UNFIT}'".encode())
    await connection.execute(f"CREATE UNLOGGED TABLE {progress} (until text, found jsonb)".encode())
    await close(connection, name)
    await close(connection, progress)


async def forget(connection: Connection, run: int, index: int) -> None:
    """Takes all of it away."""
    names = ", ".join(image(run, index, which) for which in _HELPERS)
    await connection.execute(f"DROP TABLE IF EXISTS {names}".encode())


async def progress(connection: Connection, run: int, index: int, *, beside: bool) -> Progress:
    """How far the rounds came; when nothing was made beside, nowhere."""
    name = image(run, index, "progress")
    there = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))).fetchone()
    if not (beside and there and there[0]):
        return Progress(ALL, Counter())
    row = await (await connection.execute(f"SELECT until, found FROM {name}".encode())).fetchone()
    return Progress(Part(since=row[0]), Counter(row[1])) if row else Progress(ALL, Counter())


async def add_unfit(connection: Connection, run: int, index: int, table: TablePlan) -> None:
    """What waits for the lock takes part: adds it to the image `keys`."""
    keys = ", ".join(f"c{n}" for n, _ in keys_of(table))
    await connection.execute(
        f"INSERT INTO {image(run, index, 'keys')} ({keys}) SELECT {keys} FROM {image(run, index, 'folded')} f"
        f" WHERE origin = '{UNFIT}' AND NOT {is_key(run, index, table, 'f')}".encode()
    )


async def make_first(connection: Connection, run: int, index: int, table: TablePlan, state: Progress) -> None:
    """Makes the image `first`: the first entry of each key in `keys`, which may be of an earlier round."""
    keys = ", ".join(f"c{n}" for n, _ in keys_of(table))
    query = first_entries(run, index, table, state.left.since)
    if state.left != ALL:
        folded = image(run, index, "folded")
        query = (
            f"SELECT {keys}, op, o FROM {folded} f WHERE {is_key(run, index, table, 'f')}"
            f" UNION ALL SELECT {keys}, op, o FROM ({query}) e WHERE NOT {is_key(run, index, table, 'e', 'folded')}"
        )
    name = image(run, index, "first")
    await connection.execute(f"CREATE UNLOGGED TABLE {name} AS {query}".encode())
    await close(connection, name)


async def remember(connection: Connection, run: int, index: int, table: TablePlan, until: str) -> None:
    """The keys of the images `first` and `result` are merged, up to a transaction."""
    folded, keys = image(run, index, "folded"), [f"c{n}" for n, _ in keys_of(table)]
    same = {alias: " AND ".join(f"{alias}.{key} = f.{key}" for key in keys) for alias in ("r", "b")}
    names = ", ".join(keys)
    await connection.execute(f"DELETE FROM {folded} f WHERE {is_key(run, index, table, 'f')}".encode())
    await connection.execute(
        f"INSERT INTO {folded} (op, o, {names}, origin) SELECT f.op, f.o, {', '.join(f'f.{key}' for key in keys)},"
        " coalesce(r.origin, CASE WHEN b.n IS NOT NULL THEN 'deleted' END)"
        f" FROM {image(run, index, 'first')} f LEFT JOIN {image(run, index, 'result')} r ON {same['r']}"
        f" LEFT JOIN {image(run, index, 'before')} b ON {same['b']}".encode()
    )
    await connection.execute(f"ANALYZE {folded}".encode())
    rows = await (
        await connection.execute(f"SELECT origin, count(*) FROM {folded} WHERE origin IS NOT NULL GROUP BY 1".encode())
    ).fetchall()
    found = {origin: count for origin, count in rows if origin != UNFIT}
    await connection.execute(f"DELETE FROM {image(run, index, 'progress')}".encode())
    await connection.execute(
        f"INSERT INTO {image(run, index, 'progress')} (until, found) VALUES (%s, %s)".encode(), (until, Jsonb(found))
    )


async def merged_before(
    connection: Connection, run: int, index: int, table: TablePlan, state: Progress
) -> Counter[str]:
    """Rows by origin that the rounds have merged, without those whose key is in `keys`: they are merged anew."""
    if state.left == ALL:
        return Counter()
    rows = await (
        await connection.execute(
            f"SELECT origin, count(*) FROM {image(run, index, 'folded')} f"
            f" WHERE origin <> '{UNFIT}' AND {is_key(run, index, table, 'f')} GROUP BY 1".encode()
        )
    ).fetchall()
    return state.found - Counter(dict(rows))


async def keep_added(connection: Connection, run: int, index: int, table: TablePlan) -> None:
    """What users wrote into added columns, as the image `live` has it, joins what earlier rounds kept of it."""
    live, kept = image(run, index, "live"), image(run, index, "kept")
    await connection.execute(f"CREATE TABLE IF NOT EXISTS {kept} (LIKE {live})".encode())
    await close(connection, kept)
    await connection.execute(f"DELETE FROM {kept} s WHERE {is_key(run, index, table, 's')}".encode())
    columns = ", ".join([*(f"c{n}" for n in range(len(table.columns))), *(f"x{n}" for n in range(len(table.added)))])
    await connection.execute(
        f"INSERT INTO {kept} (n, {columns})"
        f" SELECT (SELECT coalesce(max(n), 0) FROM {kept}) + n, {columns} FROM {live}".encode()
    )


async def whole_added(connection: Connection, run: int, index: int, table: TablePlan) -> None:
    """The image `live` becomes whole with what the rounds kept of added columns; after the last use of its numbers."""
    live, kept = image(run, index, "live"), image(run, index, "kept")
    there = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (kept,))).fetchone()
    if there and there[0]:
        await keep_added(connection, run, index, table)
        await connection.execute(f"DROP TABLE {live}".encode())
        await connection.execute(f"ALTER TABLE {kept} RENAME TO {live.removeprefix('watchdog.')}".encode())
