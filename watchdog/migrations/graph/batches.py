"""`CALL … IN TRANSACTIONS` over many rows: the rows are noted in the graph first, then each batch is a transaction.

A batch is a phase of the run: its effect, its archive and the note that it is done commit together, so that whoever
goes on after a crash, forward or back, begins where it stood.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import neo4j
from neo4j import exceptions
from neo4j.graph import Node, Relationship

from watchdog.migrations.cypher import Statement
from watchdog.migrations.graph import runs
from watchdog.migrations.graph.copying.lines import Place, node_line, read_line
from watchdog.migrations.graph.views import Runner, batched, quote, run
from watchdog.migrations.session import RefusedError
from watchdog.targets.neo4j import Neo4jTarget

# Fewer rows are one transaction: nothing is ever half done then.
MANY: Final = 10_000
_SIZE: Final = 1_000
_LARGEST: Final = 5_000
_TAIL: Final = re.compile(
    r"\}\s*IN\s+(?:\S+\s+CONCURRENT\s+|CONCURRENT\s+)?TRANSACTIONS(?:\s+OF\s+(?P<size>\d+)\s+ROWS?)?(?:\s+ON\s+ERROR\s+FAIL)?\s*\Z",
    re.IGNORECASE,
)
_HEAD: Final = re.compile(r"(?<!\w)CALL\s*(?:\((?P<scope>[^()*]*)\)\s*)?\Z", re.IGNORECASE)
_IMPORT: Final = re.compile(r"\s*WITH\s+(?P<names>\w+(?:\s*,\s*\w+)*)(?=\s)", re.IGNORECASE)
_WRITE: Final = re.compile(r"(?<![.:$&|!\w])(?P<word>SET|REMOVE|DETACH\s+DELETE|DELETE)\b", re.IGNORECASE)
_OTHER: Final = re.compile(
    r"(?<![.:$&|!\w])(?:MATCH|MERGE|CREATE|CALL|FOREACH|UNWIND|WITH|UNION|LOAD|RETURN)\b", re.IGNORECASE
)
_TARGET: Final = re.compile(r"\s*(?P<name>\w+)\s*(?:\.|\+?=(?!=)|:|\Z)")
_NESTED: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}")
_NOTE: Final = "CREATE (:WatchdogBatch {run: $run, phase: $phase, kinds: $kinds, rows: $rows})"
_CLEAR: Final = "MATCH (b:WatchdogBatch {run: $run}) WHERE b.phase >= $phase DELETE b"
_EXTEND: Final = (
    "MATCH (r:WatchdogMigrationRun {run: $run})"
    " SET r.parts = coalesce(r.parts, range(0, size(r.phases) - 1))"
    " SET r.parts = r.parts[..$phase] + [i IN range(1, $count) | r.parts[$phase]] + r.parts[$phase + 1..]"
    " SET r.phases = r.phases[..$phase] + [i IN range(1, $count) | 'data'] + r.phases[$phase + 1..]"
)
_STOPPED: Final = (
    "MATCH (r:WatchdogMigrationRun {state: 'applying', script_hash: $hash}) WHERE r.done < size(r.parts)"
    " MATCH (b:WatchdogBatch {run: r.run, phase: r.done}) WHERE b.rows IS NOT NULL"
    " RETURN r.run, r.done, r.parts[r.done]"
)
_LINES: Final = (
    "MATCH (r:WatchdogMigrationRun {state: 'applying', script_hash: $hash}) WHERE size(r.in_batches) > 0"
    " RETURN r.in_batches"
)
_READ: Final = "MATCH (b:WatchdogBatch {run: $run, phase: $phase}) RETURN b.kinds, b.rows"
_OPEN: Final = "MATCH (b:WatchdogBatch {run: $run}) WHERE b.phase >= $phase AND b.rows IS NOT NULL RETURN count(b)"
_DONE: Final = "MATCH (b:WatchdogBatch {run: $run, phase: $phase}) REMOVE b.rows SET b.done_at = datetime()"
_BESIDE: Final = "MATCH (n)-[r]-(m) WHERE elementId(n) IN $ids RETURN DISTINCT elementId(r), elementId(m)"


@dataclass(frozen=True)
class Batches:
    """A statement whose subquery is run for many rows.

    Attributes:
        outer: What finds the rows.
        call: `CALL … { … }`.
        names: The variables that the subquery takes over.
        size: How many rows a transaction takes.
        closed: Whether it changes those variables alone.
    """

    statement: Statement
    outer: str
    call: str
    names: tuple[str, ...]
    size: int
    closed: bool


@dataclass(frozen=True)
class Rows:
    """The rows of one batch.

    Attributes:
        kinds: `node`, `relationship` or `value` for each name.
    """

    kinds: Mapping[str, str]
    rows: tuple[Mapping[str, Any], ...]

    def ids(self, kind: str) -> set[str]:
        """The element ids of all nodes or relationships in them."""
        return {row[name] for row in self.rows for name, each in self.kinds.items() if each == kind and name in row}


def split(statement: Statement) -> Batches | None:
    """The parts of a statement that ends with `CALL (names) { … } IN TRANSACTIONS`; None for any other form."""
    bare = statement.bare.rstrip()
    tail = _TAIL.search(bare)
    opening = _opening(bare, tail.start()) if tail else -1
    head = _HEAD.search(bare, 0, opening) if opening >= 0 else None
    if not tail or not head or not bare[: head.start()].strip():
        return None
    body = bare[opening + 1 : tail.start()]
    imported = _IMPORT.match(body)
    if head["scope"] is None:
        listed, body = (imported["names"], body[imported.end() :]) if imported else ("", body)
    else:
        listed = head["scope"]
    names = tuple(name.strip() for name in listed.split(",") if name.strip())
    if not names or not all(name.isascii() and name.isidentifier() for name in names):
        return None
    text = statement.text
    size = min(int(tail["size"] or _SIZE), _LARGEST)
    call = text[head.start() : tail.start() + 1]
    return Batches(statement, text[: head.start()], call, names, max(size, 1), _is_closed(body, names))


def _opening(bare: str, closing: int) -> int:
    """Where the brace is that a closing one belongs to; -1 when there is none."""
    depth = 0
    for place in range(closing, -1, -1):
        depth += (bare[place] == "}") - (bare[place] == "{")
        if depth == 0:
            return place
    return -1


def _is_closed(body: str, names: tuple[str, ...]) -> bool:
    """Whether a subquery does nothing but change or delete what it takes over."""
    if _OTHER.search(body) or not _WRITE.match(body.lstrip()):
        return False
    return all(_target(item) in names for clause in _WRITE.split(body)[2::2] for item in _items(clause))


def _items(clause: str) -> list[str]:
    while (flat := _NESTED.sub(" ", clause)) != clause:
        clause = flat
    return clause.split(",")


def _target(item: str) -> str:
    found = _TARGET.match(item)
    return found["name"] if found else ""


async def is_large(session: neo4j.AsyncSession, batches: Batches) -> bool:
    """Whether there are so many rows that one transaction may not do, and they can be noted."""
    listed = ", ".join(batches.names)
    try:
        summary = await (await session.run(f"EXPLAIN {batches.outer} RETURN {listed}")).consume()
        if summary.query_type != "r":
            return False
        counted = await runs.one(session, f"{batches.outer} RETURN count(*)")
        if counted[0] < MANY:
            return False
        first = await (await session.run(f"{batches.outer} RETURN {listed} LIMIT 1")).single()
        return first is not None and bool(_noted(batches, first))
    except (RefusedError, exceptions.ClientError):
        return False  # such as a list of nodes, or a parameter; the whole script says what is wrong with it


async def note_rows(target: Neo4jTarget, number: int, phase: int, batches: Batches) -> int:
    """Notes every row in the graph, before the first batch; answers how many batches there are, one at least."""
    async with target.session() as reading, target.session() as writing:
        while (await run(writing, _CLEAR, run=number, phase=phase)).counters.nodes_deleted:
            pass
        count, waiting = 0, list[neo4j.Record]()
        async for record in await reading.run(f"{batches.outer} RETURN {', '.join(batches.names)}"):
            waiting.append(record)
            if len(waiting) == batches.size:
                await _note(writing, number, phase + count, batches, waiting)
                count, waiting = count + 1, []
        if waiting or not count:
            await _note(writing, number, phase + count, batches, waiting)
            count += 1
        await run(writing, _EXTEND, run=number, phase=phase, count=count)
    return count


async def _note(
    session: neo4j.AsyncSession, number: int, phase: int, batches: Batches, records: list[neo4j.Record]
) -> None:
    kinds = _kinds(batches, records)
    rows = [_noted(batches, record) for record in records]
    await run(session, _NOTE, run=number, phase=phase, kinds=[kinds[name] for name in batches.names], rows=rows)


def _kinds(batches: Batches, records: Iterable[neo4j.Record]) -> dict[str, str]:
    """Of each name, what the first row says that has a value for it."""
    found: dict[str, str] = {}
    for record in records:
        for name, value in zip(batches.names, record.values(), strict=True):
            if value is not None and name not in found:
                kind = "relationship" if isinstance(value, Relationship) else "value"
                found[name] = "node" if isinstance(value, Node) else kind
    return {name: found.get(name, "value") for name in batches.names}


def _noted(batches: Batches, record: neo4j.Record) -> str:
    """A row as text, elements by their ids; raises RefusedError for what has no such form."""
    values = dict(zip(batches.names, record.values(), strict=True))
    plain = {
        name: value.element_id if isinstance(value, Node | Relationship) else value
        for name, value in values.items()
        if value is not None
    }
    return node_line(Place("", ()), plain)


async def rows_of(runner: Runner, number: int, phase: int, batches: Batches) -> Rows:
    """The rows of a batch that is not done yet."""
    kinds, rows = await runs.one(runner, _READ, run=number, phase=phase)
    return Rows(dict(zip(batches.names, kinds, strict=True)), tuple(read_line(row).values for row in rows or ()))


async def finish(runner: Runner, number: int, phase: int) -> None:
    """Notes that a batch is done, with its transaction."""
    await run(runner, _DONE, run=number, phase=phase)


def query(batches: Batches, rows: Rows) -> str:
    """The statement for the rows of one batch; those whose nodes are gone meanwhile are left out."""
    finding, gone, passed = list[str](), list[str](), list[str]()
    for name, kind in rows.kinds.items():
        key = f"watchdog_row.{quote(name)}"
        if kind == "value":
            passed.append(f"{key} AS {name}")
            continue
        pattern = f"({name})" if kind == "node" else f"()-[{name}]->()"
        finding.append(f"OPTIONAL MATCH {pattern} WHERE elementId({name}) = {key}")
        ours = f"none(one IN labels({name}) WHERE one STARTS WITH 'Watchdog')" if kind == "node" else "true"
        gone.append(f"({key} IS NULL OR {name} IS NOT NULL AND {ours})")
        passed.append(name)
    there = f" WITH * WHERE {' AND '.join(gone)}" if gone else ""
    return f"UNWIND $rows AS watchdog_row {' '.join(finding)}{there} WITH {', '.join(passed)} {batches.call}"


async def beside(work: runs.Work, nodes: Iterable[str]) -> tuple[set[str], set[str]]:
    """The relationships of nodes, and the nodes at their other ends, as they were and as they are."""
    ties, ends = set[str](), set[str]()
    for runner in (work.outside, work.inside):
        for ids in batched(nodes):
            async for tie, end in await runner.run(_BESIDE, {"ids": ids}):
                ties.add(tie)
                ends.add(end)
    return ties, ends


@dataclass(frozen=True)
class Start:
    """Where a run begins.

    Attributes:
        part: Of the script.
        done: How many phases are done; a part in batches is as many of them.
        stopped: Whether an earlier process was stopped in this part.
    """

    number: int
    part: int = 0
    done: int = 0
    stopped: bool = False


async def lines_of_stopped(runner: Runner, script: str) -> frozenset[int] | None:
    """The lines of the statements in batches of a run that was stopped between two; None when there is none."""
    found = await runs.one(runner, _LINES, hash=runs.Header("", "", script, ()).script_hash)
    return frozenset(found[0]) if found else None


async def stopped(runner: Runner, script_hash: str) -> Start | None:
    """The run of the same script that was stopped between two batches."""
    found = await runs.one(runner, _STOPPED, hash=script_hash)
    return Start(found[0], found[2], found[1], stopped=True) if found else None


async def open_batches(runner: Runner, number: int, phase: int) -> int:
    """How many batches of a statement are not done, from a phase of a run on."""
    return int((await runs.one(runner, _OPEN, run=number, phase=phase))[0])
