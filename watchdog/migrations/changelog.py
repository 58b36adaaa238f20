# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Which rows of a table users wrote since a moment, and how each of them was before its first write.

A row trigger writes the key and the old row, as text, into a table of schema `watchdog`. It fires whatever
`session_replication_role` says, and belongs to whoever applied the run, so that the service needs no rights here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from watchdog.migrations.images import image, qualified
from watchdog.migrations.renames import literal, quote
from watchdog.migrations.shape import Connection, Name
from watchdog.migrations.table_plans import Kept, TablePlan

TRIGGER: Final = "watchdog_log"
"""The name of every trigger of ours; PostgreSQL fires triggers in the order of their names."""

# How values look as text, as `session.plain_text` has it; a user's session may have other settings.
_TEXT: Final = (
    "SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET extra_float_digits = '3'"
    " SET bytea_output = 'hex' SET xmlbinary = 'base64'"
)
_BY: Final = "x xid8 NOT NULL DEFAULT pg_current_xact_id()"
_PLAIN_TYPES: Final = frozenset(
    {"smallint", "integer", "bigint", "numeric", "boolean", "text", "character varying", "character", "uuid", "bpchar"}
)


def start(run: int, index: int, table: TablePlan, types: Sequence[str], *, before: bool) -> tuple[str, ...]:
    """Statements that begin to log: with every entry the key in its columns `cN`, with old rows the other columns too.

    Args:
        types: Of the columns of the table, to know whether the user's settings could change their text.
        before: Log the table as it was before the script, and only which rows; else as it is after it.
    """
    log, where = image(run, index, "log"), _where(table, before=before)
    keys = {f"c{n}": _called(column, before=before) for n, column in keys_of(table)}
    columns = dict(keys)
    if not before:
        columns |= {f"c{n}": c.forward for n, c in enumerate(table.columns) if c.forward is not None}
        columns |= {f"x{n}": c.forward for n, c in enumerate(table.added)}
    settings = "" if set(types) <= _PLAIN_TYPES else _TEXT
    function = f"watchdog.{quote(f'run_{run}_{index}_log')}"
    body = f"""
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            INSERT INTO {log} (op) VALUES ('T');
            RETURN NULL;
        END IF;
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO {log} (op, {", ".join(columns)}) VALUES (left(TG_OP, 1), {_values("OLD", columns)});
        END IF;
        IF TG_OP = 'INSERT' OR ROW({_values("OLD", keys)}) IS DISTINCT FROM ROW({_values("NEW", keys)}) THEN
            INSERT INTO {log} (op, {", ".join(keys)}) VALUES ('I', {_values("NEW", keys)});
        END IF;
        RETURN NULL;
    END"""
    shape = "".join(f", {name} text" for name in columns)
    how = f"RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp {settings}"
    made = [
        f"CREATE TABLE {log} (n bigint GENERATED ALWAYS AS IDENTITY, {_BY}, op text NOT NULL{shape})",
        f"CREATE FUNCTION {function}() {how} AS {literal(body)}",
        f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC",
    ]
    for name, events in ((TRIGGER, "INSERT OR UPDATE OR DELETE"), (f"{TRIGGER}_truncate", "TRUNCATE")):
        each = "STATEMENT" if events == "TRUNCATE" else "ROW"
        made += [
            f"CREATE TRIGGER {name} AFTER {events} ON {where} FOR EACH {each} EXECUTE FUNCTION {function}()",
            f"ALTER TABLE {where} ENABLE ALWAYS TRIGGER {name}",
        ]
    return tuple(made)


def keys_of(table: TablePlan) -> list[tuple[int, Kept]]:
    """The columns of the primary key, each with its place in images."""
    return [(n, column) for n, column in enumerate(table.columns) if column.name in table.key]


def _where(table: TablePlan, *, before: bool) -> str:
    return qualified(table.name if before or table.forward is None else table.forward)


def _called(column: Kept, *, before: bool) -> str:
    return column.name if before or column.forward is None else column.forward


def _values(row: str, columns: Mapping[str, str]) -> str:
    return ", ".join(f"{row}.{quote(column)}::text" for column in columns.values())


