"""Every target of a guard, looked at together: what the daemon asks at an interval."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from watchdog.discovery.changes import Discovered
from watchdog.discovery.memory import Memory
from watchdog.discovery.releases import DISCOVERED, began_at, how_to_protect, release_of, sentence
from watchdog.discovery.watch import Discoverer, Watch
from watchdog.model.releases import Release
from watchdog.model.time import SECOND, Time
from watchdog.ports.errors import WatchdogError

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sighting:
    """What one look found.

    Attributes:
        release: None when something was only taken back.
        began_at: T-0 at the earliest.
        found: The changes, by the target's name in front.
        said: A sentence for each.
        advice: How the next one gets the protection `full`, a sentence a tool.
    """

    release: Release | None
    began_at: Time
    found: tuple[tuple[str, Discovered], ...]
    said: tuple[str, ...]
    advice: tuple[str, ...]

    def then(self, later: "Sighting") -> "Sighting":
        """This one and what was seen after it, as one."""
        return sighting((*self.found, *later.found))


class Lookout:
    """Looks at every target; one that is away does not hide the others.

    Attributes:
        troubles: Why a target or a place in it could not be read, by `target` or `target: place`.
    """

    def __init__(self, discoverers: Mapping[str, Discoverer], memories: Mapping[str, Memory]) -> None:
        """Both by the target's name; a target without memory forgets at every restart."""
        self.troubles: Mapping[str, str] = {}
        self._memories = memories
        self._watches = {
            name: Watch(discoverer, memories[name].load() if name in memories else None)
            for name, discoverer in discoverers.items()
        }

    @property
    def is_quiet(self) -> bool:
        """Whether every target has been read and nothing is under way: every change is out."""
        readings = [watch.last for watch in self._watches.values()]
        away = self.troubles.keys() & self._watches.keys()
        return not away and all(reading is not None and reading.is_quiet for reading in readings)

    async def look(self) -> Sighting | None:
        """What is new since the last look; None for nothing. Whoever has noted it calls `keep`."""
        found: list[tuple[str, Discovered]] = []
        troubles: dict[str, str] = {}
        for name, watch in self._watches.items():
            try:
                found += [(name, one) for one in await watch.look()]
            except WatchdogError as error:
                troubles[name] = str(error)
            troubles |= {f"{name}: {place}": why for place, why in watch.unread.items()}
        for name in sorted(troubles.keys() - self.troubles.keys()):
            log.warning("releases cannot be discovered here", place=name, error=troubles[name])
        self.troubles = troubles
        return sighting(found) if found else None

    async def keep(self) -> None:
        """Remembers over a restart what was seen. A memory that cannot be written is logged: looking goes on."""
        for name, memory in self._memories.items():
            reading = self._watches[name].last
            if reading is None:
                continue
            try:
                await asyncio.to_thread(memory.keep, reading)
            except OSError as error:
                log.warning("what was seen cannot be kept", target=name, error=error.strerror)


def sighting(found: Sequence[tuple[str, Discovered]]) -> Sighting:
    """What these changes are together; there must be one."""
    changes = [change for _, change in found]
    seconds = max(change.at for change in changes) // SECOND
    release = release_of(changes, f"{DISCOVERED}{datetime.fromtimestamp(seconds, UTC):%Y%m%d-%H%M%S}")
    tools = dict.fromkeys(change.tool for change in changes)
    return Sighting(
        release,
        began_at(changes),
        tuple(found),
        tuple(f"{name}: {sentence(change)}" for name, change in found),
        tuple(dict.fromkeys(map(how_to_protect, tools))),
    )
