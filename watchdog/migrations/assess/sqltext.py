"""Parse trees back as SQL, and names out of them."""

import re
from collections.abc import Iterable
from typing import Any, Final

from watchdog.migrations.parser import postgast, tree
from watchdog.migrations.sql import Table

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_$]*")
_RESERVED: Final = frozenset({"RESERVED_KEYWORD", "TYPE_FUNC_NAME_KEYWORD", "COL_NAME_KEYWORD"})
_FIELDS: Final = {
    field.message_type.name: field.name for field in tree.Node.DESCRIPTOR.fields if field.message_type is not None
}


def quoted(*names: str) -> str:
    """A name as SQL, with quotes only where it needs them."""
    return ".".join(each if _is_plain(each) else '"' + each.replace('"', '""') + '"' for each in names)


def _is_plain(name: str) -> bool:
    if not _PLAIN.fullmatch(name):
        return False
    [token] = postgast.scan(name).tokens
    return tree.KeywordKind.Name(token.keyword_kind) not in _RESERVED


def said(table: Table) -> str:
    """A table as a person writes it: without the schema `public`."""
    return quoted(*table) if table[0] not in {"public", ""} else quoted(table[1])


def sql(node: Any) -> str:
    """A statement's text out of its tree."""
    holder = tree.ParseResult()
    wrapped = holder.stmts.add().stmt
    getattr(wrapped, _FIELDS[type(node).__name__]).CopyFrom(node)
    return f"{postgast.deparse(holder)};"


def in_batches(table: Table, column: str, value: str) -> str:
    """Fills a column a few rows at a time; the placeholders are for a person."""
    return (
        "-- in batches, each in a transaction of its own:\n"
        f"UPDATE {said(table)} SET {column} = {value} WHERE <key> BETWEEN <from> AND <to>;"
    )


def deleted_in_batches(table: Table) -> str:
    """Deletes a few rows at a time; the placeholders are for a person."""
    return (
        "-- archived, and in batches, each in a transaction of its own:\n"
        f"DELETE FROM {said(table)} WHERE <key> BETWEEN <from> AND <to>;"
    )


def not_null_columns(expression: Any) -> tuple[str, ...]:
    """The columns that a condition says are not null."""
    node = postgast.unwrap_node(expression)
    if isinstance(node, tree.BoolExpr) and node.boolop == tree.AND_EXPR:
        return tuple(name for each in node.args for name in not_null_columns(each))
    if isinstance(node, tree.NullTest) and node.nulltesttype == tree.IS_NOT_NULL:
        inner = postgast.unwrap_node(node.arg)
        return strings(inner.fields)[-1:] if isinstance(inner, tree.ColumnRef) else ()
    return ()


def condition(text: str) -> Any:
    """A condition out of PostgreSQL's own writing."""
    [statement] = postgast.parse(f"SELECT {text}").stmts
    return statement.stmt.select_stmt.target_list[0].res_target.val


def copy(node: Any) -> Any:
    """A tree to change."""
    other = type(node)()
    other.CopyFrom(node)
    return other


def with_command(node: Any, command: Any) -> str:
    """An ALTER TABLE with this one command only."""
    other = copy(node)
    del other.cmds[:]
    other.cmds.add().alter_table_cmd.CopyFrom(command)
    return sql(other)


def strings(nodes: Iterable[Any]) -> tuple[str, ...]:
    """The names in a list of strings; other nodes are left out."""
    return tuple(each.string.sval for each in nodes if each.HasField("string"))


def names(node: Any) -> tuple[str, ...]:
    """The parts of an object's name: a list, a type's name, a function's, or a lone string."""
    inner = postgast.unwrap_node(node)
    if isinstance(inner, tree.List):
        return strings(inner.items)
    if isinstance(inner, tree.TypeName):
        return strings(inner.names)
    if isinstance(inner, tree.ObjectWithArgs):
        return strings(inner.objname)
    return (inner.sval,) if isinstance(inner, tree.String) else ()


def definition(command: Any) -> Any:
    """What an ALTER TABLE command defines: a column, a constraint, a partition."""
    return postgast.unwrap_node(getattr(command, "def"))


def same(one: Any, other: Any) -> bool:
    """Whether two trees say the same, wherever in the text they stand."""
    return bool(_unplaced(one) == _unplaced(other))


def _unplaced(node: Any) -> Any:
    bare = copy(node)
    for _, inner in postgast.walk(bare):
        for name in ("location", "list_start", "list_end"):
            if name in inner.DESCRIPTOR.fields_by_name:
                inner.ClearField(name)
    return bare
