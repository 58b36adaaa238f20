# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote`
"""What archives will take, in bytes and seconds, measured on a sample of the rows before anything is done."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from watchdog.migrations.calibrate import Speed, measure
from watchdog.migrations.images import qualified
from watchdog.migrations.paced import DEFAULTS
from watchdog.migrations.renames import quote
from watchdog.migrations.runs import named, prepare
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan
from watchdog.ports.errors import WatchdogError

_SAMPLE_BYTES: Final = 16 * 1024**2
"""How much of a table is read and written to know its speed; a table up to this size is read whole."""
_LEAST_PAGES: Final = 4
# A rollback reads the live rows, merges them with two images, writes and compares them, and builds indexes: in times
# of one copy of the table. Measured with 100,000 and 300,000 rows of 60 bytes on PostgreSQL 18, two busy cores.
_MERGE_COPIES: Final = 8.5
_REFILL_COPIES: Final = 4.0
_INDEX_COPIES: Final = 0.9
# A large table is filled and indexed beside the live one, and compared with nothing: measured with 1,000,000 rows. Used
# where a sample of it cannot be tried.
_BESIDE_COPIES: Final = 0.75
_BESIDE_INDEX_COPIES: Final = 0.2
_FIXED_SECONDS: Final = 0.2
"""What a rollback of no rows takes."""
_UNITS: Final = {
    "": 1, "b": 1,
    "kb": 1000, "mb": 1000**2, "gb": 1000**3, "tb": 1000**4,
    "kib": 1024, "mib": 1024**2, "gib": 1024**3, "tib": 1024**4,
}  # fmt: skip


class BytesError(WatchdogError):
    """A text is no number of bytes."""

    exit_status = 2


@dataclass(frozen=True)
class Prediction:
    """What a run will take.

    Attributes:
        bytes: Of the images that it writes, on disk.
        rows: Of the tables that it archives.
        archive_seconds: To write the images; small tables are locked against writes meanwhile.
        rollback_seconds: To take the run back at once, with no later rows.
        speed: Seconds of what more a rollback takes: `later` for each write of users, as `with_later` reads it.
    """

    bytes: int = 0
    rows: int = 0
    archive_seconds: float = 0.0
    rollback_seconds: float = 0.0
    speed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Copy:
    """One image of a table: its bytes, its rows, and the seconds to write it."""

    bytes: float
    rows: float
    seconds: float


async def predict(connection: Connection, tables: Iterable[TablePlan]) -> Prediction:
    """What archiving these tables will take; samples of them are copied in a transaction that is rolled back.

    Tables that the script makes are not there yet, so they count for nothing.

    Raises:
        WatchdogError: A table cannot be read, or somebody holds it; nothing was changed.
    """
    await prepare(connection)
    size = rows = archive = 0.0
    rollback, later = _FIXED_SECONDS, 0.0
    with named("What the archives take cannot be predicted"):
        async with connection.transaction(force_rollback=True):
            await connection.execute("SET LOCAL lock_timeout = '5s'")
            for table in tables:
                if table.kind not in {"rebuilt", "gone"}:
                    continue
                one = await _copy(connection, table)
                # Of a large table only what users wrote since is merged.
                merges = table.kind == "rebuilt" and not table.online
                images, merged = (2, _MERGE_COPIES) if merges else (1, 0.0)
                size += one.bytes * images
                rows += one.rows
                archive += one.seconds * (images + DEFAULTS.rest if table.online else images)
                tried = await measure(connection, table, one.rows) if table.online else Speed()
                later = max(later, tried.later)
                if tried.table:
                    rollback += tried.table
                    continue
                indexes = await _indexes(connection, table)
                refill, index = (
                    (_BESIDE_COPIES, _BESIDE_INDEX_COPIES) if table.online else (_REFILL_COPIES, _INDEX_COPIES)
                )
                rollback += one.seconds * (merged + refill + index * indexes)
    return Prediction(round(size), round(rows), archive, rollback, {"later": later})


def with_later(rollback_seconds: float, entries: int, speed: Mapping[str, float]) -> float:
    """The predicted length of a rollback with what users wrote since.

    Args:
        rollback_seconds: As predicted when the run was applied.
        entries: Later writes in the change log.
        speed: As the prediction measured it.
    """
    return rollback_seconds + entries * speed.get("later", 0.0)


async def _indexes(connection: Connection, table: TablePlan) -> int:
    row = await (
        await connection.execute(
            "SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass", (qualified(table.name),)
        )
    ).fetchone()
    return int(row[0]) if row else 0


async def _copy(connection: Connection, table: TablePlan) -> _Copy:
    """One image of the whole table, as a sample of it says."""
    name = qualified(table.name)
    row = await (
        await connection.execute(
            "SELECT pg_table_size(c.oid), pg_relation_size(c.oid) / current_setting('block_size')::int,"
            " CASE WHEN relpages > 0 AND reltuples > 0 THEN reltuples / relpages END FROM pg_class c"
            " WHERE oid = %s::regclass",
            (name,),
        )
    ).fetchone()
    assert row is not None  # noqa: S101 - the cast has found it
    size, pages, dense = row
    if not pages:
        return _Copy(0.0, 0.0, 0.0)
    share = min(1.0, max(_SAMPLE_BYTES / max(size, 1), _LEAST_PAGES / pages))
    columns = ", ".join(f"{quote(column.name)}::text AS c{n}" for n, column in enumerate(table.columns))
    listed = f"SELECT row_number() OVER () AS n{', ' if columns else ''}{columns} FROM ONLY {name}"
    if share == 1:
        sampled, taken, seconds = await _write(connection, listed)
        return _Copy(taken, sampled, seconds) if sampled else _Copy(0.0, 0.0, 0.0)
    # The same pages both times.
    pick = f"TABLESAMPLE SYSTEM ({share * 100}) REPEATABLE (1)"
    sampled, taken, seconds = await _write(connection, f"{listed} {pick}")
    if not sampled:
        return _Copy(0.0, 0.0, 0.0)
    if dense is None:
        seen = f"SELECT count(DISTINCT (ctid::text::point)[0]) FROM ONLY {name} {pick}"
        row = await (await connection.execute(seen.encode())).fetchone()
        dense = sampled / row[0] if row and row[0] else 0.0
    rows = dense * pages
    return _Copy(taken * rows / sampled, rows, seconds * rows / sampled)


async def _write(connection: Connection, query: str) -> tuple[int, int, float]:
    """Writes what a query answers and takes it away again: rows, bytes on disk, seconds."""
    into = f"watchdog.sample_{connection.info.backend_pid}"
    async with connection.transaction(force_rollback=True):
        began = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
        cursor = await connection.execute(f"CREATE TABLE {into} AS {query}".encode())
        ended = await (
            await connection.execute(
                "SELECT extract(epoch FROM clock_timestamp() - %s)::float8, pg_total_relation_size(%s::regclass)",
                (began[0] if began else None, into),
            )
        ).fetchone()
    assert ended is not None  # noqa: S101 - a function answers
    return cursor.rowcount, ended[1], ended[0]


def check(
    prediction: Prediction, budget_bytes: int | None, free: int | None = None, *, within: float | None = None
) -> str | None:
    """Why a run must not begin, as a sentence; None when its archives fit and it can be taken back in time.

    Args:
        budget_bytes: What they may take; None for no limit.
        within: Seconds that its rollback may take; None for no limit.
        free: Bytes that are free on the database's disk, where that is known.
    """
    size = say_bytes(prediction.bytes)
    if budget_bytes is not None and prediction.bytes > budget_bytes:
        return (
            f"its archives would take about {size} for {prediction.rows:,} rows,"
            f" and the budget is {say_bytes(budget_bytes)}; allow more with --budget, or split the migration"
        )
    if free is not None and prediction.bytes > free:
        return f"its archives would take about {size}, and only {say_bytes(free)} are free on the database's disk"
    if within is not None and prediction.rollback_seconds > within:
        return (
            f"its rollback would take about {prediction.rollback_seconds:.0f} s, and may take {within:.0f} s: past that"
            " there is no return in time; allow more with --rollback-within, or put destruction off with --defer"
        )
    return None


def say_prediction(prediction: Prediction) -> str:
    """What a run will take, for people."""
    back = f"taking it back about {prediction.rollback_seconds:.1f} s"
    if not prediction.rows:
        return f"nothing is archived; {back}"
    size = say_bytes(prediction.bytes)
    return f"archiving {prediction.rows:,} rows takes about {size} and {prediction.archive_seconds:.1f} s; {back}"


def parse_bytes(text: str) -> int:
    """`20GiB`, `500 MB`, `1024`, in bytes: `KiB` is 1024 and `kB` 1000.

    Raises:
        BytesError: It is none of these.
    """
    match = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-z]{0,3})\s*", text)
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise BytesError(f"{text!r} is no number of bytes; say it as 20GiB, 500MB or 1024.")
    return int(float(match[1]) * unit)


def say_bytes(count: int) -> str:
    """A number of bytes as a person says it: `20.0 GiB`."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count >= 1024**power:
            return f"{count / 1024**power:.1f} {unit}"
    return f"{count} bytes"
