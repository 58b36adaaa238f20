"""neo4j-migrations on a real graph: by itself, through us, back, again, and by itself on top."""

import asyncio
import secrets
from pathlib import Path
from time import monotonic
from typing import Any, Final

from benchmarks.tools.cases import class_path, run_program
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.tools.address import Command
from watchdog.migrations.tools.graph import Login, apply_to_chain
from watchdog.ports.kinds import Secret
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

NAME: Final = "neo4j-migrations 2.17"
FIRST: Final = "CREATE CONSTRAINT shop_id FOR (s:Shop) REQUIRE s.id IS UNIQUE;\n"
SECOND: Final = (
    "MATCH (s:Shop) SET s.name = toUpper(s.name) REMOVE s.old;\nCREATE INDEX shop_name FOR (s:Shop) ON (s.name);\n"
)
THIRD: Final = "MATCH (s:Shop) SET s.third = true;\n"
_COORDINATES: Final = ("eu.michael-simons.neo4j:neo4j-migrations-cli:2.17.3",)
_MAIN: Final = "ac.simons.neo4j.migrations.cli.MigrationsCli"
_SEED: Final = "UNWIND range(1, 10000) AS n CREATE (:Shop {id: n, name: 'name ' + n, old: 'old ' + n})"
_SHOPS: Final = "MATCH (s:Shop) RETURN s.id, s.name, s.old ORDER BY s.id"
_CHAIN: Final = "MATCH (a:__Neo4jMigration)-[r:MIGRATED_TO]->(b) RETURN a.version, properties(b), properties(r)"
_INDEXES: Final = "SHOW INDEXES YIELD name, labelsOrTypes WHERE labelsOrTypes = ['Shop'] RETURN name ORDER BY name"


class _Password(Secret):
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


async def try_on_graph(place: Path) -> tuple[str, ...]:
    """The cells of its row; raises MissingError when the tool cannot be had."""
    migrations = place / "migrations"
    migrations.mkdir(parents=True)
    java = ("java", "-cp", await asyncio.to_thread(class_path, _COORDINATES), _MAIN)
    words = (*java, f"--location=file://{migrations}")
    password = secrets.token_hex(8)
    async with await Neo4jServer.start(place / "server", password) as server:
        target = Neo4jTarget("graph", Neo4jOptions(url=server.url, user="neo4j", password=_Password(password)))
        by_itself = (*words, "--address", server.url, "--password:env=NEO4J_PASSWORD")
        try:
            (migrations / "V001__shop.cypher").write_text(FIRST, encoding="utf-8")
            await asyncio.to_thread(run_program, *by_itself, "apply", at=place, NEO4J_PASSWORD=password)
            cells = await _through_us(target, Login(server.url, "neo4j", password), words, migrations)
            (migrations / "V003__more.cypher").write_text(THIRD, encoding="utf-8")
            await asyncio.to_thread(run_program, *by_itself, "apply", at=place, NEO4J_PASSWORD=password)
            on_top = await _rows(target, "MATCH (s:Shop {third: true}) RETURN count(*)") == [[10001]]
            return cells if on_top else (*cells[:-1], "NO: the tool did not go on")
        finally:
            await target.close()


async def _through_us(target: Neo4jTarget, login: Login, words: tuple[str, ...], place: Path) -> tuple[str, ...]:
    command = Command("neo4j-migrations", (*words, "apply"))
    await _rows(target, _SEED)
    before = [await _rows(target, query) for query in (_SHOPS, _CHAIN, _INDEXES)]
    (place / "V002__upper names.cypher").write_text(SECOND, encoding="utf-8")
    began = monotonic()
    done = await apply_to_chain(target, login, command)
    applied = monotonic() - began
    if done is None or len(await _rows(target, _CHAIN)) == len(before[1]):
        return (SECOND, "", "", "NO: nothing was applied")
    await _rows(target, "CREATE (:Shop {id: 0, name: 'later'})")
    began = monotonic()
    await rollback_graph(target, done.run)
    back = monotonic() - began
    after = [await _rows(target, query) for query in (_SHOPS, _CHAIN, _INDEXES)]
    same = after == [[[0, "later", None], *before[0]], *before[1:]]
    again = await apply_to_chain(target, login, command)
    cells = ("yes" if same else "NO", "yes" if again else "NO")
    return (" ".join(SECOND.split()), f"{applied:.1f}", f"{back:.1f}", *cells)


async def _rows(target: Neo4jTarget, query: str) -> list[list[Any]]:
    async with target.session() as session:
        return [record.values() async for record in await session.run(query)]
