"""`python -m benchmarks.kill`: every point; prints what came of each and writes `docs/kill.md`."""

import argparse
import asyncio
import random
import signal
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.kill.play import Played, play
from benchmarks.kill.points import (
    SERVERS,
    SIDES,
    Blocked,
    Kill,
    Scenario,
    calls,
    cuts,
    data_steps,
    kills_of,
    recoveries,
    server_kills,
)
from benchmarks.kill.result import differences
from benchmarks.kill.rig import SHORTER, Rig, Servers
from watchdog.demo.daemon import DaemonError
from watchdog.demo.stack import POSTGRES_SETTINGS
from watchdog.servers.neo4j import Neo4jServer
from watchdog.servers.paths import scratch_dir
from watchdog.servers.postgres import PostgresServer
from watchdog.servers.redis import RedisServer

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "kill.md"
TRANSACTIONS: Final = 5
"""Fenced transactions of the rung in PostgreSQL: to cancel, two to fence, one for the migrations, one to lift."""
BLOCKING: Final = ("document_embeddings_v2", "assessments", "user_preferences")


INTRODUCTION: Final = """\
A release has gone out on a small data set (PostgreSQL with pgvector, Neo4j, Redis, the sample service) and hurts. A
person triggers the data rung. The daemon is killed with SIGKILL at the point, a plain `watchdog run` goes on with what
is left, and when the incident is resolved everything is compared with a run that nobody disturbed: schema, every row,
archives with their checksums, receipts, grants, graph, keys in Redis, vector answers, the version that runs, the order
of events in the journal; one outcome for each step and each notice, and no message twice in Slack. Configuration and
scripts are the shipped ones; only waiting times and thresholds of judging differ:
"""


@dataclass(frozen=True)
class Line:
    """What came of one scenario: `same`, `not reached`, or what differs."""

    scenario: Scenario
    outcome: str
    seconds: float
    died: tuple[float, ...] = ()


def scenarios(undisturbed: Played) -> list[Scenario]:
    """Every point that the undisturbed run passes, and then the daemons that take over."""
    single = [Scenario((kill,)) for kill in [*kills_of(undisturbed.result.stored), *calls()]]
    one_of_each_kind = {kind: step for step, kind in data_steps().items()}
    again = [scenario for step in one_of_each_kind.values() for scenario in recoveries(step)]
    blocked = [Scenario(cut=Blocked(table)) for table in BLOCKING]
    return [*single, *again, *cuts(TRANSACTIONS), *blocked, *server_kills(undisturbed.result.stored)]


async def measure(rig: Rig, undisturbed: Played, scenario: Scenario) -> Line:
    """Plays one scenario and compares."""
    began = time.monotonic()
    try:
        played = await play(rig, scenario)
    except DaemonError as error:
        return Line(scenario, str(error).partition("\n")[0], time.monotonic() - began)
    wrong = differences(undisturbed.result, played.result)
    outcome = "; ".join(wrong) or ("not reached" if played.missed else "same")
    return Line(scenario, outcome, played.seconds, played.died)


def _make_room(directory: Path) -> None:
    for place in (directory, directory / "redis", directory / "runs"):
        place.mkdir()
        place.chmod(0o711)  # as root, the servers run as another user


async def new_rig(directory: Path, ending: AsyncExitStack) -> Rig:
    """Servers of its own, and what every run starts from."""
    _make_room(directory)
    settings = POSTGRES_SETTINGS | {"fsync": "off", "shared_buffers": "64MB"}
    servers = Servers(
        await ending.enter_async_context(await PostgresServer.start(directory / "postgres", settings=settings)),
        await ending.enter_async_context(await RedisServer.start(directory / "redis")),
        await ending.enter_async_context(await Neo4jServer.start(directory / "neo4j", "neo4j-of-the-benchmark")),
    )
    rig = Rig(servers, directory / "runs", "kill")
    await rig.prepare()
    return rig


