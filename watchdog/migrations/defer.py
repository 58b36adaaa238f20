"""Deferred destruction: a script whose drops become instant moves aside; the real drops wait for `settle`. Pure.

Only what can be moved without a trace for its users is deferred: columns that no constraint, unique index or generation
rule knows, and tables that nothing references. What still sees a column that was moved aside: `SELECT *`, an INSERT
without a list of columns, and tools that compare whole schemas.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from watchdog.migrations.aside import ASIDE
from watchdog.migrations.images import qualified
from watchdog.migrations.parser import postgast, statements_of, tree
from watchdog.migrations.renames import quote
from watchdog.migrations.shape import Column, Name, Shape, Table


@dataclass
class Deferred:
    """A script with its destruction deferred.

    Attributes:
        script: What runs instead.
        drops: What `settle` runs in the end.
        moved: What was moved aside, for people.
    """

    script: str
    drops: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)


def defer(script: str, shape: Shape, bound: frozenset[tuple[Name, str]]) -> Deferred:
    """The script as it runs with deferral; `drops` is empty when nothing can be deferred.

    Args:
        shape: Of the schema before.
        bound: Columns that a constraint, a unique index or a policy knows, by table.
    """
    raw = script.encode()
    found = Deferred("")
    pieces: list[str] = []
    tables = {table.name: table for table in shape.tables}
    for one in statements_of(script):
        end = one.stmt_location + one.stmt_len if one.stmt_len else len(raw)
        text = raw[one.stmt_location : end].decode().strip()
        node = postgast.unwrap_node(one.stmt)
        if isinstance(node, tree.DropStmt) and node.remove_type == tree.OBJECT_TABLE:
            other = _tables_aside(node, tables, shape, found)
        elif isinstance(node, tree.AlterTableStmt):
            other = _columns_aside(node, tables, bound, found)
        else:
            other = None
        pieces += [text] if other is None else other
    found.script = ";\n".join([*([f"CREATE SCHEMA IF NOT EXISTS {ASIDE}"] if _moves_tables(found) else []), *pieces])
    return found


def _moves_tables(found: Deferred) -> bool:
    return any(drop.startswith("DROP TABLE") for drop in found.drops)


def _tables_aside(node: Any, tables: dict[Name, Table], shape: Shape, found: Deferred) -> list[str] | None:
    names = [tuple(part.string.sval for part in each.list.items) for each in node.objects]
    wanted = [_resolve(name, tables) for name in names]
    if node.behavior == tree.DROP_CASCADE or not all(wanted):
        return None
    leaving = {table.name for table in wanted if table}
    if any(key.parent in leaving and key.child not in leaving for key in shape.foreign_keys):
        return None
    if any(table.kind != "r" or any(c.inherited for c in table.columns) for table in wanted if table):
        return None
    statements: list[str] = []
    for name in sorted(leaving):
        aside = f"{name[0]}_{name[1]}_{len(found.drops)}"[:63]
        statements += [
            f"ALTER TABLE {qualified(name)} DROP CONSTRAINT {quote(key.name)}"
            for key in shape.foreign_keys
            if key.child == name
        ]
        statements += [
            f"ALTER TABLE {qualified(name)} RENAME TO {quote(aside)}",
            f"ALTER TABLE {quote(name[0])}.{quote(aside)} SET SCHEMA {ASIDE}",
        ]
        found.drops.append(f"DROP TABLE {ASIDE}.{quote(aside)}")
        found.moved.append(f"table {qualified(name)}, now {ASIDE}.{quote(aside)}")
    return statements


def _columns_aside(
    node: Any, tables: dict[Name, Table], bound: frozenset[tuple[Name, str]], found: Deferred
) -> list[str] | None:
    """The statement without its drops, and what moves the columns aside."""
    table = _resolve((node.relation.schemaname, node.relation.relname), tables)
    drops = [each for each in node.cmds if each.alter_table_cmd.subtype == tree.AT_DropColumn]
    if table is None or not drops or table.kind != "r" or any(c.inherited for c in table.columns):
        return None
    columns = {column.name: column for column in table.columns}
    named = [columns.get(each.alter_table_cmd.name) for each in drops]
    if any(each.alter_table_cmd.behavior == tree.DROP_CASCADE for each in drops) or not all(
        column and _is_free(column) and (table.name, column.name) not in bound for column in named
    ):
        return None
    statements = list(_rest(node, drops))
    for column in named:
        assert column is not None  # noqa: S101 - looked at above
        aside = f"{ASIDE}_{len(found.drops)}_{column.name}"[:63]
        where = f"ALTER TABLE {qualified(table.name)}"
        statements.append(f"{where} RENAME COLUMN {quote(column.name)} TO {quote(aside)}")
        statements += [f"{where} ALTER COLUMN {quote(aside)} DROP NOT NULL"] if column.required else []
        found.drops.append(f"{where} DROP COLUMN {quote(aside)}")
        found.moved.append(f"column {quote(column.name)} of {qualified(table.name)}, now {quote(aside)}")
    return statements


def _is_free(column: Column) -> bool:
    # `other` begins with the letter of an identity column, if it is one.
    return not column.generated and not column.other.startswith(("a ", "d "))


def _rest(node: Any, drops: list[Any]) -> Iterator[str]:
    """The same ALTER TABLE without these commands."""
    left = [each for each in node.cmds if each not in drops]
    if not left:
        return
    holder = tree.ParseResult()
    statement = holder.stmts.add().stmt.alter_table_stmt
    statement.CopyFrom(node)
    del statement.cmds[:]
    statement.cmds.extend(left)
    yield postgast.deparse(holder)


def _resolve(name: tuple[str, ...], tables: dict[Name, Table]) -> Table | None:
    """The table of before that a script means; None when it is another, or could be."""
    schema, relation = (name[0], name[1]) if len(name) == 2 else ("", name[-1])
    if schema:
        return tables.get((schema, relation))
    same = [table for known, table in tables.items() if known[1] == relation]
    return same[0] if len(same) == 1 else None
