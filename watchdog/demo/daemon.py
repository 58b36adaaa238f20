"""The daemon of the demo: `watchdog run` as a process of its own, reached over its Unix socket as everybody does."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from watchdog.demo.stack import Stack, tail
from watchdog.doubles.slack import SlackDouble
from watchdog.servers.process import Process, free_port

GUARD = "compliance"
BOT_TOKEN = "xoxb-demo"  # noqa: S105  # of the Slack double on this machine
APP_TOKEN = "xapp-demo"  # noqa: S105  # likewise
POLL_S = 0.2


class DaemonError(RuntimeError):
    """The daemon did not do what the story needs; the message ends with its log."""


def shipped() -> Path:
    """The directory of the shipped `config.yaml`, `rules/` and `rollbacks/`: in the wheel, or of the checkout."""
    package = Path(__file__).resolve().parents[1]
    return package / "shipped" if (package / "shipped").is_dir() else package.parent


def environment(stack: Stack, slack_api: str, state: Path) -> dict[str, str]:
    """What `config.yaml` asks the environment for; holds passwords."""
    return {
        **stack.service_environment(),
        "WATCHDOG_STATE": str(state),
        "WATCHDOG_PYTHON": sys.executable,
        "WATCHDOG_METRICS_PORT": str(free_port()),
        "COMPLIANCE_API_URL": stack.entrance,
        "COMPLIANCE_PORT": str(stack.port),
        "COMPLIANCE_PID_FILE": str(stack.pid_file),
        "COMPLIANCE_LOG": str(stack.run_dir / "service.log"),
        "COMPLIANCE_WATCHDOG_DB_URL": stack.url("watchdog_agent"),
        "COMPLIANCE_MIGRATOR_URL": stack.url("compliance_migrator"),
        "COMPLIANCE_SCRATCH_URL": stack.scratch_url,
        "SLACK_API_URL": slack_api,
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_APP_TOKEN": APP_TOKEN,
    }


class DemoDaemon:
    """`watchdog run` with the shipped configuration."""

    def __init__(self, run_dir: Path, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self.log = run_dir / "daemon.log"
        self.config = shipped() / "config.yaml"
        self.metrics_url = f"http://127.0.0.1:{env['WATCHDOG_METRICS_PORT']}"
        self.process: Process | None = None
        socket = Path(env["WATCHDOG_STATE"]) / "watchdog.sock"
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket)),
            base_url="http://watchdog",
            headers={"X-Watchdog-Who": "service-team@demo"},
            timeout=10,
        )

    def start(self) -> None:
        """Starts it; it dies with us."""
        command: list[str | Path] = [sys.executable, "-m", "watchdog", "run", "--config", self.config]
        self.process = Process.start("watchdog run", command, log=self.log, env=self.env)

    async def stop(self) -> None:
        """Stops it orderly."""
        if self.process is not None:
            await self.process.stop(grace=40)
        await self._http.aclose()

    async def get(self) -> dict[str, Any]:
        """The guard as the API shows it."""
        return await self._ask("GET", "")

    async def post(self, verb: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Says something to the guard."""
        return await self._ask("POST", f"/{verb}", body or {})

    async def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        answer = await self._http.request(method, f"/v1/guards/{GUARD}{path}", json=body)
        if answer.is_error:
            raise DaemonError(f"{method} {path}: {answer.status_code} {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    async def until(self, what: str, holds: Callable[[dict[str, Any]], bool], within: float) -> dict[str, Any]:
        """Waits until the guard's view satisfies a condition.

        Raises:
            DaemonError: It did not within so many seconds, or the daemon ended.
        """
        deadline = time.monotonic() + within
        view: dict[str, Any] = {}
        while time.monotonic() < deadline:
            if self.process is not None and self.process.returncode is not None:
                break
            try:
                view = await self.get()
            except (httpx.TransportError, DaemonError):
                view = {}  # it is starting
            if view and holds(view):
                return view
            await asyncio.sleep(POLL_S)
        short = json.dumps({key: view.get(key) for key in ("state", "rules", "incident")}, indent=1)[:2000]
        raise DaemonError(f"waited {within:.0f} s for: {what}\nlast seen: {short}\n{tail(self.log)}")

    def cpu_and_memory(self) -> tuple[float, float]:
        """CPU seconds used so far, and resident memory in MiB."""
        if self.process is None:
            return 0.0, 0.0
        pid = self.process.pid
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        rss = next(
            int(line.split()[1]) / 1024
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )
        return (int(stat[11]) + int(stat[12])) / 100, rss


async def slack_double() -> SlackDouble:
    """A Slack workspace for the demo."""
    return await SlackDouble.start(
        bot_token=BOT_TOKEN,
        app_token=APP_TOKEN,
        channels=("incidents", "stakeholders"),
        users={"U0RESPONDER": "ana.responder"},
    )
