"""A server as a child process that dies with us, and only with us."""

import asyncio
import contextlib
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from watchdog.servers import launcher
from watchdog.servers.errors import ServerError

HOST = "127.0.0.1"
POLL = 0.02  # seconds between two looks at a process that is starting or ending
_TAIL = 15  # lines of a log in an error


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine that a server runs as."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account:
    """An existing ordinary account, for root to run servers that refuse to run as root."""
    for name in ("nobody", "daemon"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise ServerError(
        "PostgreSQL does not run as root and this machine has no account 'nobody' or 'daemon' to run it as; "
        "run as an ordinary user."
    )


def account_of(uid: int) -> Account:
    """The account with this number, for data that somebody owns already."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError as error:
        raise ServerError(f"No account on this machine has the number {uid}, which owns the data.") from error
    return Account(entry.pw_name, uid, entry.pw_gid)


def free_port() -> int:
    """A TCP port on the loopback address on which nobody listens now.

    It lies below the range that Linux takes for outgoing connections, so that nobody's connection occupies it
    before the server listens, or between a stop and a restart.
    """
    for _ in range(100):
        port = 15_000 + secrets.randbelow(17_000)
        if is_free(port):
            return port
    raise ServerError(f"Found no free port on {HOST} between 15000 and 32000; pass one.")


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        # As servers do it: connections of an earlier server that are still fading away do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


class Process:
    """A running child: in its own session, so that Ctrl-C reaches only us, and signalled when we die.

    The kernel sends that signal when the *thread* that started the child ends, so start servers from the main
    thread, or from one that lives as long as they should. It is not tied to an event loop: any loop may await it.
    """

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path, log_start: int) -> None:
        """Use `start`."""
        self.name = name
        self.pid = popen.pid
        self.log = log
        self._popen = popen
        self._log_start = log_start
        self._family: frozenset[int] = frozenset()

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        account: Account | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> Self:
        """Start `command` (its first part an absolute path), with its output appended to `log`.

        It sees `env` and a small fixed environment, not ours, which may hold secrets and settings of others.
        """
        who = f"{account.uid}:{account.gid}" if account and account.uid != os.geteuid() else "-"
        ours = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), str(int(death_signal)), who]
        fixed = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        with log.open("ab") as output:
            log_start = output.tell()
            popen = subprocess.Popen(  # noqa: S603 - no shell; commands come from this package
                [*ours, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd or "/",
                env=fixed | dict(env or {}),
                start_new_session=True,
            )
        return cls(name, popen, log, log_start)

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        return self._popen.poll()

    async def ready(self, answers: Callable[[], Awaitable[bool]], within: float) -> None:
        """Ask `answers` until it says yes; else kill the process and raise ServerError after `within` seconds."""
        try:
            await self._ready(answers, within)
        except BaseException:
            self.kill()
            raise

    async def wait(self, timeout: float) -> int:  # noqa: ASYNC109 - Popen.wait takes it; no loop is needed to cancel it
        """Wait until it ended, at most `timeout` seconds; raises TimeoutError."""
        try:
            return await asyncio.to_thread(self._popen.wait, timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{self.name} (process {self.pid}) still runs after {timeout:g} s") from error

    async def stop(self, sign: signal.Signals = signal.SIGTERM, grace: float = 20) -> None:
        """Ask it to end by `sign`, and kill it and its children after `grace` seconds. Idempotent."""
        if self.returncode is None:
            self._popen.send_signal(sign)
            try:
                await self.wait(grace)
            except TimeoutError:
                self.kill()
        await self.gone()

    def kill(self) -> None:
        """SIGKILL to it and everything below it, at once. Idempotent; returns when it is dead itself."""
        if self.returncode is not None:
            return
        # Stopped first, so that it starts nothing while we look at its children. PostgreSQL's children have
        # sessions of their own: a signal to the process group would miss them.
        self._popen.send_signal(signal.SIGSTOP)
        self._family = descendants(self.pid)
        for pid in (self.pid, *self._family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._popen.wait()

    async def gone(self, within: float = 10) -> None:
        """Wait until what `kill` ended is gone too; raises ServerError after `within` seconds."""
        deadline = asyncio.get_running_loop().time() + within
        while alive := [pid for pid in self._family if is_alive(pid)]:
            if asyncio.get_running_loop().time() > deadline:
                raise ServerError(f"{self.name}: processes {alive} do not end; end them by hand.")
            await asyncio.sleep(POLL)
        self._family = frozenset()

    def output(self) -> str:
        """What it wrote to its log since this start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def failed(self, what: str) -> ServerError:
        """The error that says `what` went wrong and how the log ends."""
        lines = self.output().splitlines()[-_TAIL:]
        return ServerError("\n".join((f"{self.name}: {what}. Its log ({self.log}) ends with:", *lines)))

    async def _ready(self, answers: Callable[[], Awaitable[bool]], within: float) -> None:
        try:
            async with asyncio.timeout(within):
                while not await answers():
                    if self.returncode is not None:
                        raise self.failed(f"ended with status {self.returncode}")
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            raise self.failed(f"was not ready in {within:g} s") from error


def descendants(pid: int) -> frozenset[int]:
    """All processes below `pid`, without itself."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return frozenset(found)


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie, which holds nothing and only waits to be collected."""
    fields = _stat(pid)
    return fields is not None and fields[0] not in "ZX"


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on (state, parent, …), or None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
