"""A service that runs as a plain process on this machine, known by its pid file."""

import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.model.time import MILLISECOND, SECOND, in_seconds
from watchdog.ports.actions import StepContext
from watchdog.ports.errors import FencedError, TargetError
from watchdog.ports.kinds import Duration, Secret, TargetKind
from watchdog.targets import detach

VERSION_VARIABLE = "WATCHDOG_SERVICE_VERSION"
"""Set in the environment of what we start, and read back to tell which version runs."""

_STOP_TIMEOUT = Duration(10 * SECOND)
_READY_TIMEOUT = Duration(30 * SECOND)
_POLL = 50 * MILLISECOND
_LOCK_TRIES = 100
# Not the whole environment: it holds the daemon's secrets.
_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")


@dataclass(frozen=True, kw_only=True)
class ProcessOptions:
    """How a service is started and known.

    Attributes:
        versions: The command of each version, as a list of arguments; no shell reads it.
        cwd: Where it runs; empty for the daemon's own directory.
        env: What it gets beside PATH, HOME, USER, language and time zone; nothing else of the daemon's environment.
        pid_file: Holds the number of the running process; other tools that start the service write it too.
        log: Its output is added here; empty for nowhere.
        ready_url: Answers with status 200 when the service works.
        stop_timeout: How long it may take to end by itself before it is killed.
        ready_timeout: How long it may take to become ready.
    """

    versions: Mapping[str, tuple[str, ...]]
    cwd: str = ""
    env: Mapping[str, Secret] = field(default_factory=dict)
    pid_file: str
    log: str = ""
    ready_url: str
    stop_timeout: Duration = _STOP_TIMEOUT
    ready_timeout: Duration = _READY_TIMEOUT


@dataclass(frozen=True)
class Running:
    """A process and what tells it from a later one with the same number.

    Attributes:
        version: One of the configured versions, or empty when it is none that we know.
    """

    pid: int
    started: int
    version: str

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return _started(self.pid) == self.started


class ProcessTarget:
    """The service. Reads `/proc`, so Linux only."""

    kind = "process"

    def __init__(self, name: str, options: ProcessOptions) -> None:
        self.name = name
        self.options = options
        self._pid_file = Path(options.pid_file)
        self._log = str(Path(options.log).absolute()) if options.log else ""

    @property
    def place(self) -> str:
        """The target's name and pid file as errors show them."""
        return f"{self.name} ({self._pid_file})"

    def running(self) -> Running | None:
        """The process that the pid file names, if it lives.

        Raises:
            TargetError: The file holds something else than a number, or cannot be read; retryable when it is empty,
                because somebody may be just writing it.
        """
        try:
            text = self._pid_file.read_text().strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TargetError(f"{self.place}: the pid file cannot be read: {error.strerror}.") from None
        if not text.isdecimal():
            problem = "the pid file holds no process number; remove it if nothing runs."
            raise TargetError(f"{self.place}: {problem}", retryable=not text)
        started = _started(int(text))
        return None if started is None else Running(int(text), started, self._version_of(int(text)))

    async def start(self, version: str) -> None:
        """Starts a version, detached: it lives on when the daemon ends.

        Raises:
            TargetError: No such version, or it cannot be started.
        """
        spec: detach.Spec = {
            "argv": list(self.command(version)),
            "cwd": self.options.cwd,
            "env": {
                **{name: os.environ[name] for name in _INHERITED if name in os.environ},
                **{name: value.reveal() for name, value in self.options.env.items()},
                VERSION_VARIABLE: version,
            },
            "pid_file": str(self._pid_file.absolute()),
            "log": self._log,
        }
        starter = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            detach.__file__,
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
        )
        talk = asyncio.ensure_future(starter.communicate(json.dumps(spec).encode()))
        try:
            _, problem = await asyncio.shield(talk)
        except asyncio.CancelledError:
            await talk  # it takes milliseconds, and verification must not look while it is under way
            raise
        if starter.returncode != 0:
            raise TargetError(f"{self.place}: version {version} does not start: {problem.decode().strip()[-500:]}.")

    def command(self, version: str) -> tuple[str, ...]:
        """The arguments of a version.

        Raises:
            TargetError: There is no such version.
        """
        try:
            return self.options.versions[version]
        except KeyError:
            known = ", ".join(self.options.versions)
            raise TargetError(f"{self.place}: there is no version {version!r}, only {known}.") from None

    def send_term(self, running: Running) -> None:
        """Asks exactly this process to end, never a later one with its number; raises TargetError if we may not."""
        self._send(running, signal.SIGTERM, group=False)

    def send_kill(self, running: Running) -> None:
        """Kills this process, and its group when it leads one; raises TargetError if we may not."""
        self._send(running, signal.SIGKILL, group=True)

    def _send(self, running: Running, number: signal.Signals, *, group: bool) -> None:
        with suppress(ProcessLookupError):
            # The descriptor keeps meaning this process, so look after opening it and signal through it.
            descriptor = os.pidfd_open(running.pid)
            try:
                if not running.alive:
                    return
                if group and os.getpgid(running.pid) == running.pid:
                    os.killpg(running.pid, number)
                else:
                    signal.pidfd_send_signal(descriptor, number)
            except PermissionError:
                raise TargetError(
                    f"{self.place}: process {running.pid} belongs to somebody else; run the daemon as its user."
                ) from None
            finally:
                os.close(descriptor)

    @asynccontextmanager
    async def fenced(self, context: StepContext) -> AsyncIterator[None]:
        """Holds the service's fence: a locked file beside the pid file; another has each guard's highest epoch.

        Raises:
            FencedError: Somebody with a higher epoch acts.
            TargetError: Another process holds it, or it cannot be written.
        """
        epochs_file = self._pid_file.with_name(f"{self._pid_file.name}.fence")
        try:
            descriptor = os.open(f"{self._pid_file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise TargetError(f"{self.place}: its lock cannot be opened: {error.strerror}.") from None
        try:
            await self._lock(descriptor, context)
            epochs = json.loads(epochs_file.read_text()) if epochs_file.exists() else {}
            held = int(epochs.get(context.guard, 0))
            if held > context.epoch:
                raise FencedError(
                    f"Guard {context.guard} is held with epoch {held} now, ours is {context.epoch}; nothing was done."
                )
            detach.write_atomically(epochs_file, json.dumps(epochs | {context.guard: context.epoch}))
            yield
        finally:
            os.close(descriptor)

    async def _lock(self, descriptor: int, context: StepContext) -> None:
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await context.clock.sleep(_POLL)
            else:
                return
        waited = in_seconds(_LOCK_TRIES * _POLL)
        raise TargetError(f"{self.place}: another process has acted on it for {waited:g} s.", retryable=True)

    async def close(self) -> None:
        """Holds nothing open."""

    def _version_of(self, pid: int) -> str:
        """By the mark that we leave in the environment, else by the command line."""
        with suppress(OSError):
            prefix = f"{VERSION_VARIABLE}=".encode()
            for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                if variable.startswith(prefix):
                    version = variable.removeprefix(prefix).decode(errors="replace")
                    return version if version in self.options.versions else ""
        with suppress(OSError):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
            for version, command in self.options.versions.items():
                # A script's interpreter stands in front of its own command.
                if arguments[-len(command) :] == [part.encode() for part in command]:
                    return version
        return ""


def _started(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(fields[18])


KIND: TargetKind[ProcessOptions] = TargetKind("process", ProcessOptions, ProcessTarget)
