import asyncio
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from tests.web.conftest import Site, watching
from watchdog.cli import app
from watchdog.web.server import serve

T = TypeVar("T")

CONFIG = """\
version: 1
state: state
targets:
  api: {kind: http, url: "http://127.0.0.1:9"}
notifiers:
  journal: {kind: log}
channels:
  people: {notifier: journal, to: people}
plans:
  seed:
    updates: people
    beats:
      - {name: detected, after: 0s, audience: responders, channel: people}
guards:
  shop:
    rules: [health]
    playbook: emergency
    plan: seed
"""

RULES = """\
version: 1
signals:
  - probe: http
    target: api
    every: 5s
    timeout: 3s
    path: /health
    read:
      healthy: {of: status_ok}
rules:
  unhealthy: {kind: gauge, of: healthy, below: 1, hold: 10s, enters: flag}
"""

PLAYBOOK = """\
version: 1
rungs:
  - rung: flag
    autonomy: act
    steps:
      - {name: let it settle, kind: wait, timeout: 10s, for: 1s}
"""


class Watchdog:
    """The command, in this process."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.env: dict[str, str | None] = {"WATCHDOG_SOCKET": str(socket), "COLUMNS": "200"}

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(app, words, env=self.env)


class Live:
    """A daemon that answers at a socket, in a loop and thread of its own."""

    def __init__(self, socket: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.site: Site
        self._socket = socket
        self._up = threading.Event()
        self._end = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._live())
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._up.set()
            self.loop.close()

    async def _live(self) -> None:
        async with watching() as self.site, serve(self.site.daemon, self._socket):
            self._up.set()
            await self._end.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(10)
        assert self._failure is None
        return self

    def __exit__(self, *_error: object) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs something in the daemon's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def seconds(self, count: int) -> None:
        """Lets so many seconds pass."""
        self.do(self.site.seconds(count))


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name: a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="wd-") as directory:
        yield Path(directory)


@pytest.fixture
def watchdog(place: Path) -> Watchdog:
    return Watchdog(place / "live.sock")


@pytest.fixture
def live(watchdog: Watchdog) -> Iterator[Live]:
    # Its log would stand among what the command prints.
    with capture_logs(), Live(watchdog.socket) as running:
        yield running


@pytest.fixture
def project(place: Path) -> Path:
    """A small configuration that is in order; the path of its config.yaml."""
    (place / "rules").mkdir()
    (place / "rollbacks" / "emergency").mkdir(parents=True)
    (place / "rules" / "health.yaml").write_text(RULES)
    (place / "rollbacks" / "emergency" / "playbook.yaml").write_text(PLAYBOOK)
    (place / "config.yaml").write_text(CONFIG)
    return place / "config.yaml"


def start(*words: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """The command as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "watchdog", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )


def finish(*words: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """The command as a process, to its end."""
    process = start(*words, env=env)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return subprocess.CompletedProcess(words, process.returncode, out, err)