@dataclass(frozen=True)
class Part:
    """Some of a log: by the transactions that wrote it, as their ids say.

    Attributes:
        since: The first that counts; empty for the log's beginning.
        until: The first that does not; empty for its end.
    """

    since: str = ""
    until: str = ""

    @property
    def condition(self) -> str:
        """On an entry of the log."""
        bounds = [f"x >= '{self.since}'::xid8"] if self.since else []
        bounds += [f"x < '{self.until}'::xid8"] if self.until else []
        return " AND ".join(["op <> 'T'", *bounds])


ALL: Final = Part()


def touched(run: int, index: int, table: TablePlan, part: Part = ALL) -> str:
    """The keys that were logged, as a subquery."""
    keys = ", ".join(f"c{n}" for n, _ in keys_of(table))
    return f"SELECT DISTINCT {keys} FROM {image(run, index, 'log')} WHERE {part.condition}"


def is_touched(run: int, index: int, table: TablePlan, alias: str, part: Part = ALL) -> str:
    """Whether a row of an image was logged, as a condition."""
    keys = ", ".join(f"{alias}.c{n}" for n, _ in keys_of(table))
    return f"({keys}) IN ({touched(run, index, table, part)})"


def joins_live(run: int, index: int, table: TablePlan, part: Part = ALL, *, forward: bool = False) -> str:
    """Joins the live rows `t` with the keys that were logged, over the index of the primary key.

    Args:
        forward: The table has its columns' names of after the script still.
    """
    same = " AND ".join(
        f"t.{quote(_called(column, before=not forward))} = k.c{n}::{column.type}" for n, column in keys_of(table)
    )
    return f"JOIN ({touched(run, index, table, part)}) k ON {same}"


def first_states(run: int, index: int, table: TablePlan, part: Part = ALL) -> str:
    """Makes the image `after` of the log: how each logged row was before its first change; later rows are not in it.

    The first change may be older than the part.
    """
    keys = ", ".join(f"c{n}" for n, _ in keys_of(table))
    mine = "" if part == ALL else f" AND {is_touched(run, index, table, 'l', part)}"
    listed = [
        "row_number() OVER () AS n",
        *(f"{'NULL::text' if c.forward is None else f's.c{n}'} AS c{n}" for n, c in enumerate(table.columns)),
        *(f"s.x{n}" for n, _ in enumerate(table.added)),
    ]
    return (
        f"CREATE TABLE {image(run, index, 'after')} AS SELECT {', '.join(listed)} FROM (SELECT DISTINCT ON ({keys}) *"
        f" FROM {image(run, index, 'log')} l WHERE op <> 'T'{mine} ORDER BY {keys}, n) s WHERE s.op <> 'I'"
    )


async def stop(connection: Connection, run: int) -> None:
    """Takes every trigger and function of a run away; its log tables stay."""
    rows = await (
        await connection.execute(
            """SELECT format('%%I.%%I', n.nspname, c.relname), t.tgname::text
                 FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
                 JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE p.pronamespace = to_regnamespace('watchdog') AND p.proname ~ %s""",
            (f"^run_{run}_[0-9]+_log$",),
        )
    ).fetchall()
    for table, name in rows:
        await connection.execute(f"DROP TRIGGER {quote(name)} ON {table}".encode())
    functions = await (
        await connection.execute(
            "SELECT format('watchdog.%%I()', proname) FROM pg_proc"
            " WHERE pronamespace = to_regnamespace('watchdog') AND proname ~ %s",
            (f"^run_{run}_[0-9]+_log$",),
        )
    ).fetchall()
    for (function,) in functions:
        await connection.execute(f"DROP FUNCTION {function}".encode())


async def was_truncated(connection: Connection, run: int, index: int) -> bool:
    """Whether somebody emptied the table at once since the log began."""
    row = await (
        await connection.execute(f"SELECT EXISTS (SELECT FROM {image(run, index, 'log')} WHERE op = 'T')".encode())
    ).fetchone()
    return bool(row and row[0])


async def types_of(connection: Connection, name: Name) -> list[str]:
    """The types of a table's columns, without length."""
    rows = await (
        await connection.execute(
            "SELECT format_type(atttypid, -1) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            (qualified(name),),
        )
    ).fetchall()
    return [text for (text,) in rows]
