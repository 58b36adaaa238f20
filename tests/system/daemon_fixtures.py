"""The real daemon as a process of its own, over a small configuration and a service that a test holds in its hand."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
from aiohttp import web
from typer.testing import CliRunner

from watchdog.cli import app

PATIENCE = 30.0
"""Seconds; what takes longer has failed."""

CONFIG = """\
version: 1
state: state
targets:
  api: {kind: http, url: "${env:SHOP_API}"}
web: {metrics: "127.0.0.1:0"}
notifiers:
  journal: {kind: log}
channels:
  people: {notifier: journal, to: people}
plans:
  quick:
    updates: people
    beats:
      - {name: detected, after: 0s, audience: responders, channel: people}
guards:
  shop:
    demo: true
    rules: [health]
    playbook: emergency
    plan: quick
    every: 200ms
    baseline: 400ms
    min_baseline: 200ms
    bake: 10m
    resolve_after: 1h
"""

RULES = """\
version: 1
signals:
  - probe: http
    target: api
    every: 200ms
    timeout: 2s
    path: /health
    read:
      healthy: {of: status_ok}
      health_seconds: {of: seconds}
rules:
  unhealthy: {kind: gauge, of: healthy, below: 1, mode: literal, enters: flag}
  slow: {kind: gauge, of: health_seconds, above: 60, mode: literal, enters: flag}
"""

PLAYBOOK = """\
version: 1
rungs:
  - rung: flag
    autonomy: act
    settle: 200ms
    steps:
      - {name: first, kind: http, target: api, timeout: 20s, path: /first, verify: {path: /done/first}}
      - {name: second, kind: http, target: api, timeout: 20s, path: /second, verify: {path: /done/second}}
"""


async def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Waits for a condition, which may be asked with or without `await`.

    Raises:
        AssertionError: It was not in time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        found = condition()
        if await found if isinstance(found, Awaitable) else found:
            return
        assert loop.time() < deadline, f"not in {patience:g} s: {what}"
        await asyncio.sleep(0.03)


@dataclass
class Service:
    """A service that is well or not, and does what a step asks it to.

    Attributes:
        done: The steps that it was asked for and has done, in order.
        asked: The steps that it was asked for.
        gates: A step named here is answered once its gate is open.
        cures: The step that makes it well.
    """

    port: int = 0
    well: bool = True
    done: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    cures: str = "second"
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> Self:
        """Listens, at the port of before if there was one."""
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/done/{step}", self._look)
        app.router.add_post("/{step}", self._act)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def stop(self) -> None:
        """Is gone; whoever asks is refused a connection."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(status=200 if self.well else 500)

    async def _look(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if request.match_info["step"] in self.done else 404)

    async def _act(self, request: web.Request) -> web.Response:
        step = request.match_info["step"]
        self.asked.append(step)
        if step in self.gates:
            await self.gates[step].wait()
        self.done.append(step)
        self.well = self.well or step == self.cures
        return web.Response(status=200)


@contextlib.asynccontextmanager
async def service() -> AsyncIterator[Service]:
    """A service that answers."""
    running = await Service().start()
    try:
        yield running
    finally:
        await running.stop()


@dataclass(frozen=True)
class Project:
    """A configuration in a directory of its own, with a short path: a socket's has at most 107 bytes."""

    directory: Path
    env: Mapping[str, str]

    @property
    def config(self) -> Path:
        """Its config.yaml."""
        return self.directory / "config.yaml"

    @property
    def rules(self) -> Path:
        """Its rules."""
        return self.directory / "rules" / "health.yaml"

    @property
    def playbook(self) -> Path:
        """Its playbook."""
        return self.directory / "rollbacks" / "emergency" / "playbook.yaml"

    @property
    def state(self) -> Path:
        """What its daemon keeps."""
        return self.directory / "state"

    @property
    def socket(self) -> Path:
        """Where its daemon answers."""
        return self.state / "watchdog.sock"

    @property
    def journal(self) -> Path:
        """Its journal."""
        return self.state / "journal.db"

    def everything_kept(self) -> bytes:
        """All that its daemon has written to its state directory."""
        return b"".join(path.read_bytes() for path in self.state.rglob("*") if path.is_file())


def edit(path: Path, old: str, new: str) -> None:
    """Replaces a text that stands in a file once or more."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@contextlib.contextmanager
def project(api: str = "http://127.0.0.1:9", **env: str) -> Iterator[Project]:
    """A small configuration that is in order."""
    with tempfile.TemporaryDirectory(prefix="wd-") as name:
        made = Project(Path(name), {"SHOP_API": api, **env})
        made.rules.parent.mkdir()
        made.playbook.parent.mkdir(parents=True)
        made.config.write_text(CONFIG)
        made.rules.write_text(RULES)
        made.playbook.write_text(PLAYBOOK)
        yield made


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str


async def command(*words: str, env: Mapping[str, str] | None = None) -> Ran:
    """`watchdog` with these words, in this process: most of what a command takes is a process's start."""
    ran = await asyncio.to_thread(CliRunner().invoke, app, words, env={**(env or {}), "COLUMNS": "200"})
    return Ran(ran.exit_code, ran.stdout, ran.stderr)


