"""Takes the lease on a journal, says so, and keeps it until its input ends: `holder.py JOURNAL`."""

import asyncio
import sys
from pathlib import Path

from watchdog.leases.file_lock import FileLease
from watchdog.model.time import Span, Time
from watchdog.ports.errors import JournalHeldError


class StoppedClock:
    """Always the same moment."""

    def now(self) -> Time:
        return 1_767_225_600_000_000_000

    def wall_offset(self) -> Span:
        return 0

    async def sleep(self, length: Span) -> None:
        raise NotImplementedError


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def hold(journal: Path) -> None:
    try:
        await FileLease(journal, StoppedClock()).acquire()
    except JournalHeldError as error:
        say(f"refused: {error}")
        return
    say("held")
    sys.stdin.readline()


if __name__ == "__main__":
    asyncio.run(hold(Path(sys.argv[1])))
