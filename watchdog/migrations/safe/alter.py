"""Safe forms of ALTER TABLE. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from watchdog.migrations.assess.sqltext import copy, definition, quoted, sql, strings, with_command
from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.safe.making import Making, as_written
from watchdog.migrations.safe.updates import backfill, sets
from watchdog.migrations.safe.values import Kind, Relation
from watchdog.migrations.sql import Table

_EASY: Final = frozenset(
    {
        tree.AT_AddColumn, tree.AT_ValidateConstraint, tree.AT_SetStatistics, tree.AT_SetStorage,
        tree.AT_SetOptions, tree.AT_SetRelOptions, tree.AT_SetCompression,
    }
)  # fmt: skip
_PROVEN: Final = (tree.CONSTR_CHECK, tree.CONSTR_FOREIGN)
_INDEXED: Final = (tree.CONSTR_UNIQUE, tree.CONSTR_PRIMARY)


def takes_away(node: Any) -> bool:
    """Whether an ALTER TABLE does more than add: then what follows belongs into the same transaction."""
    return node.objtype != tree.OBJECT_TABLE or any(_takes_away(each.alter_table_cmd) for each in node.cmds)


def _takes_away(command: Any) -> bool:
    if command.subtype == tree.AT_ColumnDefault:
        return not command.HasField("def")
    return command.subtype not in {*_EASY, tree.AT_AddConstraint, tree.AT_SetNotNull}


def has_safe_form(node: Any) -> bool:
    """Whether a command of it looks at the whole table under a lock."""
    return any(_looks_at_all(each.alter_table_cmd) for each in node.cmds)


def _looks_at_all(command: Any) -> bool:
    if command.subtype == tree.AT_SetNotNull:
        return True
    if command.subtype != tree.AT_AddConstraint:
        return False
    constraint = definition(command)
    if constraint.contype in _PROVEN:
        return not constraint.skip_validation
    return constraint.contype in _INDEXED and not constraint.indexname


def alter(making: Making, line: int, node: Any) -> None:
    """Adds an ALTER TABLE in its safe form."""
    found = making.relation(node.relation)
    if found is None or not has_safe_form(node):
        making.run(line, sql(node).rstrip(";"))
        return
    table, relation = found
    if reason := _obstacle(making, node, table, relation):
        making.keep(line, reason)
        making.run(line, sql(node).rstrip(";"))
        return
    commands = [each.alter_table_cmd for each in node.cmds]
    easy = copy(node)
    del easy.cmds[:]
    for command in commands:
        if not _looks_at_all(command):
            easy.cmds.add().alter_table_cmd.CopyFrom(command)
    if easy.cmds:
        making.run(line, sql(easy).rstrip(";"))
    # In the order of PostgreSQL itself: what must not be null, indexes, the rest.
    for wanted in (_required, _indexed, _proven):
        for command in commands:
            if _looks_at_all(command):
                wanted(making, line, node, command, (table, relation))


def _obstacle(making: Making, node: Any, table: Table, relation: Relation) -> str:
    if relation.kind != "r":
        return f"{as_written(node.relation)} is partitioned"
    for each in node.cmds:
        command = each.alter_table_cmd
        if command.subtype != tree.AT_AddConstraint or not _looks_at_all(command):
            continue
        constraint = definition(command)
        if constraint.options or constraint.indexspace or constraint.without_overlaps:
            return "its index has options of its own"
        if not constraint.conname and not _name(making, constraint, table):
            return "the constraint has no name; give it one"
    return ""


def _name(making: Making, constraint: Any, table: Table) -> str:
    if constraint.conname:
        return str(constraint.conname)
    match constraint.contype:
        case tree.CONSTR_CHECK:
            columns = tuple(dict.fromkeys(_columns(constraint.raw_expr)))
            return making.name(table, *(columns if len(columns) == 1 else ()), "check")
        case tree.CONSTR_FOREIGN:
            return making.name(table, *strings(constraint.fk_attrs), "fkey")
        case tree.CONSTR_PRIMARY:
            return making.name(table, "pkey")
        case _:
            return making.name(table, *strings(constraint.keys), *strings(constraint.including), "key")


def _columns(expression: Any) -> Iterator[str]:
    for _, inner in postgast.walk(expression):
        if isinstance(inner, tree.ColumnRef):
            yield from strings(inner.fields)[-1:]


def _required(making: Making, line: int, node: Any, command: Any, where: tuple[Table, Relation]) -> None:
    if command.subtype == tree.AT_SetNotNull:
        column = where[1].columns.get(command.name)
        if column is not None and (column.required or column.proven):
            making.run(line, with_command(node, command).rstrip(";"))
        else:
            _not_null(making, line, node.relation, command.name, where)


def _not_null(making: Making, line: int, relation: Any, column: str, where: tuple[Table, Relation]) -> None:
    """A check that is proven while others work is proof enough for SET NOT NULL."""
    name = as_written(relation)
    check = quoted(f"watchdog_{column}"[:40] + "_not_null")
    # Rows that came while the batches ran, once before users' rows are held to it, and once after.
    updates = [one for one, table in making.filled if table == where[0] and column in sets(one)]
    _catch_up(making, line, updates, column, where)
    making.run(line, f"ALTER TABLE {name} ADD CONSTRAINT {check} CHECK ({quoted(column)} IS NOT NULL) NOT VALID")
    _catch_up(making, line, updates, column, where)
    making.alone(Kind.VALIDATE, line, f"ALTER TABLE {name} VALIDATE CONSTRAINT {check}")
    making.run(
        line,
        f"ALTER TABLE {name} ALTER COLUMN {quoted(column)} SET NOT NULL",
        f"ALTER TABLE {name} DROP CONSTRAINT {check}",
    )


def _catch_up(making: Making, line: int, updates: list[Any], column: str, where: tuple[Table, Relation]) -> None:
    for update in updates:
        making.alone(Kind.BACKFILL, line, sql(update), backfill=backfill(update, *where, only_null=column))


def _indexed(making: Making, line: int, node: Any, command: Any, where: tuple[Table, Relation]) -> None:
    if command.subtype != tree.AT_AddConstraint or definition(command).contype not in _INDEXED:
        return
    table, relation = where
    constraint = definition(command)
    name = _name(making, constraint, table)
    if constraint.contype == tree.CONSTR_PRIMARY:
        for column in strings(constraint.keys):
            known = relation.columns.get(column)
            if known is None or not known.required:
                _not_null(making, line, node.relation, column, where)
    index = tree.IndexStmt()
    index.idxname = name
    index.relation.CopyFrom(node.relation)
    index.access_method = "btree"
    index.unique = index.concurrent = True
    index.nulls_not_distinct = constraint.nulls_not_distinct
    for column in strings(constraint.keys):
        _index_element(index.index_params.add(), column)
    for column in strings(constraint.including):
        _index_element(index.index_including_params.add(), column)
    making.alone(Kind.INDEX, line, sql(index), index=quoted(table[0], name))
    using = copy(command)
    other = definition(using)
    for part in ("keys", "including", "nulls_not_distinct"):
        other.ClearField(part)
    other.conname = other.indexname = name
    making.run(line, with_command(node, using).rstrip(";"))


def _index_element(element: Any, column: str) -> None:
    element.index_elem.name = column
    element.index_elem.ordering = tree.SORTBY_DEFAULT
    element.index_elem.nulls_ordering = tree.SORTBY_NULLS_DEFAULT


def _proven(making: Making, line: int, node: Any, command: Any, where: tuple[Table, Relation]) -> None:
    if command.subtype != tree.AT_AddConstraint or definition(command).contype not in _PROVEN:
        return
    name = _name(making, definition(command), where[0])
    later = copy(command)
    constraint = definition(later)
    constraint.conname = name
    constraint.skip_validation, constraint.initially_valid = True, False
    making.given.add(name)
    making.run(line, with_command(node, later).rstrip(";"))
    making.alone(Kind.VALIDATE, line, f"ALTER TABLE {as_written(node.relation)} VALIDATE CONSTRAINT {quoted(name)}")
