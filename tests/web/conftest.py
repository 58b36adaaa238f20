import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from watchdog.journals.memory import MemoryJournal, MemorySamples
from watchdog.model.communication import Audience, Beat, Plan
from watchdog.model.events import Event, Stored
from watchdog.model.guards import GuardSettings
from watchdog.model.playbooks import Autonomy, Playbook, Rung, Step
from watchdog.model.releases import Release
from watchdog.model.rules import CountRule, RatioRule, RungKind
from watchdog.model.signals import Selector, SignalKind, SignalSpec
from watchdog.model.time import HOUR, MINUTE, SECOND, Time
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import JournalFullError, ProbeError
from watchdog.ports.notifiers import Inbox, Message
from watchdog.ports.probes import Readings
from watchdog.runtime.daemon import Daemon, DaemonParts, GuardParts
from watchdog.runtime.manual_clock import ManualClock
from watchdog.runtime.observer import WatchedProbe
from watchdog.runtime.sender import Channel
from watchdog.web.server import Serving, serve

START = 1_736_328_600 * SECOND + 250_000_000
START_ISO = "2025-01-08T09:30:00.250Z"


@dataclass
class Shop:
    """Fifty requests a second; `errors` is the share that fails."""

    errors: float = 0.0
    down: ProbeError | None = None
    requests: float = 0.0
    failed: float = 0.0

    async def read(self) -> Readings:
        if self.down is not None:
            raise self.down
        self.requests += 50
        self.failed += 50 * self.errors
        return {"requests": {(): self.requests}, "errors": {(): self.failed}}


class Fix:
    """A step that ends the errors."""

    def __init__(self, site: "Site") -> None:
        self.site = site

    async def execute(self, _context: StepContext) -> str:
        await self.site.may_act.wait()
        self.site.shop.errors = 0.0
        return "switched 1 flag off"

    async def verify(self, _context: StepContext) -> Verification:
        return Verification(Applied.NO)

    async def preview(self, _context: StepContext) -> str:
        return "would switch 1 flag off"


class Quiet:
    """A notifier that takes everything."""

    async def send(self, _message: Message) -> str:
        return "taken"

    async def find(self, _message: Message) -> str | None:
        return None

    async def start(self, _inbox: Inbox) -> None: ...

    async def close(self) -> None: ...


class NoLease:
    async def acquire(self) -> None: ...

    async def release(self) -> None: ...


class NoSwitch:
    def frozen(self, _guard: str) -> tuple[str, str] | None:
        return None

    def freeze(self, guard: str | None, who: str, reason: str) -> None: ...

    def unfreeze(self, _guard: str | None, who: str) -> bool:
        return False

    def thawed_by(self, guard: str, frozen: tuple[str, str]) -> str | None:
        return None


@dataclass
class ByHand:
    """A ticker that calls every job when it is told to."""

    jobs: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def every(self, _name: str, _interval: int, call: Callable[[], Awaitable[None]], *, jitter: int = 0) -> None:
        self.jobs.append(call)

    async def run(self) -> None:
        await asyncio.Event().wait()


class FullJournal(MemoryJournal):
    """A journal that has no room when a test says so."""

    full = False

    async def append(self, stream: str, after: int, events: Sequence[Event], *, epoch: int, at: Time) -> int:
        if self.full:
            raise JournalFullError("no room for another event: free some on the journal's disk")
        return await super().append(stream, after, events, epoch=epoch, at=at)

    def stored(self, stream: str) -> list[Stored]:
        return list(self._events.get(stream, ()))


def settings() -> GuardSettings:
    fix = Rung(RungKind.FLAG, (Step("switch off", "fix"),), autonomy=Autonomy.ACT, settle=0)
    undo = Rung(RungKind.DATA, (Step("undo", "fix"),), autonomy=Autonomy.PROPOSE)
    return GuardSettings(
        name="shop",
        rules=(
            RatioRule(
                name="error_rate",
                bad=Selector("errors"),
                total=Selector("requests"),
                above=0.05,
                hold=5 * MINUTE,
                help="Five percent of requests fail",
            ),
            CountRule(name="lost_connections", of=Selector("lost"), above=10),
        ),
        signals=tuple(SignalSpec(name, SignalKind.COUNTER, "api", SECOND) for name in ("requests", "errors", "lost")),
        playbook=Playbook("emergency", "hash", (fix, undo)),
        plan=Plan(
            beats=(
                Beat("detected", 0, Audience.RESPONDERS, "incidents"),
                Beat("status page", 0, Audience.PUBLIC),
                Beat("stakeholders", 5 * MINUTE, Audience.STAKEHOLDERS, "incidents"),
            ),
            updates="incidents",
        ),
        baseline=20 * SECOND,
        min_baseline=15 * SECOND,
        bake=2 * MINUTE,
        resolve_after=MINUTE,
    )


class Site:
    """A real daemon over plain Python, on a clock turned by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.journal = FullJournal()
        self.shop = Shop()
        self.ticker = ByHand()
        self.may_act = asyncio.Event()
        self.may_act.set()
        probe = WatchedProbe("api", self.shop, SECOND, SECOND, ("requests", "errors"))
        self.daemon = Daemon(
            DaemonParts(
                clock=self.clock,
                ticker=self.ticker,
                holder="test",
                journal=self.journal,
                samples=MemorySamples(keep=HOUR),
                lease=NoLease(),
                switch=NoSwitch(),
                guards=(GuardParts(settings(), (probe,), lambda _step: Fix(self), unchanged),),
                channels={"incidents": Channel(Quiet(), "C1")},
            )
        )

    async def seconds(self, count: int) -> None:
        """Lets so many seconds pass, every job once in each."""
        for _ in range(count):
            for job in self.ticker.jobs:
                await job()
            await self.clock.advance(SECOND)


@asynccontextmanager
async def watching() -> AsyncIterator[Site]:
    site = Site()
    await site.daemon.start()
    try:
        yield site
    finally:
        site.may_act.set()
        await site.daemon.stop()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with watching() as running:
        yield running


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """In a directory with a short name: a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="wd-") as directory:
        yield Path(directory) / "state" / "watchdog.sock"


@pytest.fixture
async def serving(site: Site, socket_path: Path) -> AsyncIterator[Serving]:
    async with serve(site.daemon, socket_path, ("127.0.0.1", 0)) as running:
        yield running


@pytest.fixture
async def api(serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(uds=str(serving.socket))
    headers = {"X-Watchdog-Who": "ana@desk"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://watchdog", trust_env=False, headers=headers
    ) as client:
        yield client


@pytest.fixture
async def tcp(serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    assert serving.metrics is not None
    host, port = serving.metrics
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as client:
        yield client


async def unchanged(release: Release) -> Release:
    return release
