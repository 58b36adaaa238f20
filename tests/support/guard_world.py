"""A guard with everything around it made of plain Python, on a clock turned by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from watchdog.journals.memory import MemoryJournal, MemorySamples
from watchdog.model.communication import Audience, Beat, Plan
from watchdog.model.guards import GuardSettings, SchemaErrors
from watchdog.model.playbooks import Autonomy, OnFailure, Playbook, Rung, Step
from watchdog.model.releases import Certificate, Compatibility, Protection, Release, Surroundings
from watchdog.model.rules import RatioRule, RungKind
from watchdog.model.signals import Selector, SignalKind, SignalSpec
from watchdog.model.time import HOUR, MINUTE, SECOND
from watchdog.ports.actions import Action, Applied, StepContext, Verification
from watchdog.ports.errors import NotifyError
from watchdog.ports.leases import FreezeSwitch
from watchdog.ports.notifiers import Inbox, Message
from watchdog.ports.probes import Readings
from watchdog.runtime.daemon import Daemon, DaemonParts, GuardParts
from watchdog.runtime.manual_clock import ManualClock
from watchdog.runtime.observer import WatchedProbe
from watchdog.runtime.sender import Channel

START = 1_700_000_000 * SECOND


@dataclass
class Service:
    """A service of 50 requests a second; `errors` is the share that fails."""

    errors: float = 0.0
    sqlstate: bool = False
    requests: float = 0.0
    failed: float = 0.0
    states: float = 0.0
    down: BaseException | None = None

    async def read(self) -> Readings:
        if self.down is not None:
            raise self.down
        self.requests += 50
        self.failed += 50 * self.errors
        self.states += 50 * self.errors if self.sqlstate else 0
        return {
            "requests": {(): self.requests},
            "errors": {(): self.failed},
            "db_errors": {(("sqlstate", "23502"),): self.states},
        }


@dataclass
class FakeAction:
    step: Step
    world: "World"

    async def execute(self, context: StepContext) -> str:
        self.world.executed.append(context.step_id)
        effect = self.world.effects.get(self.step.name)
        if effect is not None:
            await effect(context)
        return "done"

    async def verify(self, context: StepContext) -> Verification:
        self.world.verified.append(context.step_id)
        return self.world.verification

    async def preview(self, context: StepContext) -> str:
        return "would"


@dataclass
class FakeNotifier:
    sent: list[Message] = field(default_factory=list)
    fail: list[NotifyError] = field(default_factory=list)
    closed: bool = False

    async def send(self, message: Message) -> str:
        if self.fail:
            error = self.fail.pop(0)
            if error.uncertain:
                self.sent.append(message)
            raise error
        self.sent.append(message)
        return f"receipt {len(self.sent)}"

    async def find(self, message: Message) -> str | None:
        found = (f"found {index}" for index, one in enumerate(self.sent) if message.key in {one.key, *one.also})
        return next(found, None)

    async def start(self, inbox: Inbox) -> None:
        self.inbox = inbox

    async def close(self) -> None:
        self.closed = True


class NoLease:
    async def acquire(self) -> None: ...

    async def release(self) -> None: ...


@dataclass
class Switch:
    by: tuple[str, str] | None = None
    thawer: str | None = None

    def frozen(self, guard: str) -> tuple[str, str] | None:
        return self.by

    def freeze(self, guard: str | None, who: str, reason: str) -> None:
        self.by = (who, reason)

    def unfreeze(self, guard: str | None, who: str) -> bool:
        was, self.by, self.thawer = self.by, None, who
        return was is not None

    def thawed_by(self, guard: str, frozen: tuple[str, str]) -> str | None:
        return self.thawer


def ladder(autonomy: Autonomy = Autonomy.ACT) -> Playbook:
    def rung(kind: RungKind, *steps: str, on_failure: OnFailure = OnFailure.CLIMB) -> Rung:
        made = tuple(Step(name, "fake", timeout=20 * SECOND) for name in steps)
        return Rung(kind, made, autonomy=autonomy, on_failure=on_failure)

    return Playbook(
        "emergency",
        "hash",
        (
            rung(RungKind.FLAG, "flag off"),
            rung(RungKind.CODE, "old code"),
            rung(RungKind.DATA, "fence", "undo", "lift", on_failure=OnFailure.STOP),
        ),
    )


def settings(playbook: Playbook | None = None, plan: Plan | None = None) -> GuardSettings:
    return GuardSettings(
        name="shop",
        rules=(
            RatioRule(
                name="error_rate",
                bad=Selector("errors"),
                total=Selector("requests"),
                above=0.05,
                hold=5 * MINUTE,
            ),
        ),
        signals=tuple(
            SignalSpec(name, SignalKind.COUNTER, "api", SECOND) for name in ("requests", "errors", "db_errors")
        ),
        playbook=playbook or ladder(),
        plan=plan
        or Plan(
            beats=(
                Beat("detected", 0, Audience.RESPONDERS, "incidents"),
                Beat("stakeholders", 5 * MINUTE, Audience.STAKEHOLDERS, "incidents"),
                Beat("status page", 15 * MINUTE, Audience.PUBLIC),
                Beat("customers", 30 * MINUTE, Audience.CUSTOMERS, "incidents", impact_over=5 * MINUTE),
                Beat("post-mortem", HOUR, Audience.RESPONDERS, "incidents"),
            ),
            updates="incidents",
        ),
        baseline=20 * SECOND,
        min_baseline=15 * SECOND,
        bake=2 * MINUTE,
        resolve_after=MINUTE,
        evidence=(SchemaErrors("db_errors"),),
    )


def certificate(old_code: Compatibility = Compatibility.COMPATIBLE, *, restored: bool = True) -> Certificate:
    return Certificate(
        id="c1",
        issued_at=START,
        surroundings=Surroundings("18"),
        rollback_hash="hash",
        restored=restored,
        old_code=old_code,
        measured=2 * SECOND,
    )


def release(**changes: object) -> Release:
    values: dict[str, object] = {
        "id": "r1",
        "migrations": ("add_score",),
        "flags": ("new_score",),
        "old_version": "v1",
        "new_version": "v2",
        "protection": Protection.FULL,
        "certificate": certificate(),
    }
    return Release(**{**values, **changes})  # type: ignore[arg-type]


@dataclass
class HandTicker:
    """Calls every job once when it is told to."""

    jobs: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def every(self, name: str, interval: int, call: Callable[[], Awaitable[None]], *, jitter: int = 0) -> None:
        self.jobs.append(call)

    async def run(self) -> None:
        await asyncio.Event().wait()


class World:
    """A daemon with one guard, and hands on everything around it."""

    def __init__(self, guard: GuardSettings | None = None) -> None:
        self.clock = ManualClock(START)
        self.journal = MemoryJournal()
        self.samples = MemorySamples(keep=HOUR)
        self.service = Service()
        self.notifier = FakeNotifier()
        self.switch: FreezeSwitch = Switch()
        self.executed: list[str] = []
        self.verified: list[str] = []
        self.effects: dict[str, Callable[[StepContext], Awaitable[None]]] = {}
        self.verification = Verification(Applied.NO)
        self.settings = guard or settings()
        self.ticker = HandTicker()

    def build(self, step: Step) -> Action:
        return FakeAction(step, self)

    async def vouch(self, release: Release) -> Release:
        return release

    async def seconds(self, count: int) -> None:
        """Lets so many seconds pass, every job once in each."""
        for _ in range(count):
            for job in self.ticker.jobs:
                await job()
            await self.clock.advance(SECOND)

    def daemon(self) -> Daemon:
        self.ticker.jobs.clear()
        probe = WatchedProbe("api", self.service, SECOND, SECOND, ("requests", "errors", "db_errors"))
        return Daemon(
            DaemonParts(
                clock=self.clock,
                ticker=self.ticker,
                holder="test",
                journal=self.journal,
                samples=self.samples,
                lease=NoLease(),
                switch=self.switch,
                guards=(GuardParts(self.settings, (probe,), self.build, self.vouch),),
                channels={"incidents": Channel(self.notifier, "C1")},
                notifiers=(self.notifier,),
            )
        )
