"""The right to write, taken from roles and kept, so that it can be given back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from psycopg import sql

from watchdog.ports.actions import StepContext
from watchdog.targets.postgres import Connection

# The grants to the roles themselves: on whole tables and sequences, and on single columns.
_GRANTS = """
    WITH relations AS (
        SELECT pg_class.oid, nspname, relname, relacl, CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = ANY (%(schemas)s) AND relkind IN ('r', 'p', 'v', 'f', 'S')
    ), grants AS (
        SELECT kind, nspname, relname, '' AS column_name, entry.* FROM relations, aclexplode(relacl) AS entry
        UNION ALL
        SELECT kind, nspname, relname, attname, entry.*
        FROM relations JOIN pg_attribute ON attrelid = relations.oid AND attnum > 0 AND NOT attisdropped,
             aclexplode(attacl) AS entry
    )
    INSERT INTO watchdog.fenced_grants
        (guard, run_id, role, kind, schema_name, relation, column_name, privilege, grantable)
    SELECT %(guard)s, %(run_id)s, rolname, kind, nspname, relname, column_name, privilege_type, bool_or(is_grantable)
    FROM grants JOIN pg_roles ON pg_roles.oid = grantee
    WHERE rolname = ANY (%(roles)s) AND (
        kind = 'table' AND privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
        OR kind = 'sequence' AND privilege_type IN ('UPDATE', 'USAGE')
    )
    GROUP BY 3, 4, 5, 6, 7, 8
    RETURNING role, kind, schema_name, relation
"""
_SAVED = """
    SELECT DISTINCT role, kind, schema_name, relation, column_name, privilege, grantable
    FROM watchdog.fenced_grants
    WHERE guard = %(guard)s AND role = ANY (%(roles)s) AND lifted_at IS NULL
      AND EXISTS (SELECT FROM pg_roles WHERE rolname = role)
      AND to_regclass(format('%%I.%%I', schema_name, relation)) IS NOT NULL
      AND (column_name = '' OR EXISTS (
          SELECT FROM pg_attribute
          WHERE attrelid = to_regclass(format('%%I.%%I', schema_name, relation))
            AND attname = column_name AND NOT attisdropped))
    ORDER BY 1, 2, 3, 4, 5, 6
"""
_LIFTED = """
    UPDATE watchdog.fenced_grants SET lifted_at = clock_timestamp()
    WHERE guard = %(guard)s AND role = ANY (%(roles)s) AND lifted_at IS NULL
"""
_FENCED = """
    SELECT array_agg(DISTINCT role), array_agg(DISTINCT schema_name) FROM watchdog.fenced_grants
    WHERE guard = %s AND lifted_at IS NULL
"""


@dataclass(frozen=True)
class Taken:
    """How many grants were taken, on how many tables and sequences."""

    grants: int
    relations: int


async def take(connection: Connection, context: StepContext, roles: Sequence[str], schemas: Sequence[str]) -> Taken:
    """Takes the right to write in some schemas from roles, and keeps what was taken."""
    parameters = {"guard": context.guard, "run_id": context.run_id, "roles": list(roles), "schemas": list(schemas)}
    rows = await (await connection.execute(_GRANTS, parameters)).fetchall()
    relations = sorted({tuple(row) for row in rows})
    for role, kind, schema, relation in relations:
        privileges = "INSERT, UPDATE, DELETE, TRUNCATE" if kind == "table" else "UPDATE, USAGE"
        statement = f"REVOKE {privileges} ON {kind} {{}} FROM {{}}"
        await connection.execute(sql.SQL(statement).format(sql.Identifier(schema, relation), sql.Identifier(role)))
    return Taken(len(rows), len(relations))


async def give_back(connection: Connection, guard: str, roles: Sequence[str]) -> int:
    """Gives back what was taken from roles, where it is still there; answers how many grants."""
    parameters = {"guard": guard, "roles": list(roles)}
    saved = await (await connection.execute(_SAVED, parameters)).fetchall()
    for role, kind, schema, relation, column, privilege, grantable in saved:
        columns = sql.SQL(" ({})").format(sql.Identifier(column)) if column else sql.SQL("")
        option = sql.SQL(" WITH GRANT OPTION" if grantable else "")
        await connection.execute(
            sql.SQL(f"GRANT {privilege}{{}} ON {kind} {{}} TO {{}}{{}}").format(
                columns, sql.Identifier(schema, relation), sql.Identifier(role), option
            )
        )
    await connection.execute(_LIFTED, parameters)
    return len(saved)


@asynccontextmanager
async def as_before(connection: Connection, context: StepContext) -> AsyncIterator[None]:
    """Within a transaction, every grant stands as before the fence; at its end they are taken again.

    A schema that is taken back has its tables made anew with their grants; nobody else ever sees them without the
    fence, because all of it is one transaction.
    """
    row = await (await connection.execute(_FENCED, (context.guard,))).fetchone()
    roles, schemas = row if row and row[0] else ([], [])
    await give_back(connection, context.guard, roles)
    yield
    await take(connection, context, roles, schemas)
