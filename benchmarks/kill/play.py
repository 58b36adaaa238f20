"""Plays one scenario: a person triggers the data rung, the daemon dies on the way, a plain one goes on."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
from psycopg import sql

from benchmarks.kill import doomed
from benchmarks.kill.points import Blocked, Cut, Kill, Scenario
from benchmarks.kill.result import Result, collect, service_processes
from benchmarks.kill.rig import Rig, Servers, owed, requests
from benchmarks.kill.wire import Wire
from watchdog.demo.daemon import GUARD, DaemonError, DemoDaemon, environment, slack_double
from watchdog.demo.stack import Stack, tail
from watchdog.journals.sqlite import SqliteJournal
from watchdog.servers.process import Process

WITHIN_S: Final = 90.0
POLL_S: Final = 0.1
_WAITING: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name LIKE 'watchdog e%' AND wait_event_type = 'Lock' AND datname = current_database()
"""


@dataclass(frozen=True)
class Played:
    """A run that has ended.

    Attributes:
        missed: Deaths that did not come: the run did not pass there.
        died: Seconds from each death to the next daemon's answer.
    """

    scenario: Scenario
    result: Result
    missed: int
    seconds: float
    died: tuple[float, ...] = ()


class Mortal(DemoDaemon):
    """`watchdog run`, which may be about to die."""

    def start(self, kill: Kill | None = None) -> None:
        """Starts it: the plain daemon, or one that dies there."""
        if kill is None:
            super().start()
            return
        command: list[str | Path] = [sys.executable, "-m", "benchmarks.kill.doomed", "--config", self.config]
        env = {**self.env, doomed.VARIABLE: doomed.spell(kill)}
        self.process = Process.start("doomed watchdog", command, log=self.log, env=env)

    def kill(self) -> None:
        """`kill -9`, and nothing else: what it has begun outside itself goes on."""
        if self.process is not None and self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGKILL)

    @property
    def still(self) -> bool:
        """Whether it has stopped at its place, and waits."""
        if self.process is None or self.process.returncode is not None:
            return False
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0] == "T"

    def go_on(self) -> None:
        """Wakes it."""
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGCONT)

    @property
    def dead(self) -> bool:
        """Whether it has ended, however it did."""
        return self.process is None or self.process.returncode is not None


@dataclass
class Lives:
    """One daemon after the other, until the run has ended."""

    daemon: Mortal
    kills: list[Kill]
    servers: Servers
    deaths: int = 0
    died: list[float] = field(default_factory=list)
    reborn: asyncio.Event = field(default_factory=asyncio.Event)
    _since: float | None = None
    _kill: Kill | None = None

    def begin(self) -> None:
        """Starts the next one."""
        self._kill = self.kills.pop(0) if self.kills else None
        self.daemon.start(self._kill)

    async def to_the_end(self, within: float) -> None:
        """Triggers, starts a new daemon whenever one dies, and returns when all is told and done.

        Raises:
            DaemonError: It takes too long, or a daemon ended that should not have.
        """
        deadline = time.monotonic() + within
        view: dict[str, Any] = {}
        while time.monotonic() < deadline:
            if self.daemon.dead:
                self._bury()
            if self._kill is not None and self._kill.victim != "daemon" and self.daemon.still:
                await self._kill_server(self._kill)
            with suppress(httpx.TransportError, DaemonError):
                view = await self.daemon.get()
                self._answered()
                if view["incident"] is None:
                    await self.daemon.post("trigger", {"reason": "customers cannot save", "rung": "data"})
                elif not view["incident"]["open"] and not owed(view):
                    return
            await asyncio.sleep(POLL_S)
        run = (view.get("incident") or {}).get("run") or {}
        steps = [f"{step['name']}: {step['state']} {step['detail']}" for step in run.get("steps", [])]
        raise DaemonError(f"no end within {within:.0f} s: {run.get('phase')} {steps}\n{tail(self.daemon.log)}")

    def _bury(self) -> None:
        status = self.daemon.process.returncode if self.daemon.process else None
        if status != -signal.SIGKILL:
            raise DaemonError(f"the daemon ended with status {status}\n{tail(self.daemon.log)}")
        self.deaths += 1
        self._since = time.monotonic()
        self.begin()

    async def _kill_server(self, kill: Kill) -> None:
        """The daemon goes on at once, and the server comes back meanwhile."""
        server = getattr(self.servers, kill.victim)
        self._kill = None
        self.deaths += 1
        self._since = time.monotonic()
        server.kill()
        self.daemon.go_on()
        await server.restart()

    def _answered(self) -> None:
        if self._since is not None:
            self.died.append(time.monotonic() - self._since)
            self._since = None
            self.reborn.set()


