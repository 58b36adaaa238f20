"""The real tool is in `benchmarks.tools`; here its place is taken by a program that answers `validate`."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import neo4j
import pytest
from typer.testing import CliRunner, Result

from watchdog.cli.root import app
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.graph.runs import runs_graph
from watchdog.migrations.session import RefusedError
from watchdog.migrations.tools.address import Command, ToolError
from watchdog.migrations.tools.graph import Login, apply_to_chain
from watchdog.ports.errors import WatchdogError
from watchdog.ports.kinds import Secret
from watchdog.servers.neo4j import Neo4jServer
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget

_TOOL = """\
import os, sys
assert sys.argv[-1] == "validate", sys.argv
assert os.environ["WATCHDOG_NEO4J_PASSWORD"] and "--password:env=WATCHDOG_NEO4J_PASSWORD" in sys.argv
answers = open({answers!r}).read().split()
open({answers!r}, "w").write(" ".join(answers[1:]))
print("asked at", next(word for word in sys.argv if word.startswith("--address")))
sys.exit(int(answers[0]))
"""
_VERSIONS = (
    "MATCH p = (:__Neo4jMigration {version: 'BASELINE'})-[:MIGRATED_TO*0..]->(m) RETURN m.version ORDER BY length(p)"
)
_AT_WORK = "SHOW TRANSACTIONS YIELD currentQuery AS q WHERE q STARTS WITH 'MATCH (u:User) SET' RETURN q"
_USERS = "MATCH (u:User) RETURN u.id, u.name, u.mail ORDER BY u.id"


class Password(Secret):
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


@dataclass(frozen=True)
class Project:
    """A graph, migrations as files, and the tool's stand-in."""

    target: Neo4jTarget
    login: Login
    place: Path

    def write(self, name: str, text: str) -> None:
        (self.place / "migrations" / name).write_text(text)

    def command(self, *answers: int) -> Command:
        """The tool's command; `answers` are the exit statuses of `validate`, one after the other."""
        path, tool = self.place / "answers", self.place / "tool.py"
        path.write_text(" ".join(map(str, answers)))
        tool.write_text(_TOOL.format(answers=str(path)))
        where = f"--location=file://{self.place / 'migrations'}"
        return Command("neo4j-migrations", (sys.executable, str(tool), where, "apply"))

    async def apply(self, *answers: int) -> int:
        done = await apply_to_chain(self.target, self.login, self.command(*answers))
        assert done is not None
        return done.run

    async def rows(self, query: str) -> list[list[Any]]:
        async with self.target.session() as session:
            return [record.values() async for record in await session.run(neo4j.Query(query))]

    async def versions(self) -> list[str]:
        return [version for (version,) in await self.rows(_VERSIONS)]


@pytest.fixture
async def project(neo4j_clean: Neo4jServer, tmp_path: Path) -> AsyncIterator[Project]:
    user, password = neo4j_clean.auth
    options = Neo4jOptions(url=neo4j_clean.url, user=user, password=Password(password))
    target = Neo4jTarget("graph", options)
    (tmp_path / "migrations").mkdir()
    found = Project(target, Login(neo4j_clean.url, user, password), tmp_path)
    try:
        found.write("V1__users.cypher", "CREATE (:User {id: 1, name: 'Ann', mail: 'a@x'});\n")
        yield found
    finally:
        await found.rows("DROP CONSTRAINT user_id IF EXISTS")
        await target.close()


async def test_what_is_to_come_is_one_run_that_goes_back_with_its_chain(project: Project) -> None:
    assert await project.apply(1, 0) == 1
    assert await project.versions() == ["BASELINE", "1"]
    project.write("V2__shout.cypher", "MATCH (u:User) SET u.name = toUpper(u.name) REMOVE u.mail // no end")
    project.write("V3__key.cypher", "CREATE CONSTRAINT user_id FOR (u:User) REQUIRE u.id IS UNIQUE;")
    run = await project.apply(1, 0)
    assert await project.versions() == ["BASELINE", "1", "2", "3"]
    assert await project.rows(_USERS) == [[1, "ANN", None]]
    await project.rows("CREATE (:User {id: 2, name: 'Bob'})")

    await rollback_graph(project.target, run)

    assert await project.versions() == ["BASELINE", "1"]
    assert await project.rows(_USERS) == [[1, "Ann", "a@x"], [2, "Bob", None]]
    assert await project.apply(1, 0) > run
    assert await project.versions() == ["BASELINE", "1", "2", "3"]
    assert await apply_to_chain(project.target, project.login, project.command()) is None


