"""Whether an UPDATE means the same row by row, in batches, whenever a row's turn comes. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from watchdog.migrations.assess.sqltext import copy, quoted, sql, strings
from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.safe.values import Backfill, Facts, Relation
from watchdog.migrations.sql import Table

OURS: Final = "/* watchdog */"
"""Marks batches where people look at statements."""
_CLOCKS: Final = frozenset({"now", "today", "tomorrow", "yesterday"})
_SYSTEM: Final = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})


def sets(node: Any) -> frozenset[str]:
    """The columns that an UPDATE sets."""
    return frozenset(each.res_target.name for each in node.target_list)


def reads(node: Any) -> frozenset[str]:
    """The columns that it reads; `*` for whole rows."""
    found: set[str] = set()
    for part in (*node.target_list, node.where_clause):
        for _, inner in postgast.walk(part):
            if isinstance(inner, tree.ColumnRef):
                found.add(strings(inner.fields)[-1] if inner.fields[-1].HasField("string") else "*")
    return frozenset(found)


def obstacle(node: Any, relation: Relation, facts: Facts) -> str:
    """Why an UPDATE cannot run in batches, as the end of a sentence; empty when it can."""
    if relation.kind != "r":
        return "it is partitioned, or no table"
    if not relation.key:
        return "the table has no primary key to walk along"
    if node.from_clause or any(map(node.HasField, ("with_clause", "returning_clause"))) or _has(node, tree.SubLink):
        return "it looks at other rows or tables"
    if relation.reacts:
        return f"{relation.reacts[0]} of the table may do something else"
    if bound := sets(node) & {*relation.unique, *relation.key}:
        return f"{min(bound)} must be unique, and a batch may meet values that another one has not changed yet"
    return next(_unsteady(node, facts), "")


def _has(node: Any, kind: type) -> bool:
    return any(isinstance(inner, kind) for _, inner in postgast.walk(node))


def _unsteady(node: Any, facts: Facts) -> Iterator[str]:
    for _, inner in postgast.walk(node):
        match inner:
            case tree.FuncCall() if strings(inner.funcname)[-1] not in facts.steady:
                yield f"{strings(inner.funcname)[-1]}() may give another value at another time"
            case tree.SQLValueFunction():
                yield "the clock or the session decides its values, which differ from batch to batch"
            case tree.SetToDefault() | tree.MultiAssignRef() | tree.CurrentOfExpr() | tree.ParamRef():
                yield "DEFAULT, a row of values or a cursor cannot be told apart by row"
            case tree.A_Const() if inner.sval.sval.strip().lower() in _CLOCKS:
                yield f"'{inner.sval.sval.strip().lower()}' may be the time"
            case tree.TypeName() if inner.names and strings(inner.names)[-1].startswith("reg"):
                yield "it looks names up in the catalog"
            case tree.A_Expr() if inner.name and strings(inner.name)[-1] in facts.operators:
                yield f"operator {strings(inner.name)[-1]} is not PostgreSQL's own"
            case tree.ColumnRef() if not _SYSTEM.isdisjoint(strings(inner.fields)):
                yield "it reads where a row lies, which changes"
            case _:
                pass


def backfill(node: Any, table: Table, relation: Relation, *, only_null: str = "") -> Backfill:
    """An UPDATE as batches.

    Args:
        only_null: Only rows in which this column is still null.
    """
    where = quoted(node.relation.alias.aliasname if node.relation.HasField("alias") else node.relation.relname)
    columns = tuple(f"{where}.{quoted(each)}" for each in relation.key)
    count = len(columns)
    row = f"({', '.join(columns)})"
    extra = f"{where}.{quoted(only_null)} IS NULL AND " if only_null else ""
    source = sql(_source(node)).rstrip(";").removeprefix("SELECT FROM ").removeprefix("SELECT ")
    return Backfill(
        table,
        relation.key,
        tuple(sorted(sets(node))),
        _narrowed(node, f"{extra}{row} <= {_parameters(1, count)}"),
        _narrowed(node, f"{extra}{row} > {_parameters(1, count)} AND {row} <= {_parameters(count + 1, count)}"),
        _bound(source, columns, ""),
        _bound(source, columns, f"WHERE {row} > {_parameters(2, count)} "),
    )


def _bound(source: str, columns: tuple[str, ...], where: str) -> str:
    """The last key of the next so many rows, $1 of them, with how many they are."""
    named = ", ".join(f"{column} AS k{n}" for n, column in enumerate(columns))
    keys = ", ".join(f"k{n}" for n in range(len(columns)))
    down = ", ".join(f"k{n} DESC" for n in range(len(columns)))
    told = ", ".join(f"k{n}::text AS told{n}" for n in range(len(columns)))
    inner = f"SELECT {named} FROM {source} {where}ORDER BY {', '.join(columns)} LIMIT $1"  # noqa: S608 - made of quoted names
    return (
        f"SELECT {told}, count(*) OVER () FROM ({inner}) AS batch"  # noqa: S608 - as above
        f" GROUP BY {keys} ORDER BY {down} LIMIT 1"
    )


def _parameters(first: int, count: int) -> str:
    return f"({', '.join(f'${n}' for n in range(first, first + count))})"


def _source(node: Any) -> Any:
    select = tree.SelectStmt()
    select.limit_option = tree.LIMIT_OPTION_DEFAULT
    select.op = tree.SETOP_NONE
    select.from_clause.add().range_var.CopyFrom(node.relation)
    return select


def _narrowed(node: Any, condition: str) -> str:
    """The UPDATE for fewer rows."""
    said = postgast.parse(f"SELECT WHERE {condition}").stmts[0].stmt.select_stmt.where_clause
    other = copy(node)
    if node.HasField("where_clause"):
        both = tree.BoolExpr()
        both.boolop = tree.AND_EXPR
        both.args.add().CopyFrom(node.where_clause)
        both.args.add().CopyFrom(said)
        other.where_clause.bool_expr.CopyFrom(both)
    else:
        other.where_clause.CopyFrom(said)
    return f"{sql(other).rstrip(';')} {OURS}"
