"""`python -m benchmarks.kill.doomed --config …`: `watchdog run` that kills itself at one place, as `kill -9` does.

Or stops there until somebody else has been killed.

The place is in `WATCHDOG_KILL`: side, site, number and victim, each on its line. The daemon is the product's; only a
few methods of its journal, targets and notifiers are wrapped.
"""

import argparse
import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

from benchmarks.kill.points import Kill, Victim, site_of
from watchdog.app import daemon
from watchdog.app.compose import compose
from watchdog.config import Configuration, Registries
from watchdog.model.events import Event
from watchdog.ports.clock import Clock
from watchdog.runtime.daemon import DaemonParts

VARIABLE = "WATCHDOG_KILL"


def spell(kill: Kill) -> str:
    """A kill for the environment."""
    return f"{kill.side}\n{kill.site}\n{kill.nth}\n{kill.victim}"


def read(text: str) -> Kill:
    """What `spell` wrote."""
    side, site, nth, victim = text.split("\n")
    return Kill("before" if side == "before" else "after", site, int(nth), cast("Victim", victim))


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
            self._now()

        def after() -> None:
            if here and self._kill.side == "after":
                self._now()

        return after

    def _now(self) -> None:
        """Dies, or keeps still until a server has been killed."""
        os.kill(os.getpid(), signal.SIGKILL if self._kill.victim == "daemon" else signal.SIGSTOP)


def _wrapped(doom: Doom, site: Callable[..., str], call: Callable[..., Any]) -> Callable[..., Any]:
    """A method that counts its calls by the site that its arguments say."""

    def wrapped(*given: Any, **named: Any) -> Any:
        done = doom.before(site(*given))
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


def _lead(_stream: str, _after: int, events: Sequence[Event]) -> str:
    return site_of(events[0])


def doom(parts: DaemonParts, kill: Kill) -> None:
    """Makes a daemon die there: methods of its journal, targets and notifiers are wrapped, one object each."""
    counting = Doom(kill)
    wrap: list[tuple[Any, str, Callable[..., str]]] = [
        (parts.journal, "claim", lambda _stream: "claim"),
        (parts.journal, "append", _lead),
    ]
    owners: dict[str, Any] = {target.name: target for target in parts.targets}
    owners["slack"] = next(iter(parts.notifiers), None)
    owner, _, method = kill.site.partition(".")
    if method:
        wrap.append((owners[owner], method, lambda *_given: kill.site))
    for one, name, site in wrap:
        setattr(one, name, _wrapped(counting, site, getattr(one, name)))


def main() -> None:
    """Runs the daemon until it dies."""
    parser = argparse.ArgumentParser(prog="benchmarks.kill.doomed")
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    kill = read(os.environ[VARIABLE])

    async def compose_doomed(configuration: Configuration, kinds: Registries, clock: Clock) -> DaemonParts:
        parts = await compose(configuration, kinds, clock)
        doom(parts, kill)
        return parts

    daemon.compose = compose_doomed  # type: ignore[attr-defined] # the one seam: all else is the product's
    asyncio.run(daemon.run(arguments.config))


if __name__ == "__main__":
    main()