async def test_the_first_run_takes_its_chain_along_when_it_goes_back(project: Project) -> None:
    await rollback_graph(project.target, await project.apply(1, 0))
    assert await project.rows("MATCH (n) WHERE NOT any(l IN labels(n) WHERE l STARTS WITH 'Watchdog') RETURN n") == []


async def test_a_chain_that_the_tool_does_not_agree_with_is_taken_back(project: Project) -> None:
    with pytest.raises(WatchdogError, match=r"so run 1 was taken back:\nasked at --address=bolt://"):
        await project.apply(1, 1)
    assert await project.rows(_USERS) == []
    assert await project.versions() == []


async def test_a_tool_that_sees_nothing_to_do_looks_elsewhere(project: Project) -> None:
    with pytest.raises(RefusedError, match="it looks into other files or another graph"):
        await project.apply(0)
    with pytest.raises(ToolError, match="alembic migrates no graph"):
        await apply_to_chain(project.target, project.login, Command("alembic", ("alembic", "upgrade", "head")))
    assert await project.rows(_USERS) == []


async def test_the_tool_is_not_disturbed_at_work(project: Project) -> None:
    await project.rows("CREATE (:__Neo4jMigrationsLock {id: 1})")
    with pytest.raises(RefusedError, match="is at work on this graph"):
        await project.apply(1, 0)


async def test_a_failure_names_the_file_and_its_line_and_leaves_nothing(project: Project) -> None:
    project.write("V2__more.cypher", "CREATE (:User {id: 2});\nCREATE (:User {id: 3});\n")
    project.write("V3__wrong.cypher", "// a comment\nCREATE (:User {id: 4})\nRETURN 1 / 0;\n")
    with pytest.raises(WatchdogError, match=r"V3__wrong.cypher line 2"):
        await project.apply(1, 0)
    project.write("V3__wrong.cypher", "CREATE (:User {id: 4});\nMATCH (u:User SET u.id = 5;\n")
    with pytest.raises(RefusedError, match=r"V3__wrong.cypher line 2"):
        await project.apply(1, 0)
    assert await project.rows(_USERS) == []
    assert await runs_graph(project.target) == ()


async def test_told_to_stop_it_leaves_nothing(project: Project) -> None:
    project.write("V2__key.cypher", "CREATE CONSTRAINT user_id FOR (o:Other) REQUIRE o.id IS UNIQUE;")
    project.write("V3__slow.cypher", "MATCH (u:User) SET u.name = 'mine';")
    await project.rows("CREATE (:User {id: 7, name: 'Bob'})")
    async with project.target.session() as session, await session.begin_transaction() as users:
        await (await users.run("MATCH (u:User {id: 7}) SET u.mail = 'b@x'")).consume()
        applying = asyncio.create_task(project.apply(1, 0))
        try:
            async with asyncio.timeout(60):
                while not await project.rows(_AT_WORK):  # noqa: ASYNC110 - the condition is in the server
                    await asyncio.sleep(0.02)
        finally:
            applying.cancel()
            await users.commit()
            (ended,) = await asyncio.gather(applying, return_exceptions=True)
    assert isinstance(ended, WatchdogError)
    assert "nothing is changed" in str(ended)
    assert await project.rows(_USERS) == [[7, "Bob", "b@x"]]
    assert await project.versions() == []
    assert [one.state for one in await runs_graph(project.target)] == ["rolled back"]


def test_the_command_applies_to_a_graph_and_refuses_what_is_not_for_one(project: Project) -> None:
    login = project.login
    url = login.url.replace("bolt://", f"bolt://{login.user}:{login.password}@")
    words = project.command(1, 0).words

    def watchdog(*said: str) -> Result:
        return CliRunner().invoke(app, ["migration", *said])

    options = ("--database", url, "--json", "--tool", "neo4j-migrations")
    for wrong, why in (("--defer", "--defer: only for PostgreSQL"), ("--env=X", "--env: only for PostgreSQL")):
        refused = watchdog("apply", *options, wrong, "--", *words)
        assert refused.exit_code != 0
        assert why in str(refused.exception) + refused.output
    applied = watchdog("apply", *options, "--release", "r1", "--", *words)
    assert applied.exit_code == 0, applied.output
    assert json.loads(applied.stdout) == {"run": 1, "archived": 4}
    nothing = watchdog("apply", *options, "--", *words)
    assert json.loads(nothing.stdout) == {"run": None}
    assert watchdog("rollback", "1", "--database", url).exit_code == 0
    other = watchdog("apply", "--database", url, "--tool", "alembic", "--", "alembic")
    assert "alembic migrates no graph" in str(other.exception) + other.output
