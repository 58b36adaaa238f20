"""`watchdog migration` where the address names a graph: `--database bolt://user:password@host:7687/neo4j`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from watchdog.cli.output import emit, say
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.graph.runs import runs_graph, settle_graph
from watchdog.ports.errors import WatchdogError
from watchdog.ports.secrets import KnownSecret
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

T = TypeVar("T")

_SCHEMES = ("bolt", "neo4j")


class GraphError(WatchdogError):
    """An address or option that a graph has no use for."""

    exit_status = 2


def is_graph(url: str) -> bool:
    """Whether an address names a graph."""
    return url.partition(":")[0].partition("+")[0] in _SCHEMES


def apply_to_graph(url: str, script: str, *, name: str, release: str, as_json: bool) -> None:
    """Applies a Cypher script and says so."""
    done = with_graph(url, lambda target: apply_cypher(target, script, name=name, release=release))
    if as_json:
        emit(asdict(done))
        return
    say(f"run {done.run} is applied; watchdog migration rollback --database … {done.run} takes it back")
    say(f"  archived {done.archived:,} nodes and relationships that it made, changed or deleted")


def take_back_from_graph(url: str, run: int, *, as_json: bool) -> None:
    """Takes a run back and says what became of it."""
    report = with_graph(url, lambda target: rollback_graph(target, run))
    if as_json:
        emit(asdict(report))
        return
    say(f"run {run} is rolled back")
    say(
        f"  {report.restored:,} nodes and relationships as before, {report.deleted:,} of the script gone,"
        f" {report.kept:,} as users left them, {report.archived:,} only in the archive"
    )
    for reason, count in report.reasons.items():
        say(f"  {count:,}: {reason}")


def show_runs_of_graph(url: str, *, as_json: bool) -> None:
    """Every run of the graph."""
    found = with_graph(url, runs_graph)
    if as_json:
        emit([asdict(one) for one in found])
        return
    for one in found:
        said = " ".join(part for part in (one.name, one.release and f"({one.release})") if part)
        say(f"run {one.run}: {one.state}, began {one.began_at}{f', {said}' if said else ''}")
    if not found:
        say("no runs")


def settle_on_graph(url: str, run: int, *, as_json: bool) -> None:
    """Drops the archive of a run."""
    dropped = with_graph(url, lambda target: settle_graph(target, run))
    if as_json:
        emit({"run": run, "dropped": dropped})
        return
    say(f"run {run} is settled; {dropped:,} nodes of its archive are dropped")


def refuse_options(**given: object) -> None:
    """Refuses options that mean nothing for a graph, by their names."""
    if wrong := [f"--{name.replace('_', '-')}" for name, value in given.items() if value]:
        raise GraphError(f"{', '.join(wrong)}: only for PostgreSQL; leave it out for a graph.")


def with_graph(url: str, work: Callable[[Neo4jTarget], Awaitable[T]]) -> T:
    """Does something with the graph of an address, and lets go of it; raises GraphError when the address is none."""

    async def done() -> T:
        target = graph_of(url)
        try:
            return await work(target)
        finally:
            await target.close()

    return asyncio.run(done())


def graph_of(url: str) -> Neo4jTarget:
    """The graph of an address; the caller closes it. Raises GraphError when the address is none."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username is None or parts.password is None:
        raise GraphError("--database needs user and password: bolt://user:password@host:7687/neo4j.")
    place = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    options = Neo4jOptions(
        url=urlunsplit((parts.scheme, place, "", "", "")),
        user=unquote(parts.username),
        password=KnownSecret(unquote(parts.password)),
        database=parts.path.strip("/") or "neo4j",
    )
    return Neo4jTarget("graph", options)
