"""A Cypher script as phases, and what of it no rollback could take back."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import neo4j
from neo4j import exceptions

from watchdog.migrations.cypher import Statement, parse
from watchdog.migrations.graph.views import mentioned
from watchdog.migrations.session import RefusedError

_PREFIX = re.compile(r"(?:USE|CYPHER|EXPLAIN|PROFILE)\b", re.IGNORECASE)
_SERVER = re.compile(
    r"(?:(?:ALTER|RENAME|GRANT|DENY|REVOKE|START|STOP|TERMINATE|ENABLE|DEALLOCATE|REALLOCATE|DRYRUN)\b"
    r"|(?:CREATE|DROP)\s+(?:OR\s+REPLACE\s+)?(?:COMPOSITE\s+|IMMUTABLE\s+)?(?:DATABASE|ALIAS|USER|ROLE|SERVER)\b)",
    re.IGNORECASE,
)
_BATCHES = re.compile(
    r"(?<=\})\s*IN\s+(?:\S+\s+)?(?:CONCURRENT\s+)?TRANSACTIONS\b(?:\s+OF\s+\S+\s+ROWS?)?(?:\s+ON\s+ERROR\s+FAIL)?",
    re.IGNORECASE,
)
_LENIENT = re.compile(r"\bON\s+ERROR\s+(?:CONTINUE|BREAK)\b|\bREPORT\s+STATUS\b", re.IGNORECASE)
_OURS = re.compile(r"\bWatchdog\w+")
_PLACE = re.compile(r"\(line (\d+), column \d+")
# Procedures that only read, whatever they are called with.
_READS = re.compile(
    r"db\.(?:labels|relationshipTypes|propertyKeys|awaitIndex|awaitIndexes|info|ping|index\..*\.query.*|schema\..*)"
    r"|apoc\.(?:path|algo|coll|map|meta|neighbors|text|convert|search|create\.v[A-Z])[\w.]*"
)
# Procedures that write in the caller's transaction and nowhere else.
_WRITES = re.compile(
    r"apoc\.create\.(?:node|nodes|relationship|addLabels|removeLabels|setLabels|setPropert(?:y|ies)"
    r"|setRelPropert(?:y|ies)|removeProperties|removeRelProperties)"
    r"|apoc\.merge\.(?:node|relationship|nodeWithStats|relationshipWithStats)(?:\.eager)?"
    r"|apoc\.refactor\.(?:mergeNodes|mergeRelationships|setType|to|from|invert|extractNode|collapseNode|cloneNodes)"
    r"|db\.create\.set(?:Node|Relationship)VectorProperty"
)


@dataclass(frozen=True)
class Phase:
    """Statements that run together: data in one transaction, indexes and constraints one by one."""

    schema: bool
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Script:
    """A script that can be taken back.

    Attributes:
        uncounted: Whether it writes by procedures, which the server's counters leave out.
        names: Every label and type that it may name.
        detaches: Whether it deletes relationships that it does not name.
    """

    text: str
    phases: tuple[Phase, ...]
    uncounted: bool

    @property
    def names(self) -> frozenset[str]:
        """Every label and type that it names, and some words that are none."""
        return mentioned(self.text)


async def read_script(session: neo4j.AsyncSession, text: str) -> Script:
    """Reads a script and has the server look at each statement without running it.

    Raises:
        RefusedError: It cannot be taken back, or is no Cypher; each statement is named by its line.
        neo4j.exceptions.Neo4jError, neo4j.exceptions.DriverError: The server does not answer.
    """
    statements = parse(text)
    if not statements:
        raise RefusedError(("line 1: the script holds no statement",))
    if reasons := tuple(f"line {each.line}: {reason}" for each in statements for reason in refusals(each)):
        raise RefusedError(reasons)
    statements = tuple(map(as_one_transaction, statements))
    called, wrong = set[str](), list[str]()
    for statement in statements:
        names, complaints = await _looked_at(session, statement)
        called |= names
        wrong.extend(complaints)
    if wrong:
        raise RefusedError(tuple(wrong))
    grouped = itertools.groupby(statements, key=lambda each: each.schema)
    phases = tuple(Phase(schema, tuple(each)) for schema, each in grouped)
    return Script(text, phases, uncounted=any(_WRITES.fullmatch(name) for name in called))


def refusals(statement: Statement) -> Iterator[str]:
    """Why a statement cannot be taken back, as far as its text tells."""
    bare = statement.bare.lstrip()
    if found := _PREFIX.match(bare):
        yield f"{found[0].upper()} is not for a migration; leave it out"
    if _SERVER.match(bare):
        yield "databases, users, roles and transactions of the server are not for a migration"
    if statement.batches and (found := _LENIENT.search(bare)):
        yield f"IN TRANSACTIONS with {' '.join(found[0].upper().split())} may leave half of it; leave that out"
    if found := _OURS.search(statement.text):
        yield f"{found[0]} is the watchdog's own; leave it out"


def as_one_transaction(statement: Statement) -> Statement:
    """Without IN TRANSACTIONS: an image of the whole is worth more than commits on the way."""
    text = statement.text
    for found in reversed(list(_BATCHES.finditer(statement.bare))):
        text = text[: found.start()] + re.sub(r"[^\n]", " ", found[0]) + text[found.end() :]
    return replace(statement, text=text)


async def _looked_at(session: neo4j.AsyncSession, statement: Statement) -> tuple[set[str], list[str]]:
    """The procedures that a statement calls, and what is wrong with it."""
    try:
        summary = await (await session.run(f"EXPLAIN {statement.text}")).consume()
    except (exceptions.CypherSyntaxError, exceptions.ClientError) as error:
        if isinstance(error, exceptions.AuthError):
            raise
        return set(), [_complaint(statement, error)]
    names = set(_procedures(summary.plan))
    wrong = [
        f"line {statement.line}: CALL {name} may do what no transaction holds; write what it does as Cypher"
        for name in sorted(names)
        if not (_READS.fullmatch(name) or _WRITES.fullmatch(name))
    ]
    if summary.query_type == "s" and not statement.schema and not wrong:
        wrong = [f"line {statement.line}: it changes the schema or the server in a way that is not seen through"]
    return names, wrong


def _complaint(statement: Statement, error: exceptions.Neo4jError) -> str:
    message = error.message or error.code or type(error).__name__
    found = _PLACE.search(message)
    line = statement.line + int(found[1]) - 1 if found else statement.line
    text = " ".join(message.partition("\n")[0].split())
    return f"line {line}: {_PLACE.split(text)[0].strip()}"


def _procedures(plan: dict[str, Any] | None) -> Iterator[str]:
    if plan is None:
        return
    if plan["operatorType"].startswith("ProcedureCall"):
        yield plan["args"]["Details"].partition("(")[0].strip()
    for child in plan.get("children", ()):
        yield from _procedures(child)