async def run(jobs: int, seed: int, count: int | None, *, servers: bool) -> list[Line]:
    """Plays them in an order drawn by lot, `jobs` at a time, each job on servers of its own."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # leaves nothing behind
    with scratch_dir("kill") as directory:
        async with AsyncExitStack() as ending:
            rigs = [await new_rig(directory / str(job), ending) for job in range(jobs)]
            # Each rig's rows were written at its own time, so each has its own run to compare with.
            undisturbed = [await play(rig, Scenario()) for rig in rigs]
            for played in undisturbed:
                say(f"undisturbed: {played.seconds:.1f} s, {'; '.join(played.result.complaints) or 'well'}")
            waiting = [one for one in scenarios(undisturbed[0]) if one.of_servers or not servers]
            random.Random(seed).shuffle(waiting)  # noqa: S311 - repeatable, nothing to keep secret
            waiting = waiting[:count]
            total, lines = len(waiting), list[Line]()

            async def work(rig: Rig, expected: Played) -> None:
                while waiting:
                    line = await measure(rig, expected, waiting.pop(0))
                    lines.append(line)
                    say(f"{len(lines):4}/{total} {line.seconds:5.1f} s  {line.scenario}: {line.outcome}")

            async with asyncio.TaskGroup() as tasks:
                for rig, expected in zip(rigs, undisturbed, strict=True):
                    tasks.create_task(work(rig, expected))
            return lines


def page(lines: Sequence[Line], command: str) -> Iterator[str]:
    """What `docs/kill.md` says."""
    wrong = [line for line in lines if line.outcome not in {"same", "not reached"}]
    missed = [line for line in lines if line.outcome == "not reached"]
    deaths = sorted(second for line in lines for second in line.died)
    counted = f"{len(lines) - len(wrong) - len(missed)} end the same, {len(wrong)} differ"
    yield from ("# Killing the daemon", "", f"Made by `{command}`; do not edit.", "", INTRODUCTION)
    yield from (
        f"- `{name}`: `{_one_line(old)}` → `{_one_line(new)}`" for name, cs in SHORTER.items() for old, new in cs
    )
    yield from ("", f"**{len(lines)} runs: {counted}, {len(missed)} did not pass their point.**", "")
    if deaths:
        middle, last = statistics.median(deaths), deaths[-1]
        yield f"From a death to the next daemon's first answer: median {middle:.1f} s, longest {last:.1f} s."
        yield ""
    if wrong:
        yield from ("## What differs", "", *(f"- {line.scenario}: {line.outcome}" for line in wrong), "")
    yield from _sides(lines)
    yield from _servers(lines)
    yield from _others(lines)


def _sides(lines: Iterable[Line]) -> Iterator[str]:
    """One death: a row a place, with both sides."""
    found: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: {side: defaultdict(int) for side in SIDES})
    for line in lines:
        if len(line.scenario.kills) == 1 and not line.scenario.of_servers:
            kill: Kill = line.scenario.kills[0]
            word = line.outcome if line.outcome in {"same", "not reached"} else "differs"
            found[kill.site][kill.side][word] += 1
    yield from ("## Killed once", "", "| before or after | killed before it | killed after it |", "|---|---|---|")
    for site in sorted(found):
        cells = [", ".join(f"{count} {word}" for word, count in sorted(found[site][side].items())) for side in SIDES]
        yield f"| {site} | {' | '.join(cells)} |"
    yield ""


def _servers(lines: Iterable[Line]) -> Iterator[str]:
    """A server's death: a row a place, a column for each server."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for line in lines:
        if line.scenario.of_servers:
            (kill,) = line.scenario.kills
            word = line.outcome if line.outcome in {"same", "not reached"} else "differs"
            found[f"{kill.side} {kill.site}"][kill.victim] = word
    if not found:
        return
    yield from ("## A server killed, the daemon kept still at that moment", "")
    yield from (f"| place | {' | '.join(SERVERS)} |", "|---|---|---|---|")
    for place in sorted(found):
        yield f"| {place} | {' | '.join(found[place].get(server, '') for server in SERVERS)} |"
    yield ""


def _others(lines: Iterable[Line]) -> Iterator[str]:
    """Two deaths, and orphaned transactions."""
    rest = sorted((str(line.scenario), line.outcome) for line in lines if len(line.scenario.kills) != 1)
    yield from ("## Killed again on taking over, and orphaned transactions", "", "| death | outcome |", "|---|---|")
    yield from (f"| {scenario} | {outcome if len(outcome) < 20 else 'differs'} |" for scenario, outcome in rest)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Plays, prints, writes; exit status 1 when a run differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="draws the order")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, each on servers of its own")
    parser.add_argument("--servers", action="store_true", help="only deaths of servers; then no page is written")
    parser.add_argument("--count", type=int, help="only so many runs; then no page is written")
    arguments = parser.parse_args()
    lines = asyncio.run(run(arguments.jobs, arguments.seed, arguments.count, servers=arguments.servers))
    if arguments.count is None and not arguments.servers:
        command = f"python -m benchmarks.kill --seed {arguments.seed} --jobs {arguments.jobs}"
        PAGE.write_text("\n".join(page(lines, command)) + "\n", encoding="utf-8")
    sys.exit(any(line.outcome not in {"same", "not reached"} for line in lines))


if __name__ == "__main__":
    main()
