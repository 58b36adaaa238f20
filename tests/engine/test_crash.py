"""A daemon that dies at any point, and whoever takes over, end where an undisturbed one ends."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from tests.engine.climb import RELEASE, SETTINGS, T0, Climb
from watchdog.engine.assess import assess
from watchdog.engine.due import due
from watchdog.engine.windows import Windows, empty, observe_all
from watchdog.model import inputs
from watchdog.model.commands import Cancel, Execute, Reconcile, Send, Verify
from watchdog.model.communication import NoticeOutcome
from watchdog.model.guards import RunOutcome, RunPhase, SchemaErrors
from watchdog.model.releases import Compatibility, Protection, ReleaseState
from watchdog.model.signals import Sample, SignalId, SignalKind, SignalSpec
from watchdog.model.time import MINUTE, SECOND, Span

CODE = (("sqlstate", "42703"),)
NAMES: dict[str, SignalKind] = {"total": SignalKind.COUNTER, "bad": SignalKind.COUNTER, "db_errors": SignalKind.COUNTER}
WORLD = replace(
    SETTINGS,
    rules=SETTINGS.rules[:1],
    signals=tuple(SignalSpec(name, kind, "api", SECOND) for name, kind in NAMES.items()),
    evidence=(SchemaErrors("db_errors"),),
)
CERTIFICATE = RELEASE.certificate
assert CERTIFICATE is not None
BROKEN_CODE = replace(RELEASE, certificate=replace(CERTIFICATE, old_code=Compatibility.INCOMPATIBLE))
WARM_UP = 20


class DiedError(Exception):
    """The process is gone."""


@dataclass
class Service:
    """Fifty requests a second, of which a share fails until the step named `cure` has taken effect."""

    cure: str
    effects: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    total: float = 0.0
    bad: float = 0.0
    hurts: bool = False

    def runs(self, seconds: int) -> None:
        wrong = 20.0 if self.hurts and self.cure not in self.effects else 0.0
        self.total += 50.0 * seconds
        self.bad += wrong * seconds

    def samples(self, now: int) -> list[Sample]:
        return [
            Sample(SignalId("total"), now, self.total),
            Sample(SignalId("bad"), now, self.bad),
            Sample(SignalId("db_errors", CODE), now, self.bad),
        ]


@dataclass
class Night:
    """One release that hurts, watched by processes of which one dies at the point `dies_at`."""

    cure: str = "undo"
    dies_at: int | None = None
    down: Span = 0
    points: int = 0

    def __post_init__(self) -> None:
        self.climb = Climb(WORLD)
        self.service = Service(self.cure)
        self.windows: Windows = empty(WORLD.signals, 15 * MINUTE)
        self.looked_at = T0
        self.said(inputs.Claim(1, "process 1"))
        self.climb.epoch = 1
        for _ in range(WARM_UP):
            self.look()
        self.said(inputs.StartRelease(BROKEN_CODE, None, "a test has none"))
        self.said(inputs.Arm("pipeline"))
        self.service.hurts = True

    def point(self) -> None:
        """Here a process may die."""
        self.points += 1
        if self.points == self.dies_at:
            raise DiedError

    def said(self, given: inputs.Input) -> None:
        self.climb.say(given)

    def say(self, given: inputs.Input) -> None:
        self.point()
        self.climb.say(given)
        self.point()

    def look(self) -> None:
        """A second passes, and the service is read."""
        self.climb.now += SECOND
        self.service.runs(1)
        self.windows = observe_all(self.windows, self.service.samples(self.climb.now))
        self.looked_at = self.climb.now

    def live(self) -> None:
        """A second in the life of a process."""
        self.look()
        self.say(assess(self.climb.guard, self.windows, self.climb.now))
        self.work()

    def work(self) -> None:
        while commands := sorted(due(self.climb.guard, self.climb.now), key=str):
            for command in commands:
                self.carry_out(command)

    def carry_out(self, command: Execute | Verify | Cancel | Send | Reconcile) -> None:
        match command:
            case Execute(name, step):
                self.say(inputs.BeginStep(name))
                self.service.effects.append(step.name)
                self.say(inputs.StepDone(name))
            case Verify(name, step):
                there = step.name in self.service.effects
                self.say(inputs.StepDone(name) if there else inputs.StepNotApplied(name))
            case Cancel(name):
                raise AssertionError(f"{name} has not taken so long")
            case Send(name):
                self.say(inputs.BeginNotice(name, "text"))
                self.service.said.append(name)
                self.say(inputs.NoticeDone(name, NoticeOutcome.SENT))
            case Reconcile(name):
                if name not in self.service.said:
                    self.service.said.append(name)
                self.say(inputs.NoticeDone(name, NoticeOutcome.SENT))

    def takes_over(self) -> None:
        """Another process, after a while in which nobody looked."""
        self.climb.now += self.down
        self.service.runs(self.down // SECOND)
        self.climb.crash()
        gap = self.climb.now - self.looked_at - SECOND
        if gap > 2 * SECOND:
            self.say(inputs.Gap(gap))
        self.work()

    def passes(self, seconds: int = 200) -> "Night":
        for _ in range(seconds):
            try:
                self.live()
            except DiedError:
                self.takes_over()
            if self.climb.guard.incident is not None and self.climb.run.phase is RunPhase.ENDED:
                self.work()
                return self
        raise AssertionError(f"the night does not end: {self.climb.guard.incident}")

    def end(self) -> dict[str, object]:
        """What must not depend on when a process died."""
        climb = self.climb
        sent = [one for one in climb.guard.notices.values() if one.outcome is not None and not one.notice.header]
        return {
            "outcome": climb.run.outcome,
            "rungs": [one.rung for one in climb.run.rungs if one.outcome != "skipped"],
            "steps": {name: record.state for name, record in climb.run.steps.items()},
            "effects": self.service.effects,
            "release": climb.release.state,
            "told": [one.notice.topic for one in sent],
            "incidents": climb.guard.incidents,
        }


def test_undisturbed_the_ladder_ends_with_the_data_rolled_back() -> None:
    night = Night().passes()
    assert night.climb.run.outcome is RunOutcome.ROLLED_BACK
    assert night.climb.release.state is ReleaseState.ROLLED_BACK
    assert night.service.effects == ["flag off", "fence", "undo", "lift"]
    assert night.climb.incident.proof.keys() == {"SQLSTATE 42703"}


def every_point(cure: str) -> Iterator[int]:
    return iter(range(1, Night(cure).passes().points + 1))


@pytest.mark.parametrize("down", [0, 5 * SECOND, 70 * SECOND])
@pytest.mark.parametrize("cure", ["flag off", "undo"])
def test_a_process_that_dies_at_any_point_changes_nothing(cure: str, down: Span) -> None:
    undisturbed = Night(cure).passes().end()
    for point in every_point(cure):
        night = Night(cure, dies_at=point, down=down).passes()
        assert night.end() == undisturbed, f"died at point {point}"
        assert len(night.service.said) == len(set(night.service.said)), f"died at point {point}"
        assert night.climb.replayed() == night.climb.guard


def test_a_recovery_that_nobody_watched_is_looked_at_before_the_next_rung() -> None:
    night = Night("flag off")
    while not night.climb.judging:
        night.live()
    night.down = 10 * MINUTE
    night.takes_over()
    assert night.climb.judging
    night.passes()
    assert night.climb.run.outcome is RunOutcome.RECOVERED
    assert night.service.effects == ["flag off"]


def test_data_of_a_release_that_was_only_seen_is_never_touched() -> None:
    night = Night()
    night.climb.say(inputs.Disarm("ann", "another one"))
    night.climb.say(inputs.StartRelease(replace(BROKEN_CODE, protection=Protection.CODE_ONLY), None))
    night.passes()
    assert night.service.effects == ["flag off"]
    assert night.climb.run.outcome is RunOutcome.EXHAUSTED
