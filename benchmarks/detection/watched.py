"""A guard with the shipped rules and ladder, driven by hand: samples in, steps out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from benchmarks.detection.traffic import EVERY
from watchdog.app.registries import registries
from watchdog.config import load
from watchdog.engine.assess import assess
from watchdog.engine.baseline import freeze
from watchdog.engine.decide import decide
from watchdog.engine.doubts import Neighbour
from watchdog.engine.due import due
from watchdog.engine.evolve import evolve
from watchdog.engine.windows import Windows, empty, observe_all
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.attribution import Comparison
from watchdog.model.commands import Execute
from watchdog.model.communication import Plan
from watchdog.model.guards import Guard, GuardSettings, Run, RunPhase
from watchdog.model.playbooks import Step
from watchdog.model.releases import Certificate, Compatibility, Protection, Release, Surroundings
from watchdog.model.rules import RungKind
from watchdog.model.signals import Sample, Selector, SignalKind
from watchdog.model.time import MINUTE, SECOND, Span, Time

ROOT: Final = Path(__file__).resolve().parents[2]
START: Final[Time] = 1_700_000_000 * SECOND
ENVIRON: Final = {
    "COMPLIANCE_API_URL": "http://127.0.0.1:8080",
    "COMPLIANCE_WATCHDOG_DB_URL": "postgresql://watchdog@127.0.0.1/compliance",
    "COMPLIANCE_NEO4J_URL": "bolt://127.0.0.1:7687",
    "COMPLIANCE_REDIS_URL": "redis://127.0.0.1/0",
    "SLACK_API_URL": "http://127.0.0.1:9999/api/",
}
"""Made-up addresses: nothing is connected. Any other variable is a number."""


def shipped() -> GuardSettings:
    """The guard of `config.yaml` with the times of a real release: 5 s, ten minutes of baseline, an hour of bake."""
    path = ROOT / "config.yaml"
    named = re.findall(r"\$\{env:(\w+)\}", path.read_text(encoding="utf-8"))
    environ = {**dict.fromkeys(named, "8080"), **ENVIRON}
    settings = load(path, registries(), environ=environ).guards[0].settings
    every = {kind: 15 * SECOND if kind is SignalKind.CHECK else EVERY for kind in SignalKind}
    return replace(
        settings,
        signals=tuple(replace(signal, every=every[signal.kind]) for signal in settings.signals),
        plan=Plan(),
        baseline=10 * MINUTE,
        min_baseline=5 * MINUTE,
        bake=60 * MINUTE,
        resolve_after=15 * MINUTE,
        versions=settings.versions or (Comparison(Selector("errors"), Selector("requests")),),
    )


def release(compatible: Compatibility = Compatibility.COMPATIBLE) -> Release:
    """A release that may be taken back: applied through us and rehearsed."""
    certificate = Certificate(
        id="rehearsed",
        issued_at=START,
        surroundings=Surroundings("18"),
        rollback_hash="hash",
        restored=True,
        old_code=compatible,
        measured=40 * SECOND,
    )
    return Release(
        id="release",
        migrations=("change",),
        flags=("feature",),
        old_version="v1",
        new_version="v2",
        protection=Protection.FULL,
        certificate=certificate,
    )


@dataclass
class Watched:
    """A guard, its windows and everything that was decided."""

    settings: GuardSettings
    now: Time = START
    guard: Guard = field(init=False)
    windows: Windows = field(init=False)
    events: list[tuple[Time, ev.Event]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begins with a guard that knows nothing."""
        self.guard = Guard(self.settings)
        self.windows = empty(self.settings.signals, max(15 * MINUTE, self.settings.baseline + 10 * MINUTE))

    def say(self, given: inputs.Input) -> None:
        """Decides, and takes over what follows."""
        for event in decide(self.guard, given, self.now):
            self.events.append((self.now, event))
            self.guard = evolve(self.guard, event, self.now)

    def observe(self, samples: Iterable[Sample]) -> None:
        """Keeps samples without judging."""
        self.windows = observe_all(self.windows, samples)

    def start(self, what: Release) -> None:
        """T-0: the baseline is frozen as the daemon does it."""
        baseline, refusal = freeze(self.windows, self.now, self.settings.baseline, self.settings.min_baseline)
        verdicts = assess(self.guard, self.windows, self.now).verdicts
        self.say(inputs.StartRelease(what, baseline, refusal, verdicts))

    def judge(self, *neighbours: Neighbour) -> None:
        """One evaluation, beside the other guards of the daemon."""
        self.say(assess(self.guard, self.windows, self.now, neighbours))

    def step(self) -> Step | None:
        """Carries out the step that is due, if one is; it takes no time of its own."""
        commands = [one for one in due(self.guard, self.now) if isinstance(one, Execute)]
        if not commands:
            return None
        (command,) = commands
        self.say(inputs.BeginStep(command.id))
        self.say(inputs.StepDone(command.id))
        return command.step

    @property
    def run(self) -> Run | None:
        """The climb, if one has begun."""
        return self.guard.incident.run if self.guard.incident is not None else None

    @property
    def opened_at(self) -> Time | None:
        """When the first incident opened."""
        return next((at for at, event in self.events if isinstance(event, ev.IncidentOpened)), None)

    @property
    def over(self) -> bool:
        """Whether the climb has ended, or waits for a person."""
        return self.run is not None and self.run.phase in {RunPhase.ENDED, RunPhase.PROPOSED}

    def entered(self, kind: RungKind) -> bool:
        """Whether this rung acted."""
        return any(isinstance(event, ev.RungEntered) and event.rung is kind for _, event in self.events)

    def proposed(self, kind: RungKind) -> str:
        """Why this rung waited for a person; empty when it did not."""
        found = (event for _, event in self.events if isinstance(event, ev.RungProposed) and event.rung is kind)
        return next((event.reason for event in found), "")


def later(at: Time, ticks: int) -> Time:
    """So many ticks later."""
    length: Span = ticks * EVERY
    return at + length
