"""neo4j-migrations on a graph: its pending files are applied so that they can be taken back, and noted in its chain."""

import asyncio
import bisect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from watchdog.migrations.graph import runs
from watchdog.migrations.graph.apply import GraphApplied, apply_cypher
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.session import RefusedError
from watchdog.migrations.tools.address import Address, Command, ToolError
from watchdog.migrations.tools.chain import BASELINE, Chain, File, locations, noted, pending, read_files, verb_at
from watchdog.migrations.tools.process import Hear, run
from watchdog.ports.errors import TargetError, WatchdogError
from watchdog.targets.neo4j import Neo4jTarget

_PASSWORD: Final = "WATCHDOG_NEO4J_PASSWORD"  # noqa: S105 - the name of a variable
_CHAIN: Final = (
    "MATCH (m:__Neo4jMigration) WHERE m.migrationTarget IS NULL"
    " OPTIONAL MATCH (m)-[r:REPEATED]->(m) WITH m, r ORDER BY r.at DESC"
    " WITH m, collect(r.checksum) AS again"
    " RETURN m.version, coalesce(again[0], m.checksum), EXISTS { (m)-[:MIGRATED_TO]->() }, m.type = 'DELETE'"
)
_LOCKED: Final = "MATCH (l:__Neo4jMigrationsLock) RETURN count(l)"
_LINE: Final = re.compile(r"\bline (\d+)")


def _unheard(_: str) -> None:
    pass


@dataclass(frozen=True)
class Login:
    """A graph as the tool is told it; `url` as `bolt://host:port`."""

    url: str
    user: str
    password: str = field(repr=False)
    database: str = "neo4j"


@dataclass(frozen=True)
class _At(Address):
    """The same as options before the tool's verb, the password in a variable."""

    told: tuple[str, ...] = ()

    @classmethod
    def graph(cls, login: Login) -> "_At":
        told = (f"--address={login.url}", f"--username={login.user}", f"--password:env={_PASSWORD}")
        return cls({"password": login.password}, "", {}, (*told, f"--database={login.database}"))

    def environment(self, command: Command, inherited: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - as Address
        return {**inherited, _PASSWORD: self.values["password"]}

    def words(self, command: Command, words: Sequence[str] | None = None) -> tuple[str, ...]:
        said = tuple(words or command.words)
        return (*said[:-1], *self.told, said[-1])


async def apply_to_chain(
    target: Neo4jTarget, login: Login, command: Command, *, name: str = "", release: str = "", hear: Hear = _unheard
) -> GraphApplied | None:
    """Applies what neo4j-migrations would, as one run, and has the tool itself check its chain; None for nothing to do.

    Args:
        login: The same graph for the tool.
        name: What to call the run; without it the names of the files.
        hear: Hears what the tool says.

    Raises:
        ToolError: The command cannot be meant, or there is no such program.
        RefusedError: It cannot be taken back, or the chain is not that of the files; nothing was changed.
        WatchdogError: It failed, and was taken back, or the message says what is left.
    """
    if not command.kind.graph:
        raise ToolError(f"--tool {command.tool}: {command.tool} migrates no graph; say --tool neo4j-migrations.")
    ask = (*command.words[: verb_at(command)], "validate")
    files = read_files(locations(command))
    with target.translated():
        chain = await _read_chain(target)
    todo = pending(files, chain)
    if not todo:
        return None
    at = _At.graph(login)
    if (await run(command, at, ask, _unheard)).status == 0:
        says = f"{todo[0].name} is not applied, but {command.short} says that nothing is missing"
        raise RefusedError((f"{says}: it looks into other files or another graph",))
    done = await _applied(target, _script(todo, chain, login.user), name, release)
    await _checked(target, done.run, (command, at, ask), hear)
    return done


async def _read_chain(target: Neo4jTarget) -> Chain:
    async with target.session() as session:
        if (await runs.one(session, _LOCKED))[0]:
            raise RefusedError(("neo4j-migrations is at work on this graph (:__Neo4jMigrationsLock); wait for it",))
        rows = [tuple(record.values()) async for record in await session.run(_CHAIN)]
    ends = [version for version, _, goes_on, _ in rows if not goes_on]
    if len(ends) > 1 or any(deleted for *_, deleted in rows):
        raise RefusedError(("the chain of neo4j-migrations is no plain one; look at it with `neo4j-migrations info`",))
    checksums = {version: checksum for version, checksum, *_ in rows if version != BASELINE}
    return Chain(checksums, ends[0] if ends else BASELINE, not rows)


@dataclass(frozen=True)
class _Script:
    """Files as one script; `starts` are the lines before each of them."""

    text: str
    names: tuple[str, ...]
    starts: tuple[int, ...]

    def located(self, said: str) -> str:
        """A message with the lines of the files in place of the script's."""
        return _LINE.sub(self._place, said)

    def _place(self, found: re.Match[str]) -> str:
        line = int(found[1])
        at = bisect.bisect_left(self.starts, line) - 1
        return f"{self.names[at]} line {line - self.starts[at]}"


def _script(files: Sequence[File], chain: Chain, user: str) -> _Script:
    before = [None if chain.is_new else chain.last, *(file.version for file in files)]
    # A semicolon more is no statement; one at the end of a comment would not be seen.
    texts = [f"{file.text}\n;\n{noted(file, previous, user)};\n" for file, previous in zip(files, before, strict=False)]
    starts = accumulate((text.count("\n") for text in texts[:-1]), initial=0)
    return _Script("".join(texts), tuple(file.name for file in files), tuple(starts))


async def _applied(target: Neo4jTarget, script: _Script, name: str, release: str) -> GraphApplied:
    there = {one.run for one in await runs.runs_graph(target)}
    try:
        return await apply_cypher(target, script.text, name=name or ", ".join(script.names), release=release)
    except RefusedError as error:
        raise RefusedError(tuple(script.located(reason) for reason in error.reasons)) from None
    except TargetError as error:
        raise TargetError(script.located(str(error)), retryable=error.retryable, away=error.away) from None
    except asyncio.CancelledError:
        await _taken_back(target, there)
        raise WatchdogError("It was stopped; what it had done was taken back, and nothing is changed.") from None


async def _taken_back(target: Neo4jTarget, there: set[int]) -> None:
    """Takes back what came after some runs, when we were told to stop; a commit that is on its way is waited for."""
    with target.translated():
        await runs.prepare(target)
        async with runs.writing(target) as work:
            await runs.lock_runs(work.inside)
    for one in await runs.runs_graph(target):
        if one.run not in there and one.state in {"applying", "applied"}:
            await rollback_graph(target, one.run)


async def _checked(
    target: Neo4jTarget, number: int, question: tuple[Command, Address, Sequence[str]], hear: Hear
) -> None:
    """Has the tool look at what we noted in its name; raises WatchdogError when it does not agree."""
    try:
        ended = await run(*question, hear)
    except (asyncio.CancelledError, WatchdogError) as error:
        await rollback_graph(target, number)
        raise WatchdogError(f"{str(error) or 'It was stopped.'} Run {number} was taken back.") from None
    if ended.status:
        await rollback_graph(target, number)
        raise WatchdogError(
            f"neo4j-migrations does not agree with what was noted in its chain, so run {number} was taken back:\n"
            f"{ended.said}"
        )
