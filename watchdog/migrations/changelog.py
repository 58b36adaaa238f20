# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Which rows of a table users wrote since a moment, and how each of them was before its first write.

A row trigger writes the key and the old row, as text, into a table of schema `watchdog`. It fires whatever
`session_replication_role` says, and belongs to whoever applied the run, so that the service needs no rights here. When
somebody renames or drops a column of the key, users can go on writing, and only the log has a gap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from watchdog.migrations.images import image, qualified
from watchdog.migrations.renames import literal, quote
from watchdog.migrations.runs import close
from watchdog.migrations.shape import Connection, Name
from watchdog.migrations.table_plans import Kept, TablePlan

TRIGGER: Final = "watchdog_log"
"""How the name of every trigger of ours begins."""

# How values look as text, as `session.plain_text` has it; a user's session may have other settings.
_TEXT: Final = (
    "SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET extra_float_digits = '3'"
    " SET bytea_output = 'hex' SET xmlbinary = 'base64'"
)
_BY: Final = "x xid8 NOT NULL DEFAULT pg_current_xact_id()"
_NUMBER: Final = "(x::text::bigint)"
"""The transaction of an entry, as a number: there is no BRIN index of xid8."""
KEYS: Final = frozenset({"smallint", "integer", "bigint", "text", "character varying", "uuid"})
"""Types of keys that read the same as text and in JSON."""
_PLAIN_TYPES: Final = KEYS | {"numeric", "boolean", "character"}


def start(run: int, index: int, table: TablePlan, types: Sequence[str], *, before: bool) -> tuple[str, ...]:
    """Statements that begin to log: with every entry the key in its columns `cN`, with old rows the whole row in `o`.

    Args:
        types: Of the columns of the table, to know whether the user's settings could change their text.
        before: Log the table as it was before the script, and only which rows; else as it is after it.
    """
    log, where = image(run, index, "log"), _where(table, before=before)
    settings = "" if before or set(types) <= _PLAIN_TYPES else _TEXT
    function = f"watchdog.{quote(f'run_{run}_{index}_log')}"
    body = _body(log, {f"c{n}": quote(_called(column, before=before)) for n, column in keys_of(table)}, before=before)
    how = f"RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp {settings}"
    made = [
        *log_table(run, index, table),
        f"CREATE FUNCTION {function}() {how} AS {literal(body)}",
        f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC",
    ]
    for name, events in ((f"{TRIGGER}_{run}", "INSERT OR UPDATE OR DELETE"), (f"{TRIGGER}_{run}_truncate", "TRUNCATE")):
        each = "STATEMENT" if events == "TRUNCATE" else "ROW"
        made += [
            f"CREATE TRIGGER {name} AFTER {events} ON {where} FOR EACH {each} EXECUTE FUNCTION {function}()",
            f"ALTER TABLE {where} ENABLE ALWAYS TRIGGER {name}",
        ]
    return tuple(made)


def _body(log: str, keys: Mapping[str, str], *, before: bool) -> str:
    """What the trigger does.

    Args:
        keys: By column of the log, the key's column of the table, quoted.
    """
    names, old = ", ".join(keys), "NULL" if before else "OLD::text"
    was, now = (", ".join(f"{row}[{place}]" for place, _ in enumerate(keys, 1)) for row in ("was", "now"))
    return f"""
    DECLARE
        was text[]; now text[];
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            INSERT INTO {log} (op) VALUES ('T');
            RETURN NULL;
        END IF;
        BEGIN
            IF TG_OP <> 'INSERT' THEN
                was := ARRAY[{", ".join(f"OLD.{key}::text" for key in keys.values())}];
            END IF;
            IF TG_OP <> 'DELETE' THEN
                now := ARRAY[{", ".join(f"NEW.{key}::text" for key in keys.values())}];
            END IF;
        EXCEPTION WHEN undefined_column THEN
            was := NULL; now := NULL;
        END;
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO {log} (op, o, {names}) VALUES (left(TG_OP, 1), {old}, {was});
        END IF;
        IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND was IS DISTINCT FROM now THEN
            INSERT INTO {log} (op, {names}) VALUES ('I', {now});
        END IF;
        RETURN NULL;
    END"""


def log_table(run: int, index: int, table: TablePlan) -> tuple[str, ...]:
    """Statements that make the table of a log."""
    log, keys = image(run, index, "log"), "".join(f", c{n} text" for n, _ in keys_of(table))
    return (
        f"CREATE TABLE {log} (n bigint GENERATED ALWAYS AS IDENTITY, {_BY}, op text NOT NULL, o text{keys})",
        # These cost a write next to nothing, and let a rollback read the end of a long log only.
        f"CREATE INDEX ON {log} USING brin ({_NUMBER}) WITH (pages_per_range = 16)",
        f"CREATE INDEX ON {log} (n) WHERE op = 'T'",
        f"CREATE INDEX ON {log} (n) WHERE {_gap(table)}",
    )


def keys_of(table: TablePlan) -> list[tuple[int, Kept]]:
    """The columns of the primary key, each with its place in images."""
    return [(n, column) for n, column in enumerate(table.columns) if column.name in table.key]


def _where(table: TablePlan, *, before: bool) -> str:
    return qualified(table.name if before or table.forward is None else table.forward)


def _called(column: Kept, *, before: bool) -> str:
    return column.name if before or column.forward is None else column.forward


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
        bounds = [f"{_NUMBER} >= {int(self.since)}"] if self.since else []
        bounds += [f"{_NUMBER} < {int(self.until)}"] if self.until else []
        return " AND ".join(["op <> 'T'", *bounds])


ALL: Final = Part()


