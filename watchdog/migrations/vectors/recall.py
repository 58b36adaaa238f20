"""How many of the true nearest neighbours an index finds: recall@k against exact search."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from watchdog.migrations.session import RefusedError
from watchdog.migrations.shape import Connection
from watchdog.migrations.vectors.file import Recall
from watchdog.migrations.vectors.plan import Plan
from watchdog.ports.errors import WatchdogError

_TRIES = 50
_NEAREST = "SELECT {key}::text, {column} {operator} {query}::{types}.{type} FROM {table} ORDER BY 2 LIMIT {limit}"
_ORDERED = """
    SELECT {key}::text, {column} {operator} {query}::{types}.{type} FROM {table}
    ORDER BY {column} {operator} {query}::{types}.{type} LIMIT {limit}
"""
# Sampled by a hash of the key: the same rows each time, and none that the index was made for.
_SAMPLE = """
    SELECT {key}::text, {old}::text, {new}::text FROM {table} WHERE {old} IS NOT NULL AND {new} IS NOT NULL
    ORDER BY hashtext({key}::text), {key} LIMIT {limit}
"""


@dataclass(frozen=True)
class Query:
    """A vector to look for, in the old space and in the new; `key` is the row that it was taken from, if any."""

    key: str | None
    old: str
    new: str


@dataclass(frozen=True)
class Space:
    """Where is searched.

    Attributes:
        column: The vectors.
        type: Of the column, without dimensions.
        distance: A key of `OPERATORS`.
        hidden: Indexes that the search must do without.
        index: The one that it must use; nothing for any.
    """

    column: str
    type: str
    distance: str
    hidden: tuple[str, ...] = ()
    index: str = ""


async def queries(connection: Connection, plan: Plan, recall: Recall) -> list[Query]:
    """What is looked for.

    Raises:
        RefusedError: There is nothing to look for.
    """
    if recall.sql:
        cursor = await connection.execute(recall.sql.encode())
        rows = [tuple(row) for row in await cursor.fetchall()]
        wanted = 2 if plan.has_column else 1
        if any(len(row) != wanted or None in row for row in rows):
            raise RefusedError((f"recall.sql must give {wanted} vectors a row, none of them NULL",))
        found = [Query(None, str(row[0]), str(row[-1])) for row in rows]
    else:
        query = sql.SQL(_SAMPLE).format(**plan.names, limit=sql.Literal(recall.queries))
        found = [Query(*row) for row in await (await connection.execute(query)).fetchall()]
    if not found:
        raise RefusedError(("no row has a vector, so the recall cannot be measured; leave index out, or fill first",))
    return found


async def measure(
    connection: Connection, plan: Plan, recall: Recall, space: Space, looked: Sequence[tuple[str | None, str]]
) -> float:
    """The mean share of the k true nearest neighbours that the index finds, over pairs of own key and vector.

    Raises:
        RefusedError: The server does not use the index.
        WatchdogError: A lock could not be had.
    """
    shares = []
    for key, vector in looked:
        exact = await _search(connection, plan, recall, space, key, vector, is_exact=True)
        if not exact:
            continue
        # Equal distances are equally good neighbours, whichever row they are of.
        worst = exact[-1] + 1e-9 + 1e-6 * abs(exact[-1])
        found = await _search(connection, plan, recall, space, key, vector, is_exact=False)
        shares.append(sum(distance <= worst for distance in found) / len(exact))
    return sum(shares) / len(shares) if shares else 1.0


async def _search(
    connection: Connection, plan: Plan, recall: Recall, space: Space, key: str | None, vector: str, *, is_exact: bool
) -> list[float]:
    """Distances of the k nearest, without the row that the vector is of."""
    settings = {"enable_indexscan": "off", "enable_indexonlyscan": "off", "enable_bitmapscan": "off"}
    if not is_exact:
        settings = {"enable_seqscan": "off", **recall.settings}
    query = sql.SQL(_NEAREST if is_exact else _ORDERED).format(
        **plan.names,
        column=sql.Identifier(space.column),
        operator=plan.operator(space.distance),
        query=sql.Literal(vector),
        type=sql.Identifier(space.type),
        limit=sql.Literal(recall.k + (key is not None)),
    )
    async with _apart(connection, plan, settings, () if is_exact else space.hidden):
        if space.index and not is_exact:
            await _insist(connection, query, space.index)
        rows: list[Any] = await (await connection.execute(query)).fetchall()
    others = [float(distance) for own, distance in rows if distance is not None and (key is None or own != key)]
    return others[: recall.k]


@asynccontextmanager
async def _apart(
    connection: Connection, plan: Plan, settings: Mapping[str, str], hidden: Sequence[str]
) -> AsyncIterator[None]:
    """A transaction that is rolled back, in which some indexes are not there.

    No setting hides one index, so it is dropped in a transaction that never commits: others wait for one search.
    """
    async with connection.transaction(force_rollback=True):
        for name, value in settings.items():
            await connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        if hidden:
            await _hide(connection, plan, hidden)
        yield


async def _hide(connection: Connection, plan: Plan, hidden: Sequence[str]) -> None:
    await connection.execute("SET LOCAL lock_timeout = '100ms'")
    names = sql.SQL(", ").join(plan.of_schema(name) for name in hidden)
    for _ in range(_TRIES):
        try:
            async with connection.transaction():
                await connection.execute(sql.SQL("DROP INDEX {}").format(names))
        except psycopg.errors.LockNotAvailable:
            await asyncio.sleep(0.1)
        else:
            return
    raise WatchdogError("The old index could not be set aside for a search: the table is locked; try again later.")


async def _insist(connection: Connection, query: sql.Composed, index: str) -> None:
    rows = await (await connection.execute(sql.SQL("EXPLAIN (COSTS OFF) {}").format(query))).fetchall()
    if not any(f"using {index} " in line or f'using "{index}" ' in line for (line,) in rows):
        raise RefusedError((f"the server does not use the index {index} for a search by this operator",))


async def uses(connection: Connection, plan: Plan, recall: Recall, space: Space, vector: str) -> bool:
    """Whether the server would use the index of a space as things stand, with no other hidden."""
    query = sql.SQL(_ORDERED).format(
        **plan.names,
        column=sql.Identifier(space.column),
        operator=plan.operator(space.distance),
        query=sql.Literal(vector),
        type=sql.Identifier(space.type),
        limit=sql.Literal(recall.k),
    )
    async with _apart(connection, plan, {"enable_seqscan": "off", **recall.settings}, ()):
        try:
            await _insist(connection, query, space.index)
        except RefusedError:
            return False
    return True
