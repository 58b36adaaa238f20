"""`python -m benchmarks.kill.doomed --config …`: `watchdog run` that kills itself at one place, as `kill -9` does.

The place is in `WATCHDOG_KILL`: side, site and number, each on its line. The daemon is the product's; only its journal
is wrapped, and a few methods of its targets and notifiers.
"""

import argparse
import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.kill.points import Kill, site_of
from watchdog.app import daemon
from watchdog.app.compose import compose
from watchdog.config import Configuration, Registries
from watchdog.model.events import Event, Stored
from watchdog.model.time import Time
from watchdog.ports.clock import Clock
from watchdog.ports.journal import Journal
from watchdog.runtime.daemon import DaemonParts

VARIABLE = "WATCHDOG_KILL"


def spell(kill: Kill) -> str:
    """A kill for the environment."""
    return f"{kill.side}\n{kill.site}\n{kill.nth}"


def read(text: str) -> Kill:
    """What `spell` wrote."""
    side, site, nth = text.split("\n")
    return Kill("before" if side == "before" else "after", site, int(nth))


class Doom:
    """Counts what passes, and ends the process at the place."""

    def __init__(self, kill: Kill) -> None:
        self._kill = kill
        self._seen: Counter[str] = Counter()

    def before(self, site: str) -> Callable[[], None]:
        """Something is about to happen; returns what to call when it has."""
        self._seen[site] += 1
        here = (site, self._seen[site]) == (self._kill.site, self._kill.nth)
        if here and self._kill.side == "before":
            _die()

        def after() -> None:
            if here:
                _die()

        return after


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DoomedJournal:
    """A journal whose holder dies before or after an append."""

    def __init__(self, inner: Journal, doom: Doom) -> None:
        self._inner = inner
        self._doom = doom

    async def claim(self, stream: str) -> int:
        """See `Journal.claim`."""
        after = self._doom.before("claim")
        epoch = await self._inner.claim(stream)
        after()
        return epoch

    async def streams(self) -> tuple[str, ...]:
        """See `Journal.streams`."""
        return await self._inner.streams()

    async def read(self, stream: str, after: int = 0, limit: int | None = None) -> Sequence[Stored]:
        """See `Journal.read`."""
        return await self._inner.read(stream, after, limit)

    async def append(self, stream: str, after: int, events: Sequence[Event], *, epoch: int, at: Time) -> int:
        """See `Journal.append`."""
        done = self._doom.before(site_of(events[0]))
        last = await self._inner.append(stream, after, events, epoch=epoch, at=at)
        done()
        return last

    async def close(self) -> None:
        """See `Journal.close`."""
        await self._inner.close()


def _doomed_call(doom: Doom, site: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*given: Any, **named: Any) -> Any:
        done = doom.before(site)
        result = call(*given, **named)
        if asyncio.iscoroutine(result):
            return _ended(result, done)
        done()
        return result

    return wrapped


async def _ended(work: Awaitable[Any], done: Callable[[], None]) -> Any:
    result = await work
    done()
    return result


def doomed(parts: DaemonParts, kill: Kill) -> DaemonParts:
    """The parts of a daemon that will die there."""
    doom = Doom(kill)
    owners: dict[str, Any] = {target.name: target for target in parts.targets}
    owners["slack"] = next(iter(parts.notifiers), None)
    owner, _, method = kill.site.partition(".")
    if method:
        setattr(owners[owner], method, _doomed_call(doom, kill.site, getattr(owners[owner], method)))
    return replace(parts, journal=DoomedJournal(parts.journal, doom))


def main() -> None:
    """Runs the daemon until it dies."""
    parser = argparse.ArgumentParser(prog="benchmarks.kill.doomed")
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    kill = read(os.environ[VARIABLE])

    async def compose_doomed(configuration: Configuration, kinds: Registries, clock: Clock) -> DaemonParts:
        return doomed(await compose(configuration, kinds, clock), kill)

    daemon.compose = compose_doomed
    asyncio.run(daemon.run(arguments.config))


if __name__ == "__main__":
    main()