async def find_keys(connection: Connection, run: int, index: int, table: TablePlan, part: Part = ALL) -> int:
    """Makes the image `keys` of what was logged in a part, and says how many there are.

    A table of its own, so that the planner knows how many: with a guess a million keys took hours.
    """
    keys = ", ".join(f"c{n}" for n, _ in keys_of(table))
    name = image(run, index, "keys")
    query = f"SELECT DISTINCT {keys} FROM {image(run, index, 'log')} WHERE {part.condition}"
    cursor = await connection.execute(f"CREATE TABLE {name} AS {query}".encode())
    await close(connection, name)
    await connection.execute(f"ANALYZE {name}".encode())
    return cursor.rowcount


def joins_live(run: int, index: int, table: TablePlan, *, forward: bool = False) -> str:
    """Joins the live rows `t` with the image `keys`, over the index of the primary key.

    Args:
        forward: The table has its columns' names of after the script still.
    """
    same = " AND ".join(
        f"t.{quote(_called(column, before=not forward))} = k.c{n}::{column.type}" for n, column in keys_of(table)
    )
    return f"JOIN {image(run, index, 'keys')} k ON {same}"


async def summarize(connection: Connection, run: int, index: int) -> None:
    """Brings the log's indexes and statistics up to date, so that what comes now is found without reading the rest."""
    name = image(run, index, "log")
    await connection.execute(
        "SELECT brin_summarize_new_values(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_am a ON a.oid = c.relam WHERE i.indrelid = %s::regclass AND a.amname = 'brin'",
        (name,),
    )
    await connection.execute(f"ANALYZE {name}".encode())


def first_entries(run: int, index: int, table: TablePlan, since: str = "") -> str:
    """The first entry of each key in the image `keys`: `op`, and in `o` the row before; one for a key.

    Args:
        since: Transactions before it wrote none of these keys, or none is known; empty for the log's beginning.
    """
    keys = ", ".join(f"l.c{n}" for n, _ in keys_of(table))
    return (
        f"SELECT DISTINCT ON ({keys}) {keys}, l.op, l.o FROM {image(run, index, 'log')} l"
        f" WHERE {Part(since).condition} AND {is_key(run, index, table, 'l')} ORDER BY {keys}, l.n"
    )


def is_key(run: int, index: int, table: TablePlan, alias: str, which: str = "keys") -> str:
    """Whether a row's key is in an image of keys, as a condition."""
    same = " AND ".join(f"k.c{n} = {alias}.c{n}" for n, _ in keys_of(table))
    return f"EXISTS (SELECT FROM {image(run, index, which)} k WHERE {same})"


def first_states(run: int, index: int, table: TablePlan, entries: str, *, forward: bool = False) -> str:
    """Makes the image `after` of first entries: how each row was before its first change; later rows are not in it.

    The table has the columns of just after the script.

    Args:
        entries: As `first_entries` says them.
        forward: Nothing was named back yet.
    """
    row = qualified((forward and table.forward) or table.name)
    kept = [None if c.forward is None else c.forward if forward else c.name for c in table.columns]
    listed = [
        "row_number() OVER () AS n",
        *(f"{'NULL' if name is None else f'(s.r).{quote(name)}'}::text AS c{n}" for n, name in enumerate(kept)),
        *(f"(s.r).{quote(c.forward if forward else c.live)}::text AS x{n}" for n, c in enumerate(table.added)),
    ]
    return (
        f"CREATE TABLE {image(run, index, 'after')} AS SELECT {', '.join(listed)} FROM"
        f" (SELECT o::{row} AS r FROM ({entries}) f WHERE op <> 'I' OFFSET 0) s"
    )


def _gap(table: TablePlan) -> str:
    return f"op <> 'T' AND ({' OR '.join(f'c{n} IS NULL' for n, _ in keys_of(table))})"


async def has_gap(connection: Connection, run: int, index: int, table: TablePlan) -> bool:
    """Whether something was written while a column of the key was called otherwise, so that nobody knows which row."""
    query = f"SELECT EXISTS (SELECT FROM {image(run, index, 'log')} WHERE {_gap(table)})"
    row = await (await connection.execute(query.encode())).fetchone()
    return bool(row and row[0])


async def stop(connection: Connection, run: int, index: int | None = None) -> None:
    """Takes the triggers and functions of a run away, or of one of its tables; the log tables stay."""
    named = f"^run_{run}_{'[0-9]+' if index is None else index}_log$"
    rows = await (
        await connection.execute(
            """SELECT format('%%I.%%I', n.nspname, c.relname), t.tgname::text
                 FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
                 JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE p.pronamespace = to_regnamespace('watchdog') AND p.proname ~ %s""",
            (named,),
        )
    ).fetchall()
    for table, name in rows:
        await connection.execute(f"DROP TRIGGER {quote(name)} ON {table}".encode())
    functions = await (
        await connection.execute(
            "SELECT format('watchdog.%%I()', proname) FROM pg_proc"
            " WHERE pronamespace = to_regnamespace('watchdog') AND proname ~ %s",
            (named,),
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


async def silence(connection: Connection, run: int) -> None:
    """The triggers of a run do nothing from now on; no table is locked for that."""
    rows = await (
        await connection.execute(
            "SELECT format('watchdog.%%I()', proname) FROM pg_proc"
            " WHERE pronamespace = to_regnamespace('watchdog') AND proname ~ %s",
            (f"^run_{run}_[0-9]+_log$",),
        )
    ).fetchall()
    for (function,) in rows:
        nothing = "RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NULL; END'"
        await connection.execute(f"CREATE OR REPLACE FUNCTION {function} {nothing}".encode())
