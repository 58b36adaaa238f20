"""A script as statements with their parse trees and their transactions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from watchdog.migrations.parser import SqlSyntaxError, tree
from watchdog.migrations.sql import parse

_META: Final = re.compile(r"\\(?P<command>[a-zA-Z!?;.]+)")
_FROM_STDIN: Final = re.compile(r"\bfrom\s+stdin\b", re.IGNORECASE)
_BEGINS: Final = frozenset({tree.TRANS_STMT_BEGIN, tree.TRANS_STMT_START})
_ENDS: Final = frozenset({tree.TRANS_STMT_COMMIT, tree.TRANS_STMT_ROLLBACK, tree.TRANS_STMT_PREPARE})


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        line: Where it begins, counted from 1.
        node: Its parse tree.
        transaction: Which transaction it runs in; statements that run by themselves each have their own.
        explicit: Whether the script itself wrote BEGIN around it.
        outside: Why it cannot run in a transaction; empty when it can.
    """

    text: str
    line: int
    node: Any
    transaction: int
    explicit: bool
    outside: str


def read(text: str, schema: str = "public", *, autocommit: bool = False) -> tuple[Statement, ...]:
    """The statements of a script.

    Args:
        text: SQL.
        schema: What an unqualified name means.
        autocommit: Each statement by itself where the script writes no BEGIN; else all in one transaction.

    Raises:
        SqlSyntaxError: It is no SQL, or is meant for psql.
    """
    if "\0" in text:
        raise SqlSyntaxError("there is a NUL character, which no SQL holds; save the file as UTF-8.", _line_of(text))
    try:
        said = parse(text, schema)
    except SqlSyntaxError as error:
        raise _explained(error, text) from None
    nodes = [each.node for each in said]
    own = any(isinstance(node, tree.TransactionStmt) and node.kind in _BEGINS for node in nodes)
    alone = autocommit or own or (len(nodes) == 1 and bool(said[0].refused_in_transaction))
    places = _transactions(nodes, alone=alone)
    return tuple(
        Statement(each.text, each.line, node, transaction, explicit, each.refused_in_transaction)
        for each, node, (transaction, explicit) in zip(said, nodes, places, strict=True)
    )


def _transactions(nodes: list[Any], *, alone: bool) -> Iterator[tuple[int, bool]]:
    number, inside = 0, False
    for node in nodes:
        begins = isinstance(node, tree.TransactionStmt) and node.kind in _BEGINS
        ends = isinstance(node, tree.TransactionStmt) and node.kind in _ENDS
        if begins or (alone and not inside):
            number += 1
        inside = (inside or begins) and not ends
        yield number, inside


def _line_of(text: str) -> int:
    return text.count("\n", 0, text.index("\0")) + 1


def _explained(error: SqlSyntaxError, text: str) -> SqlSyntaxError:
    """The same error, in the words of what was probably meant."""
    lines = text.split("\n")
    message = str(error).partition(": ")[2]
    here = lines[error.line - 1] if error.line <= len(lines) else ""
    if 'near "\\"' in message and (found := _META.search(here)):
        return SqlSyntaxError(
            f"{found.group()} is a command of psql, not of SQL; write SQL, or run psql's part by itself.", error.line
        )
    before = "\n".join(lines[: error.line])
    if _FROM_STDIN.search(before):
        return SqlSyntaxError(f"{message}; data after COPY … FROM stdin is psql's; use INSERT.", error.line)
    return SqlSyntaxError(f"{message}; check the statement there.", error.line)
