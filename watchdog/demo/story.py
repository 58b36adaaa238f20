"""The story: a release goes out over real servers, hurts, and is taken back while users go on writing."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watchdog.demo import before as snapshot
from watchdog.demo import ledger
from watchdog.demo.acts import Acts
from watchdog.demo.before import Before, Systems
from watchdog.demo.checks import Check, Evidence, run_all, run_kept
from watchdog.demo.daemon import DaemonError, DemoDaemon, environment, slack_double
from watchdog.demo.ledger import Store
from watchdog.demo.outcome import cleared_at, from_daemon, rungs
from watchdog.demo.release import Fault
from watchdog.demo.scratch import rehearse
from watchdog.demo.stack import Stack, running
from watchdog.runtime.clock import SystemClock
from watchdog.servers.paths import scratch_dir
from watchdog.servers.process import Process

ENDS: dict[Fault, str] = {
    "schema": "rolled back and recovered",
    "integrity": "rolled back and recovered",
    "flag": "recovered",
    "elsewhere": "no rung left, not recovered",
    "latency": "recovered",
    "connections": "recovered",
    "stall": "recovered",
    "canary": "recovered",
    "none": "",
}
"""How the climb of each fault has to end."""

QUARANTINES: dict[Store, str] = {
    "preferences": """
        SELECT "row" ->> 'user_id', "row" || jsonb_build_object('prefs', ("row" ->> 'prefs')::jsonb)
          FROM watchdog.migration_quarantine
         WHERE "table" = '"public"."user_preferences"'
    """,
}
BOOKKEEPING = (
    *("WatchdogFence", "WatchdogReceipt", "WatchdogMigrationRun", "WatchdogMigrationLock", "WatchdogArchive"),
    "WatchdogRelease",
)


@dataclass(frozen=True)
class Options:
    """What is shown."""

    fault: Fault = "schema"
    stay: bool = False


@dataclass(frozen=True)
class Frame:
    """One thing to show: a title, a line, or the table at the end."""

    text: str = ""
    kind: str = "line"
    at: float = 0.0
    checks: tuple[Check, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Told:
    """What the story has come to know on the way."""

    before: Before | None = None
    view: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class Story:
    """One telling. `frames` yields what happens as it happens."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._began = time.monotonic()
        self._clock = SystemClock()
        self._queue: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._told = Told()

    def say(self, text: str, kind: str = "line") -> None:
        """Shows a line now."""
        self._queue.put_nowait(Frame(text, kind, time.monotonic() - self._began))

    async def frames(self) -> AsyncIterator[Frame]:
        """Everything that happens; the last frame is the table.

        Raises:
            DaemonError, ServerError, StackError: The story could not be told to its end.
        """
        telling = asyncio.create_task(self._tell())
        telling.add_done_callback(lambda _task: self._queue.put_nowait(None))
        try:
            while (frame := await self._queue.get()) is not None:
                yield frame
            await telling
        finally:
            telling.cancel()
            await asyncio.wait({telling})

    async def _tell(self) -> None:
        fault = self.options.fault
        async with AsyncExitStack() as ending:
            run_dir = ending.enter_context(scratch_dir("demo"))
            self.say(f"FAULT={fault}", "title")
            self.say("PostgreSQL 18 with pgvector, Neo4j 5.26 with APOC and Redis start (real servers, on loopback)")
            stack = await ending.enter_async_context(running(run_dir, fault=fault, say=self.say))
            certificate = await self._rehearse(run_dir, stack)
            slack = await slack_double()
            ending.push_async_callback(slack.stop)
            systems = Systems(
                stack.admin_url,
                await ending.enter_async_context(stack.driver()),
                await ending.enter_async_context(stack.client()),
            )
            await stack.start_service("v1")
            daemon = DemoDaemon(run_dir, environment(stack, slack.api_url, run_dir / "state"))
            ending.push_async_callback(daemon.stop)
            self._told.before = await snapshot.take(systems, self._clock.now())
            daemon.start()
            load = self._start_load(run_dir, stack)
            ending.push_async_callback(load.stop)
            graph = stack.graph()
            ending.push_async_callback(graph.close)
            acts = Acts(self.say, stack, slack, daemon, systems, release=stack.release(graph), certificate=certificate)
            await acts.play()
            await load.stop()
            await self._compare(acts, run_dir)
            if self.options.stay:
                self.say(f"Slack stays open at {slack.page_url} (Ctrl-C ends it)")
                await asyncio.Event().wait()

    async def _rehearse(self, run_dir: Path, stack: Stack) -> dict[str, Any]:
        self.say("Rehearsal", "title")
        self.say(
            "release, the old version's writes and the rollback run on a small scratch copy, in servers of its own"
        )
        certificate = await rehearse(run_dir, stack)
        self.say(
            f"certificate {certificate['id']}: restored {certificate['restored']}, old code {certificate['old_code']}"
        )
        for finding in certificate["findings"]:
            self.say(f"  {finding}")
        return certificate

    def _start_load(self, run_dir: Path, stack: Stack) -> Process:
        command: list[str | Path] = [
            *(sys.executable, "-m", "watchdog.demo.load", "--url", stack.entrance),
            *("--ledger", run_dir / "ledger.jsonl", "--summary", run_dir / "summary.json"),
        ]
        return Process.start("load", command, log=run_dir / "load.log")

    async def _compare(self, acts: Acts, run_dir: Path) -> None:
        self.say("Comparing every row, node, vector and acknowledged write with what was before", "title")
        before = self._told.before
        if before is None:
            raise DaemonError("there is no snapshot from before")
        view = await acts.daemon.get()
        incident = view["incident"] or {}
        rolled_back = "data" in rungs(view)
        evidence = Evidence(
            ledger=ledger.read(run_dir / "ledger.jsonl", since=before.taken_at),
            summary=json.loads((run_dir / "summary.json").read_text()),
            quarantines=QUARANTINES if rolled_back else {},
            cleared_at=cleared_at(view) if rolled_back else None,
            bookkeeping=BOOKKEEPING,
        )
        run = run_all if rolled_back else run_kept
        checks = await run(acts.systems, before, evidence)
        checks += from_daemon(ENDS[self.options.fault], view, acts.slack, acts.hurt_at)
        cpu, rss = acts.daemon.cpu_and_memory()
        watched = (self._clock.now() - acts.watched_since) / 1e9
        facts = {
            "fault": self.options.fault,
            "incident": incident.get("id"),
            "daemon_rss_mib": round(rss, 1),
            "daemon_cpu_percent": round(100 * cpu / watched, 1),
            "seconds": round(time.monotonic() - self._began, 1),
        }
        self._queue.put_nowait(Frame("", "table", time.monotonic() - self._began, tuple(checks), facts))
