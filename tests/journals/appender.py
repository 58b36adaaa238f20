"""Appends batches of three events to the stream "api" and prints the last number of each once it is acknowledged.

Started by the tests as a process of its own, to be killed or to race with others:
    appender.py PATH EPOCH NAME BATCHES [KILL_AT]
EPOCH 0 claims the stream. With KILL_AT it kills itself just before SQLite runs that statement.
"""

import asyncio
import itertools
import os
import signal
import sys
from pathlib import Path

from watchdog.journals.sqlite import SqliteJournal
from watchdog.model.events import Acknowledged, Event
from watchdog.ports.errors import JournalConflictError, WatchdogError


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def arm(journal: SqliteJournal, kill_at: int) -> None:
    statements = itertools.count(1)

    def trace(_statement: str) -> None:
        if next(statements) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    await journal._database.run(lambda connection: connection.set_trace_callback(trace))


async def run(path: Path, epoch: int, name: str, batches: int, kill_at: int) -> None:
    journal = await SqliteJournal.open(path)
    say("ready")
    sys.stdin.readline()
    if kill_at:
        await arm(journal, kill_at)
    epoch = epoch or await journal.claim("api")
    last, done = 0, 0
    while done < batches:
        events: list[Event] = [Acknowledged(f"{name} {done}", str(part)) for part in range(3)]
        try:
            last = await journal.append("api", last, events, epoch=epoch, at=done)
        except JournalConflictError:
            stored = await journal.read("api", last)
            last = stored[-1].seq if stored else last
            continue
        except WatchdogError as error:
            say(type(error).__name__)
            break
        done += 1
        say(str(last))
    await journal.close()


if __name__ == "__main__":
    place, held, who, count, *point = sys.argv[1:]
    asyncio.run(run(Path(place), int(held), who, int(count), int(point[0]) if point else 0))
