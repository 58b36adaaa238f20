"""A Cypher script as phases, and what of it no rollback could take back."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import neo4j
from neo4j import exceptions

from watchdog.migrations.cypher import Statement, parse
from watchdog.migrations.graph.batches import Batches, is_large, split
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
    """Statements that run together: data in one transaction, indexes and constraints one by one.

    Attributes:
        batches: Of one statement over many rows, how it is done batch by batch.
    """

    schema: bool
    statements: tuple[Statement, ...]
    batches: Batches | None = None


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


@dataclass(frozen=True)
class Look:
    """What the server says of a statement.

    Attributes:
        plan: The driver's; None when there is none.
        writes: Whether it changes data.
        writers: The procedures that write, which the server's counters leave out.
        reasons: Why no rollback could take it back.
        invalid: With its line, what the server has against it; empty when it is fine.
    """

    statement: Statement
    plan: dict[str, Any] | None = None
    writes: bool = False
    writers: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    invalid: str = ""

    @property
    def wrong(self) -> Iterator[str]:
        """Everything against it, each with its line."""
        if self.invalid:
            yield self.invalid
        yield from (f"line {self.statement.line}: {reason}" for reason in self.reasons)


async def read_script(session: neo4j.AsyncSession, text: str, in_batches: frozenset[int] | None = None) -> Script:
    """Reads a script and has the server look at each statement without running it.

    Args:
        in_batches: The lines of the statements that are done batch by batch; None for those that touch many rows.

    Raises:
        RefusedError: It cannot be taken back, or is no Cypher; each statement is named by its line.
        neo4j.exceptions.Neo4jError, neo4j.exceptions.DriverError: The server does not answer.
    """
    statements = parse(text)
    if not statements:
        raise RefusedError(("line 1: the script holds no statement",))
    if reasons := tuple(f"line {each.line}: {reason}" for each in statements for reason in refusals(each)):
        raise RefusedError(reasons)
    given, statements = statements, tuple(map(as_one_transaction, statements))
    looks = [await look_at(session, statement) for statement in statements]
    if wrong := tuple(said for each in looks for said in each.wrong):
        raise RefusedError(wrong)
    plain = [each for each, look in zip(given, looks, strict=True) if not look.writers]
    many = {each.line: form for each in plain if (form := await _in_batches(session, each, in_batches))}
    grouped = itertools.groupby(statements, key=lambda each: (each.schema, each.line if each.line in many else 0))
    phases = tuple(Phase(schema, tuple(each), many.get(line)) for (schema, line), each in grouped)
    return Script(text, phases, uncounted=any(look.writers for look in looks))


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


async def _in_batches(
    session: neo4j.AsyncSession, statement: Statement, known: frozenset[int] | None
) -> Batches | None:
    """How a statement is done batch by batch, if it asks for that and touches many rows."""
    form = split(statement) if statement.batches else None
    if form is None or known is not None:
        return form if known and statement.line in known else None
    return form if await is_large(session, form) else None


def as_one_transaction(statement: Statement) -> Statement:
    """Without IN TRANSACTIONS: for few rows an image of the whole is worth more than commits on the way."""
    text = statement.text
    for found in reversed(list(_BATCHES.finditer(statement.bare))):
        text = text[: found.start()] + re.sub(r"[^\n]", " ", found[0]) + text[found.end() :]
    return replace(statement, text=text)


async def look_at(session: neo4j.AsyncSession, statement: Statement) -> Look:
    """Has the server plan a statement, without running it.

    Raises:
        neo4j.exceptions.Neo4jError, neo4j.exceptions.DriverError: The server does not answer.
    """
    try:
        summary = await (await session.run(f"EXPLAIN {statement.text}")).consume()
    except (exceptions.CypherSyntaxError, exceptions.ClientError) as error:
        if isinstance(error, exceptions.AuthError):
            raise
        return Look(statement, invalid=_complaint(statement, error))
    called = tuple(sorted(set(_procedures(summary.plan))))
    reasons = tuple(
        f"CALL {name} may do what no transaction holds; write what it does as Cypher"
        for name in called
        if not (_READS.fullmatch(name) or _WRITES.fullmatch(name))
    )
    if summary.query_type == "s" and not statement.schema and not reasons:
        reasons = ("it changes the schema or the server in a way that is not seen through",)
    writers = tuple(name for name in called if _WRITES.fullmatch(name))
    return Look(statement, summary.plan, "w" in (summary.query_type or ""), writers, reasons)


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
