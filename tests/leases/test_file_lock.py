import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from watchdog.leases.file_lock import FileLease
from watchdog.model.time import Span, Time
from watchdog.ports.errors import JournalError, JournalHeldError

HOLDER = Path(__file__).with_name("holder.py")

Holder = Callable[[], "subprocess.Popen[str]"]


class StoppedClock:
    def now(self) -> Time:
        return 1_767_225_600_000_000_000

    def wall_offset(self) -> Span:
        return 0

    async def sleep(self, length: Span) -> None:
        raise NotImplementedError


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def lease(journal: Path) -> Iterator[FileLease]:
    lease = FileLease(journal, StoppedClock())
    yield lease
    if lease._file is not None:
        os.close(lease._file)


@pytest.fixture
def holder(journal: Path) -> Iterator[Holder]:
    """Another process that asks for the lease."""
    with ExitStack() as stack:

        def started() -> "subprocess.Popen[str]":
            command = [sys.executable, str(HOLDER), str(journal)]
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            return process

        yield started


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def bystander() -> "subprocess.Popen[bytes]":
    """Another process, which lives until it is left."""
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def lock_file(journal: Path) -> Path:
    return journal.with_name("journal.db.lock")


async def test_the_lock_file_says_who_holds_it_since_when(lease: FileLease, journal: Path) -> None:
    await lease.acquire()

    assert json.loads(lock_file(journal).read_text()) == {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": "2026-01-01T00:00:00+00:00",
    }
    assert stat.S_IMODE(lock_file(journal).stat().st_mode) == 0o600


async def test_a_lease_that_another_process_holds_is_refused_with_its_name_and_the_way_out(
    lease: FileLease, journal: Path, holder: Holder
) -> None:
    process = holder()
    assert said(process) == "held"

    with pytest.raises(JournalHeldError) as refused:
        await lease.acquire()

    message = str(refused.value)
    assert f"{journal} is held by process {process.pid} on {socket.gethostname()} since 2026-01-01" in message
    assert str(lock_file(journal)) in message
    assert "`watchdog status`" in message


async def test_another_process_is_refused_while_we_hold_it_and_not_afterwards(lease: FileLease, holder: Holder) -> None:
    await lease.acquire()
    assert f"held by process {os.getpid()} " in said(holder())

    await lease.release()

    assert said(holder()) == "held"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_the_kernel_releases_the_lease_of_a_process_that_died(
    lease: FileLease, journal: Path, holder: Holder, end: signal.Signals
) -> None:
    process = holder()
    assert said(process) == "held"
    process.send_signal(end)
    process.wait(timeout=30)

    await lease.acquire()

    assert json.loads(lock_file(journal).read_text())["pid"] == os.getpid()


async def test_two_leases_in_one_process_exclude_each_other(lease: FileLease, journal: Path) -> None:
    other = FileLease(journal, StoppedClock())
    await other.acquire()

    with pytest.raises(JournalHeldError):
        await lease.acquire()

    await other.release()
    await lease.acquire()


async def test_asking_twice_and_letting_go_twice_does_no_harm(lease: FileLease, holder: Holder) -> None:
    await lease.acquire()
    await lease.acquire()
    assert said(holder()).startswith("refused")
    await lease.release()
    await lease.release()

    assert said(holder()) == "held"


async def test_a_process_that_we_start_does_not_inherit_the_lease(lease: FileLease, holder: Holder) -> None:
    await lease.acquire()
    with bystander():
        await lease.release()

        assert said(holder()) == "held"


async def test_a_holder_that_has_not_said_who_it_is_still_holds(
    lease: FileLease, journal: Path, holder: Holder
) -> None:
    assert said(holder()) == "held"
    lock_file(journal).write_text("half a li")

    with pytest.raises(JournalHeldError, match="held by another process"):
        await lease.acquire()


async def test_a_long_name_of_an_earlier_holder_leaves_nothing_behind(lease: FileLease, journal: Path) -> None:
    lock_file(journal).parent.mkdir()
    lock_file(journal).write_text("x" * 9_000)

    await lease.acquire()

    assert json.loads(lock_file(journal).read_text())["pid"] == os.getpid()


async def test_a_lock_file_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(JournalError, match=r"The lock file .*journal\.db\.lock cannot be opened"):
        await FileLease(tmp_path / "file" / "journal.db", StoppedClock()).acquire()
