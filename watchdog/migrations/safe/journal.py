"""The journal of a run's steps, in the database that they change."""

from dataclasses import dataclass
from importlib import resources
from typing import Final

from cattrs.preconf.json import make_converter
from psycopg.types.json import Jsonb

from watchdog.migrations.runs import close
from watchdog.migrations.safe.values import Forms, Step
from watchdog.migrations.shape import Connection

_CONVERTER: Final = make_converter()
_TABLE: Final = "watchdog.migration_steps"


@dataclass(frozen=True)
class Entry:
    """A step with how far it is.

    Attributes:
        state: `waiting`, `begun` or `done`.
        position: The last key of the last batch, as text; None before the first one.
        rows: Changed so far.
    """

    number: int
    step: Step
    state: str
    position: tuple[str, ...] | None
    rows: int


async def enter(connection: Connection, run: int, forms: Forms) -> None:
    """Writes the steps of a run down, before the first one."""
    text = resources.files("watchdog.migrations.safe").joinpath("journal.sql").read_bytes()
    there = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (_TABLE,))).fetchone()
    async with connection.transaction():
        if not (there and there[0]):
            await connection.execute(text)
            await close(connection, _TABLE)
        # Settings first: every session that goes on with the run needs them.
        values = [(run, 0, Jsonb(list(forms.settings)), "done")]
        values += [
            (run, number, Jsonb(_CONVERTER.unstructure(step)), "waiting") for number, step in enumerate(forms.steps, 1)
        ]
        async with connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO watchdog.migration_steps (run, number, step, state) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                values,
            )


async def load(connection: Connection, run: int) -> tuple[tuple[str, ...], tuple[Entry, ...]]:
    """The settings of a run and its steps; nothing when it is none in steps."""
    there = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (_TABLE,))).fetchone()
    if not (there and there[0]):
        return (), ()
    rows = await (
        await connection.execute(
            "SELECT number, step, state, position, rows FROM watchdog.migration_steps WHERE run = %s ORDER BY number",
            (run,),
        )
    ).fetchall()
    settings = tuple(rows[0][1]) if rows else ()
    entries = (
        Entry(number, _CONVERTER.structure(step, Step), state, None if at is None else tuple(at), count)
        for number, step, state, at, count in rows[1:]
    )
    return settings, tuple(entries)


async def begun(connection: Connection, run: int, number: int) -> None:
    """A step begins."""
    await connection.execute(
        "UPDATE watchdog.migration_steps SET state = 'begun', began_at = coalesce(began_at, clock_timestamp())"
        " WHERE run = %s AND number = %s",
        (run, number),
    )


async def moved(connection: Connection, run: int, number: int, position: tuple[str, ...], rows: int) -> None:
    """A batch is done; in its transaction."""
    await connection.execute(
        "UPDATE watchdog.migration_steps SET position = %s, rows = rows + %s WHERE run = %s AND number = %s",
        (list(position), rows, run, number),
    )


async def done(connection: Connection, run: int, number: int) -> None:
    """A step is done, in its transaction where it has one. Its position held values of a row, so it goes."""
    await connection.execute(
        "UPDATE watchdog.migration_steps SET state = 'done', ended_at = clock_timestamp(), position = NULL"
        " WHERE run = %s AND number = %s",
        (run, number),
    )


async def forget_positions(connection: Connection) -> None:
    """Positions of runs that are over go: they hold values of rows."""
    there = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (_TABLE,))).fetchone()
    if there and there[0]:
        await connection.execute(
            "UPDATE watchdog.migration_steps s SET position = NULL FROM watchdog.migration_runs r"
            " WHERE r.id = s.run AND r.state NOT IN ('preparing', 'applying') AND s.position IS NOT NULL"
        )
