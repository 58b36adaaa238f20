"""The journal under processes that die and processes that race."""

import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from watchdog.journals.sqlite import SqliteJournal
from watchdog.model.events import Acknowledged

APPENDER = Path(__file__).with_name("appender.py")
SEEDS = random.Random(20)
ACKNOWLEDGED = sorted(SEEDS.sample(range(60), 5))
# A batch is BEGIN, epoch, last, three inserts, COMMIT: these points fall before and after each kind of statement.
STATEMENTS = sorted(SEEDS.sample(range(1, 40), 8))

MANY = 5_000
"""Batches: more than are written before a process is stopped, and few enough to end when nothing stops it."""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an appender and waits until its journal is open; it appends once it is sent a line."""
    with ExitStack() as stack:

        def started(*arguments: object, limit: int | None = None) -> "subprocess.Popen[str]":
            command = [sys.executable, str(APPENDER), str(tmp_path / "journal.db"), *map(str, arguments)]
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            assert line(process) == "ready"
            if limit is not None:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
            return process

        yield started


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def rest(process: "subprocess.Popen[str]") -> list[str]:
    """What it printed until it ended, whole lines only."""
    assert process.stdout is not None
    lines = [text.strip() for text in process.stdout if text.endswith("\n")]
    process.wait(timeout=30)
    return lines


async def batches(path: Path) -> list[str]:
    """The names of the batches in the journal, after checking that each is whole and that no number is missing."""
    journal = await SqliteJournal.open(path)
    stored = await journal.read("api")
    if stored:
        # It goes on from where it was.
        epoch = await journal.claim("api")
        assert (
            await journal.append("api", stored[-1].seq, [Acknowledged("later")], epoch=epoch, at=0) == len(stored) + 1
        )
    await journal.close()
    assert [event.seq for event in stored] == list(range(1, len(stored) + 1))
    bodies = [event.body for event in stored]
    acknowledged = [body for body in bodies if isinstance(body, Acknowledged)]
    assert len(acknowledged) == len(bodies)
    assert [body.via for body in acknowledged] == ["0", "1", "2"] * (len(bodies) // 3)
    names = [body.who for body in acknowledged]
    assert names[0::3] == names[1::3] == names[2::3]
    return names[0::3]


@pytest.mark.parametrize("enough", ACKNOWLEDGED)
async def test_what_was_acknowledged_outlives_a_kill_from_outside(start: Start, tmp_path: Path, enough: int) -> None:
    process = start(0, "victim", MANY)
    go(process)
    acknowledged = [line(process) for _ in range(enough)]

    process.send_signal(signal.SIGKILL)
    acknowledged += rest(process)

    assert process.returncode == -signal.SIGKILL
    assert acknowledged == [str(3 * number) for number in range(1, len(acknowledged) + 1)]
    names = await batches(tmp_path / "journal.db")
    # One more may be there: written, and killed before it could say so.
    assert len(names) - len(acknowledged) in {0, 1}
    assert names == [f"victim {number}" for number in range(len(names))]


@pytest.mark.parametrize("point", STATEMENTS)
async def test_what_was_acknowledged_outlives_a_kill_at_any_statement(start: Start, tmp_path: Path, point: int) -> None:
    process = start(0, "victim", MANY, point)
    go(process)

    acknowledged = rest(process)

    assert process.returncode == -signal.SIGKILL
    names = await batches(tmp_path / "journal.db")
    assert len(names) == len(acknowledged)  # The next statement comes after the acknowledgement.
    assert names == [f"victim {number}" for number in range(len(names))]


async def test_two_processes_that_race_never_share_a_number(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = await SqliteJournal.open(path)
    epoch = await journal.claim("api")
    await journal.close()
    racers = [start(epoch, name, 40) for name in ("hare", "tortoise")]

    for racer in racers:
        go(racer)
    acknowledged = [rest(racer) for racer in racers]

    assert [racer.returncode for racer in racers] == [0, 0]
    numbers = sorted(int(number) for numbers in acknowledged for number in numbers)
    assert numbers == [3 * number for number in range(1, 81)]
    names = await batches(path)
    assert sorted(names) == sorted(f"{name} {number}" for name in ("hare", "tortoise") for number in range(40))


async def test_a_process_that_lost_its_claim_stops_where_it_was(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    process = start(0, "stale", MANY)
    go(process)
    assert line(process) == "3"

    journal = await SqliteJournal.open(path)
    epoch = await journal.claim("api")
    after = await journal.read("api")
    lines = rest(process)

    assert lines[-1] == "FencedError"
    assert [event.seq for event in await journal.read("api")] == [event.seq for event in after]
    assert await journal.append("api", len(after), [Acknowledged("new")], epoch=epoch, at=0) == len(after) + 1
    await journal.close()


async def test_a_limit_on_the_size_of_files_loses_nothing_acknowledged(start: Start, tmp_path: Path) -> None:
    process = start(0, "victim", MANY, limit=200_000)
    go(process)

    lines = rest(process)

    assert process.returncode == 0
    assert lines.pop() in {"JournalError", "JournalFullError"}
    assert len(lines) > 5
    names = await batches(tmp_path / "journal.db")
    assert names == [f"victim {number}" for number in range(len(lines))]
