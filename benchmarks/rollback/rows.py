"""The rows of a database as multisets, and users who insert, change and delete."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

_TABLES = """
    SELECT c.oid::bigint, n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_'
       AND n.nspname NOT IN ('watchdog', 'information_schema')
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""


@dataclass(frozen=True)
class Rows:
    """A table's rows, each as JSON text."""

    number: int
    name: tuple[str, str]
    rows: Counter[str]


async def snapshot(url: str) -> dict[int, Rows]:
    """Every table's rows, by the table's number."""
    found: dict[int, Rows] = {}
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        for number, schema, name in await (await connection.execute(_TABLES)).fetchall():
            query = sql.SQL("SELECT to_jsonb(r)::text FROM {} r").format(sql.Identifier(schema, name))
            rows = await (await connection.execute(query)).fetchall()
            found[number] = Rows(number, (schema, name), Counter(text for (text,) in rows))
    return found


async def users(url: str) -> None:
    """Changes one earlier row of each table and deletes another, where the schema lets them."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        for _, schema, name in await (await connection.execute(_TABLES)).fetchall():
            table = sql.Identifier(schema, name)
            for statement in [*await _updates(connection, schema, name), _delete(table)]:
                try:
                    done = await connection.execute(statement)
                except psycopg.Error:
                    continue
                if done.rowcount > 0 and statement != _delete(table):
                    await connection.execute("SELECT 1")


async def _updates(connection: AsyncConnection[Any], schema: str, name: str) -> list[sql.Composed]:
    columns = await (
        await connection.execute(
            """
            SELECT a.attname, t.typcategory FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
             WHERE a.attrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attgenerated = '' AND t.typcategory IN ('S', 'N', 'B')
               AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND a.attnum = ANY (k.conkey))
             ORDER BY a.attnum LIMIT 2
            """,
            (schema, name),
        )
    ).fetchall()
    values = {"S": "'u'", "N": "77", "B": "false"}
    table = sql.Identifier(schema, name)
    return [
        sql.SQL("UPDATE {t} SET {c} = {v} WHERE ctid = (SELECT ctid FROM {t} ORDER BY {t}::text LIMIT 1)").format(
            t=table, c=sql.Identifier(column), v=sql.SQL(values[category])
        )
        for column, category in columns
    ]


def _delete(table: sql.Identifier) -> sql.Composed:
    return sql.SQL("DELETE FROM {t} WHERE ctid = (SELECT ctid FROM {t} ORDER BY {t}::text OFFSET 2 LIMIT 1)").format(
        t=table
    )


async def quarantined(url: str, run: int) -> Counter[str]:
    """Rows in quarantine by table."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        query = 'SELECT "table", count(*) FROM watchdog.migration_quarantine WHERE run = %s GROUP BY 1'
        return Counter(dict(await (await connection.execute(query, (run,))).fetchall()))
