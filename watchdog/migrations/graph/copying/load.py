"""Makes a graph from a copy: unique keys first, then batches that note in the graph how far they came."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import neo4j
from neo4j import exceptions

from watchdog.migrations.graph import runs
from watchdog.migrations.graph.copying.files import CopyFileError, Manifest, lines_of
from watchdog.migrations.graph.copying.lines import Line, read_line
from watchdog.migrations.graph.copying.save import tally_graph
from watchdog.migrations.graph.schema import read_schema
from watchdog.migrations.graph.views import batched, quote, run
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import WatchdogError
from watchdog.targets.neo4j import Neo4jTarget

_KEYS = (
    "CREATE CONSTRAINT watchdog_import IF NOT EXISTS FOR (n:WatchdogImport) REQUIRE n.watchdog_import IS UNIQUE",
    "CREATE CONSTRAINT watchdog_copy IF NOT EXISTS FOR (c:WatchdogCopy) REQUIRE c.name IS UNIQUE",
)
_NO_KEYS = ("DROP CONSTRAINT watchdog_import IF EXISTS", "DROP CONSTRAINT watchdog_copy IF EXISTS")
_SOMETHING = (
    "MATCH (n) WHERE none(one IN labels(n) WHERE one STARTS WITH 'Watchdog') WITH n LIMIT 1 RETURN count(n) > 0"
)
_STAND = "MATCH (c:WatchdogCopy {name: 'graph'}) RETURN c.hash, c.lines"
_BEGIN = "MERGE (c:WatchdogCopy {name: 'graph'}) ON CREATE SET c.hash = $hash, c.lines = 0 RETURN c.hash"
_NOTE = "MATCH (c:WatchdogCopy {name: 'graph', hash: $hash}) SET c.lines = c.lines + $count RETURN c.lines"
_NODES = "UNWIND $rows AS row CREATE (n:WatchdogImport{labels}) SET n = row.values, n.watchdog_import = row.id"
_TIES = (
    "UNWIND $rows AS row MATCH (a:WatchdogImport {{watchdog_import: row.start}})"
    " MATCH (b:WatchdogImport {{watchdog_import: row.end}}) CREATE (a)-[r:{name}]->(b) SET r = row.values"
)
_STRIP = "MATCH (n:WatchdogImport) WITH n LIMIT $size REMOVE n:WatchdogImport REMOVE n.watchdog_import RETURN count(n)"
_AWAIT = "CALL db.awaitIndexes(600)"
_END = "MATCH (c:WatchdogCopy {name: 'graph'}) DELETE c"
_BATCH = 1_000


async def load_graph(target: Neo4jTarget, path: Path) -> Manifest:
    """Fills an empty graph from a copy, or goes on where an earlier try was stopped.

    Raises:
        CopyFileError: The file is damaged or missing; nothing was changed.
        RefusedError: The graph is not empty, or another copy is half in it; nothing was changed.
        WatchdogError: The graph is not as the copy afterwards; what differs is named.
        TargetError: The graph does not answer or refuses the login.
    """
    manifest = Manifest.of(path)
    with target.translated():
        async with target.session() as session:
            there = await _begin(session, manifest)
            await _schema(target, session, manifest.schema)
        done = there
        while done < manifest.lines:
            for lines in batched(lines_of(path, done), _BATCH):
                done = await _batch(target, manifest, done, _read(path, done, lines))
        async with target.session() as session:
            while await runs.one(session, _STRIP, size=_BATCH) != [0]:
                pass
            await _compared(session, manifest)
            await run(session, _END)
            for statement in _NO_KEYS:
                await run(session, statement)
    return manifest


async def _begin(session: neo4j.AsyncSession, manifest: Manifest) -> int:
    """How many lines are in the graph already."""
    stand = await runs.one(session, _STAND)
    if stand and stand[0] != manifest.sha256:
        raise RefusedError(("another copy is half in this graph; go on with that one, or empty the graph",))
    if stand:
        return int(stand[1])
    (full,) = await runs.one(session, _SOMETHING)
    if full:
        raise RefusedError(("the graph is not empty; a copy is restored into an empty one",))
    schema = await read_schema(session)
    if other := sorted(name for name in schema if _is_other(name, schema, manifest.schema)):
        raise RefusedError((f"the graph has a schema that the copy has not: {', '.join(other)}; drop it first",))
    for statement in _KEYS:
        await run(session, statement)
    await run(session, _BEGIN, hash=manifest.sha256)
    return 0


def _is_other(name: str, there: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return wanted.get(name) != there[name] and " LOOKUP " not in f" {there[name]} "


async def _schema(target: Neo4jTarget, session: neo4j.AsyncSession, wanted: Mapping[str, str]) -> None:
    """Makes what is missing, constraints first, so that each element is checked as it comes."""
    there = await read_schema(session)
    made = set(there.values())
    for name in sorted(wanted):
        if wanted[name] in made or _is_lookup_there(wanted[name], made):
            continue
        try:
            await run(session, wanted[name])
        except exceptions.ClientError as error:
            raise WatchdogError(
                f"{name} cannot be made here: {target.translate(error)} Nothing was imported; mend it, or restore into"
                " a server of the same version and edition."
            ) from None
    await run(session, _AWAIT)


def _is_lookup_there(statement: str, made: Iterable[str]) -> bool:
    """Every graph has two lookup indexes of its own, whose names may differ."""
    kind = statement.partition(" FOR ")[2]
    return " LOOKUP " in statement and any(" LOOKUP " in each and each.partition(" FOR ")[2] == kind for each in made)


def _read(path: Path, before: int, texts: list[str]) -> list[Line]:
    lines = []
    for number, text in enumerate(texts, before + 1):
        try:
            lines.append(read_line(text))
        except ValueError as error:
            raise CopyFileError(f"{path}, line {number}: {error}; the graph is half full, empty it.") from None
    return lines


async def _batch(target: Neo4jTarget, manifest: Manifest, before: int, lines: list[Line]) -> int:
    """Adds elements, and notes it in the same transaction, so that each comes once."""

    async def once() -> int:
        async with runs.writing(target) as work:
            noted = await runs.one(work.inside, _NOTE, hash=manifest.sha256, count=len(lines))
            if noted != [before + len(lines)]:
                raise RefusedError(("somebody else restores into this graph",))
            for tied, group in groupby(lines, key=lambda line: line.ends is not None):
                await (_relationships if tied else _nodes)(work.inside, list(group))
        return before + len(lines)

    return await runs.retried(once)


async def _nodes(inside: neo4j.AsyncTransaction, lines: list[Line]) -> None:
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        groups[line.labels].append({"id": line.id, "values": dict(line.values)})
    for labels, rows in groups.items():
        listed = "".join(f":{quote(label)}" for label in labels)
        await run(inside, _NODES.format(labels=listed), rows=rows)


async def _relationships(inside: neo4j.AsyncTransaction, lines: list[Line]) -> None:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        start, end = line.ends or ("", "")
        groups[line.labels[0]].append({"start": start, "end": end, "values": dict(line.values)})
    for name, rows in groups.items():
        summary = await run(inside, _TIES.format(name=quote(name)), rows=rows)
        if summary.counters.relationships_created != len(rows):
            raise RefusedError(("relationships whose ends are not there",))


async def _compared(session: neo4j.AsyncSession, manifest: Manifest) -> None:
    await run(session, _AWAIT)
    there = await tally_graph(session)
    schema = await read_schema(session)
    wrong = [*manifest.tally.differences(there)]
    wrong += [f"{name} is missing or another one" for name in sorted(manifest.schema) if _lacks(name, manifest, schema)]
    if wrong:
        raise WatchdogError(
            f"The graph is not as the copy: {'; '.join(wrong)}. Stop who writes to it, empty it, and restore again."
        )


def _lacks(name: str, manifest: Manifest, there: Mapping[str, str]) -> bool:
    statement = manifest.schema[name]
    return there.get(name) != statement and not _is_lookup_there(statement, there.values())
