"""Scripts that only build or drop indexes, CONCURRENTLY: no transaction can hold them, and none of them loses a row."""

from dataclasses import dataclass
from typing import Any

from watchdog.migrations.parser import SqlSyntaxError, postgast, tree, tree_of

_ALLOWED = (tree.IndexStmt, tree.DropStmt, tree.VariableSetStmt, tree.CommentStmt)


@dataclass(frozen=True)
class Concurrent:
    """Such a script.

    Attributes:
        statements: One by one, as they are sent outside a transaction.
        plain: The same without CONCURRENTLY, for a copy without rows.
    """

    statements: tuple[str, ...]
    plain: str


def concurrent(script: str) -> Concurrent | None:
    """The script's statements when it is one of these; None for every other, or what cannot be parsed."""
    try:
        parsed = tree_of(script)
    except SqlSyntaxError:
        return None
    nodes = [getattr(one.stmt, one.stmt.WhichOneof("node")) for one in parsed.stmts]
    if not any(_is_concurrent(node) for node in nodes) or not all(_is_allowed(node) for node in nodes):
        return None
    for node in nodes:
        if _is_concurrent(node):
            node.concurrent = False
    return Concurrent(tuple(postgast.split(script)), postgast.deparse(parsed))


def _is_concurrent(node: Any) -> bool:
    return isinstance(node, tree.IndexStmt | tree.DropStmt) and bool(node.concurrent)


def _is_allowed(node: Any) -> bool:
    drops_other = isinstance(node, tree.DropStmt) and node.remove_type != tree.OBJECT_INDEX
    return isinstance(node, _ALLOWED) and not drops_other
