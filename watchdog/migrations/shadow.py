"""Large tables come back beside the live one: filled and indexed while users go on, then put in its place at once."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import sql

from watchdog.migrations.folded import forget
from watchdog.migrations.images import qualified, refill
from watchdog.migrations.manifest import Manifest
from watchdog.migrations.merge_large import fold
from watchdog.migrations.parser import SqlSyntaxError, postgast, statements_of, tree, tree_of
from watchdog.migrations.policies import Policies, policy_of
from watchdog.migrations.renames import quote
from watchdog.migrations.runs import archives, close
from watchdog.migrations.session import plain_text
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan
from watchdog.migrations.undo import Plan


def home(run: int, index: int) -> str:
    """The schema in which a table is made again, under its own name: PostgreSQL derives other names from it."""
    return f"watchdog_run_{run}_{index}"


def swaps(plan: Plan, run: int, index: int) -> dict[str, str]:
    """What runs instead of the plan's statements when a table was made beside: by statement, empty for nothing."""
    table = plan.tables[index]
    place = f"ALTER TABLE {home(run, index)}.{quote(table.name[1])} SET SCHEMA {quote(table.name[0])}"
    made = {text: place for text in plan.makes if _is_creation(text, table)}
    return made | {text: "" for text in plan.constrains if _elsewhere(text, table, home(run, index))}


async def build(connection: Connection, run: int, manifest: Manifest, policies: Policies) -> None:
    """Makes what can be made beside; a table with which it does not work is made in its place later, under the lock.

    Args:
        connection: Outside a transaction.
    """
    if not any(table.online for table in manifest.plan.tables):
        return
    async with acting_as(connection, manifest.role):
        await clear(connection, run, manifest.plan)
        for index, table in enumerate(manifest.plan.tables):
            if table.online and not _loses_a_type(table, manifest.plan):
                try:
                    async with connection.transaction():
                        await _build(connection, run, index, manifest.plan)
                    beside = f"{home(run, index)}.{quote(table.name[1])}"
                    await fold(connection, run, index, table, beside, policy_of(policies, table.name))
                except (psycopg.errors.DatabaseError, SqlSyntaxError):
                    continue


def _loses_a_type(table: TablePlan, plan: Plan) -> bool:
    """Whether a type of one of its columns is made again: what was made beside would hold on to the present one."""
    gone = [drop.split(" ", 2)[2].strip(" ;") for drop in plan.drops if drop.startswith(("DROP TYPE ", "DROP DOMAIN "))]
    return any(column.type.removesuffix("[]") in gone for column in table.columns)


@asynccontextmanager
async def acting_as(connection: Connection, role: str) -> AsyncIterator[None]:
    """The session has a role's rights for a while."""
    if role:
        await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    try:
        yield
    finally:
        if role and not connection.closed:
            await connection.execute("RESET ROLE")


async def _build(connection: Connection, run: int, index: int, plan: Plan) -> None:
    table = plan.tables[index]
    where = home(run, index)
    name = f"{where}.{quote(table.name[1])}"
    await plain_text(connection)
    await connection.execute("SELECT set_config('check_function_bodies', 'off', true)")
    await connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(where)))
    await connection.execute(sql.SQL("REVOKE ALL ON SCHEMA {} FROM PUBLIC").format(sql.Identifier(where)))
    for text in (text for text in plan.makes if _is_creation(text, table)):
        await connection.execute((_elsewhere(text, table, where) or text).encode())
    await close(connection, name)
    cursor = await connection.execute(refill(run, index, table, "before", into=name).encode())
    kept = {archive.table: archive.rows for archive in await archives(connection, run) if "_before" in archive.name}
    if cursor.rowcount != kept.get(qualified(table.name)):
        raise psycopg.errors.DataException(f"the archive of {qualified(table.name)} is not whole")
    for text in plan.constrains:
        if there := _elsewhere(text, table, where):
            await connection.execute(there.encode())
    await connection.execute(f"ANALYZE {name}".encode())


async def built(connection: Connection, run: int, plan: Plan) -> frozenset[int]:
    """Which tables of the plan are there beside."""
    found = set[int]()
    for index, table in enumerate(plan.tables):
        if table.online:
            name = f"{home(run, index)}.{quote(table.name[1])}"
            row = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))).fetchone()
            found |= {index} if row and row[0] else set()
    return frozenset(found)


async def clear(connection: Connection, run: int, plan: Plan) -> None:
    """Takes away what is beside, and what was kept to merge into it."""
    await drop(connection, run, plan)
    for index, table in enumerate(plan.tables):
        if table.online:
            await forget(connection, run, index)


async def drop(connection: Connection, run: int, plan: Plan) -> None:
    """Takes away what is beside, or its empty schema."""
    for index, table in enumerate(plan.tables):
        if table.online:
            where = sql.Identifier(home(run, index))
            await connection.execute(
                sql.SQL("DROP TABLE IF EXISTS {}.{}").format(where, sql.Identifier(table.name[1]))
                if await _there(connection, home(run, index))
                else sql.SQL("SELECT 1")
            )
            await connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {}").format(where))


async def _there(connection: Connection, schema: str) -> bool:
    row = await (await connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", (schema,))).fetchone()
    return bool(row and row[0])


def _is_creation(text: str, table: TablePlan) -> bool:
    nodes = list(_nodes(text))
    return bool(nodes) and isinstance(nodes[0], tree.CreateStmt) and _is_about(nodes[0], table)


def _elsewhere(text: str, table: TablePlan, where: str) -> str | None:
    """The same statements for the table in another schema; None when they are about something else too."""
    nodes = list(_nodes(text))
    kinds = (tree.CreateStmt, tree.AlterTableStmt, tree.IndexStmt)
    if not nodes or not all(isinstance(node, kinds) and _is_about(node, table) for node in nodes):
        return None
    parsed = tree_of(text)
    for one in parsed.stmts:
        postgast.unwrap_node(one.stmt).relation.schemaname = where
    return str(postgast.deparse(parsed))


def _nodes(text: str) -> Iterator[Any]:
    try:
        yield from (postgast.unwrap_node(one.stmt) for one in statements_of(text))
    except SqlSyntaxError:
        # Newer than our parser; it is not moved then.
        return


def _is_about(node: Any, table: TablePlan) -> bool:
    return (node.relation.schemaname, node.relation.relname) == table.name
