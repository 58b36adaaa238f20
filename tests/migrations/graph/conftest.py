"""The graph of the corpus, and what two graphs have in common."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.migrations.graph.corpus import SCHEMA, SEED, USERS
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.ports.kinds import Secret
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget


class Plain(Secret):
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


def connect(server: Neo4jServer) -> Neo4jTarget:
    user, password = server.auth
    return Neo4jTarget("graph", Neo4jOptions(url=server.url, user=user, password=Plain(password)))


class Graph:
    """A graph to work on."""

    def __init__(self, target: Neo4jTarget) -> None:
        self.target = target

    async def run(self, *statements: str, **parameters: Any) -> None:
        async with self.target.session() as session:
            for statement in statements:
                await (await session.run(statement, parameters)).consume()

    async def rows(self, query: str, **parameters: Any) -> list[list[Any]]:
        async with self.target.session() as session:
            return [record.values() async for record in await session.run(query, parameters)]

    async def value(self, query: str, **parameters: Any) -> Any:
        (row,) = await self.rows(query, **parameters)
        return row[0]

    async def seed(self) -> None:
        """Empties the graph and fills it as the corpus expects it.

        What is right already in the schema stays: each change of it makes the server plan every query anew.
        """
        await self.run("MATCH (n) DETACH DELETE n")
        there = await self.schema()
        await self.run(*(f"DROP {name}" for name in sorted(there) if SCHEMA.get(name) != there[name]))
        await self.run(*(made for name, made in SCHEMA.items() if there.get(name) != made))
        await self.run(*SEED, bytes=b"\x00\xff\x10")

    async def schema(self) -> dict[str, str]:
        """The indexes and constraints of users, each with the statement that makes it."""
        constraints = await self.rows(
            "SHOW CONSTRAINTS YIELD name, createStatement RETURN 'CONSTRAINT ' + name, createStatement"
        )
        indexes = await self.rows(
            "SHOW INDEXES YIELD name, createStatement, type, owningConstraint WHERE owningConstraint IS NULL"
            " AND type <> 'LOOKUP' RETURN 'INDEX ' + name, createStatement"
        )
        made = {name: statement for name, statement, *_ in [*constraints, *indexes]}
        return {name: statement for name, statement in made.items() if " watchdog_" not in name}

    async def picture(self) -> Counter[str]:
        """Everything but the watchdog's own, with types, without element ids."""
        nodes = {
            one: f"{sorted(labels)} {sorted(values.items())!r}"
            for one, labels, values in await self.rows("MATCH (n) RETURN elementId(n), labels(n), properties(n)")
            if not any(label.startswith("Watchdog") for label in labels)
        }
        ties = [
            f"{nodes[start]} -[{name} {sorted(values.items())!r}]-> {nodes[end]}"
            for start, name, values, end in await self.rows(
                "MATCH (a)-[r]->(b) RETURN elementId(a), type(r), properties(r), elementId(b)"
            )
        ]
        return Counter([*nodes.values(), *ties, *(await self.schema()).values()])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def users_alone(neo4j_server: Neo4jServer) -> Counter[str]:
    """The graph of the corpus when no migration ever came, and only users wrote."""
    target = connect(neo4j_server)
    try:
        graph = Graph(target)
        await graph.seed()
        await graph.run(*USERS)
        return await graph.picture()
    finally:
        await target.close()


@pytest.fixture
async def any_graph(neo4j_server: Neo4jServer) -> AsyncIterator[Graph]:
    """With whatever is in it."""
    target = connect(neo4j_server)
    try:
        yield Graph(target)
    finally:
        await target.close()


@pytest.fixture
async def graph(any_graph: Graph) -> Graph:
    """The graph of the corpus."""
    await any_graph.seed()
    return any_graph


async def taken_back(graph: Graph, script: str, users_alone: Counter[str], *, idle: bool) -> None:
    """Applies, has users write, takes back, compares and applies again; an idle script changes nothing."""
    seeded = await graph.picture()
    first = await apply_cypher(graph.target, script)
    assert (await graph.picture() == seeded) == idle
    await graph.run(*USERS)
    await rollback_graph(graph.target, first.run)
    restored = await graph.picture()
    assert not restored - users_alone
    assert not users_alone - restored
    second = await apply_cypher(graph.target, script)
    assert second.archived >= first.archived
