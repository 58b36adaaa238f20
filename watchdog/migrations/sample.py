"""A few rows of every table for a copy of the schema; what is free text, JSON or binary is masked on the way."""

import psycopg
from psycopg import sql

from watchdog.migrations.shape import Connection, load_query

_MASKS = {
    "S": "left(repeat(md5({0}::text), 1 + length({0}::text) / 32), length({0}::text))::{1}",
    "json": "'{{}}'::{1}",
    "bytea": "decode(md5({0}), 'hex')",
}


async def load(production: Connection, fresh: Connection, rows: int) -> None:
    """Copies up to `rows` rows a table; a table whose masked rows break a constraint stays empty.

    Columns of keys and other constraints keep their values, or rows would not fit together; triggers do not fire.
    """
    tables = await (await production.execute(load_query("sample.sql"))).fetchall()
    await fresh.execute("SET session_replication_role = replica")
    for schema, name, columns in tables:
        where = sql.Identifier(schema, name)
        names = sql.SQL(", ").join(sql.Identifier(column["name"]) for column in columns)
        values = sql.SQL(", ").join(_value(column) for column in columns)
        take = sql.SQL("COPY (SELECT {} FROM ONLY {} LIMIT {}) TO STDOUT").format(values, where, sql.Literal(rows))
        put = sql.SQL("COPY {} ({}) FROM STDIN").format(where, names)
        try:
            async with (
                fresh.transaction(),
                production.cursor() as source,
                fresh.cursor() as sink,
                source.copy(take) as reader,
                sink.copy(put) as writer,
            ):
                async for block in reader:
                    await writer.write(block)
        except psycopg.errors.IntegrityError:
            continue
    await fresh.execute("RESET session_replication_role")


def _value(column: dict[str, str]) -> sql.Composable:
    mask = _MASKS.get(column["mask"])
    name = sql.Identifier(column["name"])
    if mask is None:
        return name
    # The type is the server's own writing of it.
    return sql.SQL(mask.replace("{1}", "{type}").replace("{0}", "{name}")).format(
        name=name,
        type=sql.SQL(column["type"]),
    )