async def play(rig: Rig, scenario: Scenario) -> Played:
    """Plays a scenario from the same beginning as every other, to its end.

    Raises:
        DaemonError: The run did not come to an end.
    """
    began = time.monotonic()
    async with AsyncExitStack() as ending:
        made = await ending.enter_async_context(rig.fresh())
        slack = await slack_double()
        ending.push_async_callback(slack.stop)
        state = made.run_dir / "state"
        seen = await _last(state)
        daemon = Mortal(made.run_dir, environment(made, slack.api_url, state))
        daemon.config = rig.config
        daemon.env |= await _wires(made, scenario.cut, daemon.kill, ending)
        ending.push_async_callback(_sweep, made)
        ending.push_async_callback(daemon.stop)
        lives = Lives(daemon, list(scenario.kills), rig.servers)
        lives.begin()
        await made.start_service("v2")
        await ending.enter_async_context(requests(made))
        if isinstance(scenario.cut, Blocked):
            blocking = asyncio.create_task(_block(made, scenario.cut.table, lives))
            ending.push_async_callback(_finished, blocking)
        await lives.to_the_end(WITHIN_S)
        if daemon.process is not None:
            await daemon.process.stop(grace=40)
        result = await collect(made, state, seen, slack)
    missed = scenario.deaths - lives.deaths
    return Played(scenario, result, missed, time.monotonic() - began, tuple(lives.died))


async def _last(state: Path) -> int:
    journal = await SqliteJournal.open(state / "journal.db")
    try:
        stored = await journal.read(GUARD)
        return stored[-1].seq
    finally:
        await journal.close()


async def _wires(
    made: Stack, cut: Cut | Blocked | None, kill: Callable[[], None], ending: AsyncExitStack
) -> Mapping[str, str]:
    """Puts wires between daemon and stores, where a scenario needs one."""
    if isinstance(cut, Blocked):
        wire = await ending.enter_async_context(Wire("db", made.postgres.port, kill, keep=True))
    elif cut is not None:
        port = made.postgres.port if cut.store == "db" else made.neo4j.port
        wire = await ending.enter_async_context(Wire(cut.store, port, kill, cut))
    else:
        return {}
    if wire.store == "db":
        return {"COMPLIANCE_WATCHDOG_DB_URL": _through(made.url("watchdog_agent"), made.postgres.port, wire.port)}
    return {"COMPLIANCE_NEO4J_URL": _through(made.neo4j.url, made.neo4j.port, wire.port)}


def _through(url: str, port: int, wire: int) -> str:
    return url.replace(f":{port}", f":{wire}")


async def _block(made: Stack, table: str, lives: Lives) -> None:
    """Holds a lock until the daemon has waited for it, died of that, and come again."""
    async with await psycopg.AsyncConnection.connect(made.admin_url) as holder:
        await holder.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.Identifier(table)))
        async with await psycopg.AsyncConnection.connect(made.admin_url, autocommit=True) as watching:
            while (await (await watching.execute(_WAITING)).fetchone()) == (0,):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.02)
        lives.daemon.kill()
        await lives.reborn.wait()


async def _finished(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})


async def _sweep(made: Stack) -> None:
    """Ends what is left of the service, and waits until it is gone."""
    await made.stop_service()
    for pid in service_processes(made):
        os.kill(pid, signal.SIGKILL)
