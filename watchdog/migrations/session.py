"""A connection for one command, and what every command asks of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict

from watchdog.migrations.shape import Connection
from watchdog.ports.errors import WatchdogError

# How values look as text, whatever the role or the script has set: an image must read the same before and after.
_PLAIN = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "row_security": "off",
}


class RefusedError(WatchdogError):
    """A script is not applied, and nothing was changed.

    Attributes:
        reasons: Each statement or table with why.
    """

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("nothing was changed: " + "; ".join(reasons))
        self.reasons = reasons


@asynccontextmanager
async def connected(url: str, role: str = "") -> AsyncIterator[Connection]:
    """A connection for one command, with the rights of a role; raises WatchdogError when there is none."""
    # Not by SET ROLE: a script that says RESET ROLE would be somebody else.
    given = str(conninfo_to_dict(url).get("options", ""))
    options = f"{given} -c role={role.replace(chr(92), chr(92) * 2).replace(' ', chr(92) + ' ')}" if role else given
    try:
        connection = await psycopg.AsyncConnection.connect(
            url, application_name="watchdog migration", autocommit=True, options=options
        )
    except psycopg.Error as error:
        raise WatchdogError(f"The database cannot be reached: {str(error).strip()}; check --database.") from error
    async with connection:
        yield connection


async def plain_text(connection: Connection, *, on: bool = True) -> None:
    """Fixes how values look as text to the end of the transaction, or gives the session's own settings back.

    With it a row-level policy that would hide rows from us is an error. Nobody waits for a lock for more than 5 s,
    or what was set before.
    """
    for name, value in _PLAIN.items():
        await connection.execute(f"SET LOCAL {name} = '{value}'" if on else f"SET LOCAL {name} TO DEFAULT")
    await connection.execute(
        "SELECT set_config('lock_timeout', '5s', true) WHERE current_setting('lock_timeout') = '0'"
    )


async def sequence_positions(connection: Connection) -> dict[str, tuple[int, bool]]:
    """Every sequence's position."""
    names = await (
        await connection.execute(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'S' AND n.nspname <> 'watchdog' AND c.relpersistence <> 't'"
        )
    ).fetchall()
    found: dict[str, tuple[int, bool]] = {}
    for (name,) in names:
        query = f"SELECT last_value, is_called FROM {name}"  # noqa: S608 - quoted by the server itself
        row = await (await connection.execute(query.encode())).fetchone()
        assert row is not None  # noqa: S101 - a sequence has one row
        found[name] = (row[0], row[1])
    return found
