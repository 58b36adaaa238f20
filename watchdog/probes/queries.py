"""What is wrong with a check's query that can be seen without a database."""

import re
from collections.abc import Iterator
from typing import Final

from watchdog.migrations.cypher import parse
from watchdog.migrations.parser import SqlSyntaxError
from watchdog.migrations.sql import is_query
from watchdog.ports.kinds import Script

_SELECT: Final = "one SELECT that only reads"
_QUERY: Final = "one query such as MATCH … RETURN …"
_FIRST: Final = re.compile(r"\s*(CYPHER|USE|MATCH|OPTIONAL\s+MATCH|WITH|UNWIND|CALL|RETURN|SHOW)\b", re.IGNORECASE)
_ANSWERS: Final = re.compile(r"\bRETURN\b|\A\s*(?:CALL|SHOW)\b", re.IGNORECASE)
# Not a property, a label, a parameter or the name of a column, which may all be called so.
_WRITES: Final = re.compile(
    r"(?<![.:$\w])(?<!\bAS\s)(CREATE|MERGE|DELETE|SET|REMOVE|FOREACH|DROP|LOAD\s+CSV)(?=\s*[\w(`])", re.IGNORECASE
)
_CLOSING: Final = {")": "(", "]": "[", "}": "{"}


def sql_complaints(script: Script, key: str) -> Iterator[str]:
    """What is wrong with one SELECT, as a kind's complaints; `key` is the option that holds it."""
    try:
        reads = is_query(script.text)
    except SqlSyntaxError as error:
        yield f"{key} {error}; write {_SELECT}"
        return
    if not reads:
        yield f"{key}: is not one statement that only reads; write {_SELECT}"


def cypher_complaints(script: Script, key: str) -> Iterator[str]:
    """What is wrong with one reading Cypher query; only its words are looked at, so not every mistake is seen."""
    statements = parse(script.text)
    if len(statements) != 1 or ";" in statements[0].bare.rstrip("; \t\r\n"):
        yield f"{key}: is not one statement; write {_QUERY}"
        return
    [statement] = statements
    where = f"{key} line {statement.line}: "
    if not _FIRST.match(statement.bare):
        yield f"{where}is no Cypher query; write {_QUERY}"
    elif writes := _WRITES.search(statement.bare):
        yield f"{where}{writes[1].upper()} writes, and a check must only read; write {_QUERY}"
    elif not _ANSWERS.search(statement.bare):
        yield f"{where}returns nothing; write {_QUERY}"
    elif not _is_balanced(statement.bare):
        yield f"{where}brackets do not match; write {_QUERY}"


def _is_balanced(bare: str) -> bool:
    opened: list[str] = []
    for mark in bare:
        if mark in _CLOSING.values():
            opened.append(mark)
        elif mark in _CLOSING and (not opened or opened.pop() != _CLOSING[mark]):
            return False
    return not opened