async def python(*words: str, env: Mapping[str, str] | None = None) -> Ran:
    """Python with these words, to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *words),
        env={**os.environ, **(env or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ran(process.returncode or 0, out.decode(), err.decode())


class Daemon:
    """`watchdog run` in a session of its own; it is killed when the test ends before it."""

    def __init__(self, of: Project, process: asyncio.subprocess.Process) -> None:
        self.project = of
        self.lines: list[str] = []
        self.out = ""
        self._process = process
        self._reading = [asyncio.create_task(self._read_log()), asyncio.create_task(self._read_out())]
        transport = httpx.AsyncHTTPTransport(uds=str(of.socket))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://watchdog", timeout=20, trust_env=False)

    @classmethod
    async def start(cls, of: Project, runner: Sequence[str] = ("-m", "watchdog")) -> "Daemon":
        """Starts it and does not wait for anything.

        Args:
            runner: What Python runs in place of the module.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *runner, "run", "--config", str(of.config)),
            env={**os.environ, **of.env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=2**20,
        )
        return cls(of, process)

    @property
    def pid(self) -> int:
        """Its process, which leads a session of its own."""
        return self._process.pid

    @property
    def err(self) -> str:
        """Its log so far."""
        return "\n".join(self.lines)

    async def _read_log(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.lines.append(line.decode().rstrip("\n"))

    async def _read_out(self) -> None:
        assert self._process.stdout is not None
        self.out = (await self._process.stdout.read()).decode()

    def logged(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Lines of its log with this event and these fields."""
        said = (json.loads(line) for line in self.lines if line.startswith("{"))
        return [one for one in said if one["event"] == event and fields.items() <= one.items()]

    async def watching(self) -> Self:
        """Waits until every guard is judged."""
        await until(self._is_ready, "the daemon watches")
        return self

    async def _is_ready(self) -> bool:
        assert self._process.returncode is None, self.err
        return bool(self.logged("watching")) and bool((await self.status())["ready"])

    async def status(self) -> dict[str, Any]:
        """What the API says."""
        return await self._get("/v1/status")

    async def guard(self, name: str = "shop") -> dict[str, Any]:
        """A guard, as the API shows it."""
        return await self._get(f"/v1/guards/{name}")

    async def events(self, name: str = "shop") -> list[str]:
        """The types of a guard's events, in order."""
        return [event["type"] for event in (await self._get(f"/v1/guards/{name}/events?limit=10000"))["events"]]

    async def all_events(self, name: str = "shop") -> dict[str, Any]:
        """A guard's events with all that they say."""
        return await self._get(f"/v1/guards/{name}/events?limit=10000")

    async def judged_again(self, times: int = 3) -> None:
        """So many evaluations, in which whatever is allowed to act would have begun."""
        seen: set[str | None] = set()

        async def enough() -> bool:
            seen.add((await self.guard())["rules"][0]["judged_at"])
            return len(seen - {None}) > times

        await until(enough, "the guard is judged")

    async def has(self, event: str, guard: str = "shop", *, times: int = 1) -> bool:
        """Whether an event has happened so often."""
        return (await self.events(guard)).count(event) >= times

    async def _get(self, path: str) -> dict[str, Any]:
        await until(self._listens, "the daemon listens")
        answer = await self._http.get(path)
        async with asyncio.timeout(PATIENCE):
            while answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:  # its journal is still being read
                await asyncio.sleep(0.02)
                answer = await self._http.get(path)
        found: dict[str, Any] = answer.json()
        return found

    def _listens(self) -> bool:
        assert self._process.returncode is None, self.err
        with socket.socket(socket.AF_UNIX) as knock:
            return knock.connect_ex(str(self.project.socket)) == 0

    async def post(self, verb: str, body: Mapping[str, Any] | None = None, guard: str = "shop") -> httpx.Response:
        """Says something to a guard."""
        return await self._http.post(f"/v1/guards/{guard}/{verb}", json=body or {})

    async def release(self, guard: str = "shop") -> None:
        """A release is out and bakes."""
        assert (await self.post("release", {"id": "r1", "flags": ["new"]}, guard)).status_code == 200
        assert (await self.post("arm", guard=guard)).status_code == 200

    async def trigger(self, rung: str = "flag") -> None:
        """A person starts the ladder at a rung."""
        answer = await self.post("trigger", {"reason": "customers call", "rung": rung})
        assert answer.status_code == 200, answer.text

    async def run(self) -> dict[str, Any] | None:
        """The climb of the latest incident."""
        incident = (await self.guard())["incident"]
        found: dict[str, Any] | None = incident["run"] if incident else None
        return found

    async def run_ended(self) -> bool:
        """Whether the climb is over."""
        return await self.has("RunEnded")

    async def web(self, path: str) -> httpx.Response:
        """What it answers over TCP."""
        [line] = self.logged("watching")
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.get(f"http://{line['metrics']}{path}")

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    async def ended(self, patience: float = PATIENCE) -> int:
        """Its exit status, once it has ended and all that it said is read."""
        async with asyncio.timeout(patience):
            await self._process.wait()
            await asyncio.gather(*self._reading)
        assert self.out == ""
        # Every line of the log is for machines, and nothing in it is a mistake of ours.
        assert all(isinstance(json.loads(line), dict) for line in self.lines), self.err
        assert "Traceback" not in self.err, self.err
        return self._process.returncode or 0

    async def stop(self) -> int:
        """Asks it to end, and waits."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """Ends it as a power cut would."""
        if self._process.returncode is None:
            self._process.kill()
        await self.ended()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._http.aclose()
        await self.kill()

    def session_is_gone(self) -> bool:
        """Whether no process is left of all that it may have started."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False
