"""What the systems held before the release: taken before T-0, kept as JSON, compared at the end."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import neo4j
import psycopg
import redis.asyncio
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from watchdog.demo.data import QUERIES
from watchdog.demo.embedding import DIMENSIONS, MODEL_V1, query_literal
from watchdog.servers.postgres import tool

_NODES = """
MATCH (n)
WITH trim(apoc.text.join(apoc.coll.sort(labels(n)), ':') + ' ' + coalesce(n.id, '')) AS name,
     apoc.util.md5([apoc.convert.toSortedJsonMap(properties(n))]) AS properties
WITH name, properties ORDER BY name, properties
RETURN collect(name), collect(properties)
"""
_RELATIONSHIPS = """
MATCH (a)-[r]->(b)
WITH apoc.text.join(apoc.coll.sort(labels(a)), ':') + ' ' + coalesce(a.id, '')
     + ' -' + type(r) + '-> '
     + apoc.text.join(apoc.coll.sort(labels(b)), ':') + ' ' + coalesce(b.id, '') AS name,
     apoc.util.md5([apoc.convert.toSortedJsonMap(properties(r))]) AS properties
WITH name, properties ORDER BY name, properties
RETURN collect(name), collect(properties)
"""
Connection = psycopg.AsyncConnection[TupleRow]


@dataclass(frozen=True)
class Systems:
    """The stores to look at: the database's address as superuser, and open clients of the others.

    The Redis client decodes responses.
    """

    database_url: str
    graph: neo4j.AsyncDriver
    redis: redis.asyncio.Redis


@dataclass(frozen=True)
class Table:
    """The rows of one table: primary key as text to MD5 of the columns that there were."""

    key: str
    columns: tuple[str, ...]
    rows: dict[str, str]


@dataclass(frozen=True)
class Before:
    """A snapshot.

    Attributes:
        taken_at: nanoseconds UTC, when taking it began.
        schema: the schema as pg_dump writes it, without comments.
        tables: every table of the service.
        graph: every node and relationship, by a readable name, with a hash of its properties.
        answers: document ids that each fixed search found, nearest first.
        sessions: session id to user.
        billing: keys and values of the other application in the same Redis.
    """

    taken_at: int
    schema: str
    tables: dict[str, Table]
    graph: dict[str, str]
    answers: list[list[int]]
    sessions: dict[str, str]
    billing: dict[str, str]

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        tables = {
            name: Table(table["key"], tuple(table["columns"]), table["rows"])
            for name, table in raw.pop("tables").items()
        }
        return cls(tables=tables, **raw)


async def take(systems: Systems, now: int) -> Before:
    """Looks at everything. Users may go on meanwhile: the ledger since `now` (nanoseconds UTC) explains the rest."""
    schema = await schema_dump(systems.database_url)
    async with await psycopg.AsyncConnection.connect(systems.database_url) as connection:
        tables = {name: await _table(connection, name) for name in await _table_names(connection)}
        answers = await search_answers(connection, map(int, tables["document_embeddings"].rows))
    return Before(
        taken_at=now,
        schema=schema,
        tables=tables,
        graph=await graph_elements(systems.graph),
        answers=answers,
        sessions=await session_users(systems.redis),
        billing=await billing(systems.redis),
    )


async def schema_dump(database_url: str) -> str:
    """The schema without the daemon's own, without comments and blank lines.

    Raises:
        RuntimeError: pg_dump failed; the message is its own.
    """
    given: dict[str, Any] = conninfo_to_dict(database_url)
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PGHOST": str(given["host"]),
        "PGPORT": str(given["port"]),
        "PGUSER": str(given["user"]),
        "PGPASSWORD": str(given.get("password", "")),
        "PGDATABASE": str(given["dbname"]),
    }
    process = await asyncio.create_subprocess_exec(
        str(tool("pg_dump")),
        "--schema-only",
        "--exclude-schema=watchdog",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"pg_dump of the demo's database failed: {errors.decode().strip()}")
    # Each dump has its own random key in \restrict.
    return "\n".join(line for line in output.decode().splitlines() if line and not line.startswith(("--", "\\")))


async def _table_names(connection: Connection) -> list[str]:
    query = """
        SELECT c.relname FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY c.relname
    """
    return [name for (name,) in await (await connection.execute(query)).fetchall()]


async def _table(connection: Connection, name: str) -> Table:
    query = """
        SELECT a.attname, coalesce(a.attnum = ANY(i.indkey), false)
          FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
         WHERE a.attrelid = ('public.' || quote_ident(%s))::regclass AND a.attnum > 0 AND NOT a.attisdropped
         ORDER BY a.attname
    """
    columns = await (await connection.execute(query, (name,))).fetchall()
    key = next(column for column, primary in columns if primary)
    table = Table(key, tuple(column for column, _ in columns), {})
    return Table(key, table.columns, await row_hashes(connection, name, table))


async def row_hashes(connection: Connection, name: str, table: Table) -> dict[str, str]:
    """Primary key to MD5 of the table's known columns, for every row there is now.

    Raises:
        psycopg.Error: the table or one of the columns is gone.
    """
    cells = [
        sql.SQL("vector_send({})::text") if column == "embedding" else sql.SQL("{}::text") for column in table.columns
    ]
    named = [cell.format(sql.Identifier(column)) for cell, column in zip(cells, table.columns, strict=True)]
    query = sql.SQL("SELECT {}::text, md5(ROW({})::text) FROM public.{}").format(
        sql.Identifier(table.key), sql.SQL(", ").join(named), sql.Identifier(name)
    )
    await connection.execute("SET TIME ZONE 'UTC'")
    return dict(await (await connection.execute(query)).fetchall())


async def search_answers(connection: Connection, documents: Iterable[int]) -> list[list[int]]:
    """The five nearest of these documents for each fixed query, by exact search."""
    query = """
        SELECT document_id FROM document_embeddings WHERE document_id = ANY(%s)
         ORDER BY embedding <=> %s::vector, document_id LIMIT 5
    """
    known = list(documents)
    answers = []
    for text in QUERIES:
        vector = query_literal(text, MODEL_V1, DIMENSIONS)
        rows = await (await connection.execute(query, (known, vector))).fetchall()
        answers.append([identifier for (identifier,) in rows])
    return answers


async def graph_elements(driver: neo4j.AsyncDriver) -> dict[str, str]:
    """Every node and relationship: `Control C-0001`, `Control C-0001 -ADDRESSES-> Risk R-001`, to an MD5.

    Elements of the same name are numbered, so that one more or one less shows.
    """
    found: dict[str, str] = {}
    times: Counter[str] = Counter()
    # One record of lists: the driver takes ten times as long over the same values in many records.
    for query in (_NODES, _RELATIONSHIPS):
        answer = await driver.execute_query(query, database_="neo4j")
        for name, properties in zip(*answer.records[0], strict=True):
            times[name] += 1
            number = times[name]
            found[name if number == 1 else f"{name} #{number}"] = properties
    return found


async def session_users(client: redis.asyncio.Redis) -> dict[str, str]:
    """Session id to user, for every session there is now."""
    found: dict[str, str] = {}
    async for key in client.scan_iter("compliance:session:*", count=1_000):
        user = await client.hget(key, "user")
        if user is not None:
            found[str(key).removeprefix("compliance:session:")] = str(user)
    return found


async def billing(client: redis.asyncio.Redis) -> dict[str, str]:
    """Keys and values of the other application."""
    found: dict[str, str] = {}
    async for key in client.scan_iter("billing:*", count=1_000):
        found[str(key)] = str(await client.get(key))
    return found
