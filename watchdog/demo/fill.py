"""Loads the demo's data into empty stores."""

import itertools
from collections.abc import Iterable, Iterator
from importlib import resources
from typing import Any

import neo4j
import pgvector.psycopg
import psycopg
import redis.asyncio
from pgvector import Vector
from psycopg import sql

from watchdog.demo import data
from watchdog.demo.data import Sizes
from watchdog.demo.embedding import MODEL_V1

BATCH = 5_000

_CONSTRAINTS = (
    "CREATE CONSTRAINT control_id IF NOT EXISTS FOR (n:Control) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT risk_id IF NOT EXISTS FOR (n:Risk) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT document_id IF NOT EXISTS FOR (n:Document) REQUIRE n.id IS UNIQUE",
)
_CONTROLS = "UNWIND $rows AS row CREATE (c:Control) SET c = row"
_RISKS = "UNWIND $rows AS row CREATE (r:Risk) SET r = row"
_ADDRESSES = """
UNWIND $rows AS row
MATCH (c:Control {id: row.from}), (r:Risk {id: row.to})
CREATE (c)-[:ADDRESSES]->(r)
"""
_EVIDENCES = """
UNWIND $rows AS row
MATCH (c:Control {id: row.to})
CREATE (:Document {id: row.from})-[:EVIDENCES]->(c)
"""


async def postgres(database_url: str, sizes: Sizes) -> None:
    """Creates roles, schema and rows in an empty database; the address is the superuser's.

    Raises:
        psycopg.Error: the database is not empty, or pgvector is not installed.
    """
    await roles(database_url)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("SET ROLE compliance_owner")
        await connection.execute(_script("schema.sql"))
        await pgvector.psycopg.register_vector_async(connection)
        await _rows(connection, sizes)
        await _restart_identities(connection, sizes)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("VACUUM (ANALYZE)")


async def roles(database_url: str) -> None:
    """Creates the roles where they are missing, and gives them their rights in this database; may be run again.

    A copy made with CREATE DATABASE … TEMPLATE needs it too: rights on a database are not copied.
    """
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(_script("roles.sql"))


def _script(name: str) -> str:
    return resources.files("watchdog.demo").joinpath(name).read_text(encoding="utf-8")


async def _rows(connection: psycopg.AsyncConnection[Any], sizes: Sizes) -> None:
    await _copy(connection, "users", ("id", "email", "name"), data.users(sizes))
    columns = ("id", "user_id", "control_id", "status", "score", "note")
    await _copy(connection, "assessments", columns, data.assessments(sizes))
    await _copy(connection, "documents", ("id", "title", "body", "owner_id"), data.documents(sizes))
    copy = "COPY document_embeddings (document_id, model, embedding) FROM STDIN (FORMAT binary)"
    async with connection.cursor() as cursor, cursor.copy(copy) as target:
        target.set_types(["int8", "text", "vector"])
        for identifier, title, body, _ in data.documents(sizes):
            await target.write_row((identifier, MODEL_V1, Vector(data.vector(title, body, MODEL_V1))))


async def _copy(
    connection: psycopg.AsyncConnection[Any],
    table: str,
    columns: tuple[str, ...],
    rows: Iterable[tuple[object, ...]],
) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    async with connection.cursor() as cursor, cursor.copy(statement) as target:
        for row in rows:
            await target.write_row(row)


async def _restart_identities(connection: psycopg.AsyncConnection[Any], sizes: Sizes) -> None:
    for table, count in (("users", sizes.users), ("documents", sizes.documents)):
        await connection.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", (f"public.{table}", count))


async def graph(driver: neo4j.AsyncDriver, sizes: Sizes) -> None:
    """Creates the constraints, nodes and relationships."""
    for constraint in _CONSTRAINTS:
        await driver.execute_query(constraint, database_="neo4j")
    for query, rows in (
        (_CONTROLS, data.controls(sizes)),
        (_RISKS, data.risks(sizes)),
        (_ADDRESSES, data.addresses(sizes)),
        (_EVIDENCES, data.evidences(sizes)),
    ):
        for batch in _batches(rows):
            await driver.execute_query(query, {"rows": batch}, database_="neo4j")


def _batches(rows: Iterator[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    while batch := list(itertools.islice(rows, BATCH)):
        yield batch


async def cache(client: redis.asyncio.Redis, sizes: Sizes) -> None:
    """Opens the sessions, and writes the keys of another application that nobody may touch."""
    async with client.pipeline(transaction=False) as pipeline:
        for number, identifier in enumerate(data.session_ids(sizes), start=1):
            pipeline.hset(f"compliance:session:{identifier}", mapping={"user": number})
            pipeline.expire(f"compliance:session:{identifier}", 3_600)
        for number in range(1, sizes.billing_keys + 1):
            pipeline.set(f"billing:invoice:{number}", f"{number * 17 % 1000}.00 EUR")
        await pipeline.execute()
