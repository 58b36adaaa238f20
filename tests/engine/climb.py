"""A guard with its journal in a list, told what to see; and shorthand for what it may be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from watchdog.engine.decide import decide
from watchdog.engine.due import due
from watchdog.engine.evolve import evolve, fold
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.commands import Cancel, Execute, Verify
from watchdog.model.communication import Audience, Beat, Plan
from watchdog.model.guards import Guard, GuardSettings, Incident, ReleaseRecord, Run, RunOutcome, RunPhase
from watchdog.model.playbooks import Autonomy, OnFailure, Playbook, Rung, Step
from watchdog.model.releases import Certificate, Compatibility, Protection, Release, ReleaseState, Surroundings
from watchdog.model.rules import CheckRule, RatioRule, RungKind
from watchdog.model.signals import Cause, Selector, SignalKind, SignalSpec
from watchdog.model.time import HOUR, MINUTE, SECOND, Span, Time
from watchdog.model.verdicts import Basis, Breach, Evidence, NoData, Ok, ProbeFailed, Recheck, Recovery, Verdict

T0: Time = 1_700_000_000 * SECOND
E = TypeVar("E")

ERRORS = RatioRule(
    name="errors", bad=Selector("bad"), total=Selector("total"), above=0.05, hold=5 * MINUTE, enters=RungKind.FLAG
)
ORPHANS = CheckRule(name="orphans", of=(Selector("orphans"),), enters=RungKind.DATA, proves=True)

CERTIFICATE = Certificate(
    id="c1",
    issued_at=T0,
    surroundings=Surroundings("18"),
    rollback_hash="hash",
    restored=True,
    old_code=Compatibility.COMPATIBLE,
    measured=2 * SECOND,
)
RELEASE = Release(
    id="r1",
    migrations=("add_score",),
    flags=("new_score",),
    old_version="v1",
    new_version="v2",
    protection=Protection.FULL,
    certificate=CERTIFICATE,
)


def rung(kind: RungKind, *steps: str, autonomy: Autonomy = Autonomy.ACT, climb: bool = True) -> Rung:
    made = tuple(Step(name, "fake", timeout=20 * SECOND) for name in steps)
    return Rung(kind, made, autonomy=autonomy, on_failure=OnFailure.CLIMB if climb else OnFailure.STOP)


def ladder(autonomy: Autonomy = Autonomy.ACT) -> Playbook:
    return Playbook(
        "emergency",
        "hash",
        (
            rung(RungKind.STOP, "cancel", autonomy=autonomy),
            rung(RungKind.FLAG, "flag off", autonomy=autonomy),
            rung(RungKind.CODE, "old code", autonomy=autonomy),
            rung(RungKind.DATA, "fence", "undo", "lift", autonomy=autonomy, climb=False),
        ),
    )


def with_rung(playbook: Playbook, changed: Rung) -> Playbook:
    return replace(playbook, rungs=tuple(changed if one.kind is changed.kind else one for one in playbook.rungs))


PLAN = Plan(
    beats=(
        Beat("detected", 0, Audience.RESPONDERS, "incidents"),
        Beat("stakeholders", 5 * MINUTE, Audience.STAKEHOLDERS, "incidents"),
        Beat("status page", 15 * MINUTE, Audience.PUBLIC),
        Beat("customers", 30 * MINUTE, Audience.CUSTOMERS, "mail", impact_over=5 * MINUTE),
        Beat("post-mortem", HOUR, Audience.RESPONDERS, "incidents"),
    ),
    updates="incidents",
)
SETTINGS = GuardSettings(
    name="shop",
    rules=(ERRORS, ORPHANS),
    signals=tuple(
        SignalSpec(name, kind, "api", SECOND)
        for name, kind in {
            "bad": SignalKind.COUNTER,
            "total": SignalKind.COUNTER,
            "orphans": SignalKind.CHECK,
        }.items()
    ),
    playbook=ladder(),
    plan=PLAN,
    bake=10 * MINUTE,
    resolve_after=5 * MINUTE,
)


def evidence(rule: str, basis: Basis = Basis.CONFIDENT) -> Evidence:
    return Evidence(rule, T0, f"{rule} is wrong", basis, (("share", 0.4),))


def ok(rule: str = "errors") -> Verdict:
    return Ok(evidence(rule))


def breach(rule: str = "errors", basis: Basis = Basis.CONFIDENT) -> Verdict:
    return Breach(evidence(rule, basis))


NO_DATA: Verdict = NoData(Cause.NO_TRAFFIC, "nothing was counted")
PROBE_FAILED: Verdict = ProbeFailed("no such table")
SCHEMA: Mapping[str, str] = {"SQLSTATE 42703": "the service counted SQLSTATE 42703 9 times since T-0"}


def judged(
    recovery: Recovery | None = None, proof: Mapping[str, str] | None = None, **verdicts: Verdict
) -> inputs.Judged:
    """One evaluation; `recovery` is what the incident's rules say since the last rung."""
    rechecks = (Recheck("errors", recovery, f"errors are {recovery}"),) if recovery is not None else ()
    return inputs.Judged(verdicts, rechecks, proof or {})


@dataclass
class Climb:
    """A guard, its stream and the time; what is said to it goes through `decide` and into the stream."""

    settings: GuardSettings = SETTINGS
    now: Time = T0
    epoch: int = 0
    stored: list[ev.Stored] = field(default_factory=list)
    guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self.guard = Guard(self.settings)

    def say(self, given: inputs.Input) -> tuple[ev.Event, ...]:
        events = decide(self.guard, given, self.now)
        self.keep(events)
        return events

    def tell(self, given: inputs.Input) -> None:
        """Says it; what follows is in the stream."""
        self.say(given)

    def keep(self, events: tuple[ev.Event, ...]) -> None:
        for event in events:
            self.stored.append(ev.Stored("shop", len(self.stored) + 1, self.now, self.epoch, 1, event))
            self.guard = evolve(self.guard, event, self.now)

    def replayed(self) -> Guard:
        return fold(Guard(self.settings), self.stored)

    def crash(self) -> None:
        """Another process takes over with what the stream says."""
        self.guard = self.replayed()
        self.epoch += 1
        self.say(inputs.Claim(self.epoch, f"process {self.epoch}"))

    def wait(self, length: Span) -> tuple[ev.Event, ...]:
        self.now += length
        return self.say(inputs.Tick())

    def start(self, release: Release = RELEASE, **verdicts: Verdict) -> None:
        """A release under watch, every change out."""
        self.say(inputs.StartRelease(release, None, "a test has none", verdicts))
        self.say(inputs.Arm("pipeline"))

    def breached(self, release: Release = RELEASE, proof: Mapping[str, str] | None = None) -> None:
        """A release whose first evaluation is a confident breach."""
        self.start(release)
        self.say(judged(errors=breach(), proof=proof))

    def steps(self, *outcomes: inputs.Input) -> None:
        """Carries out every step that is due; with `outcomes` these are said instead of success."""
        answers = list(outcomes)
        while (command := self.command) is not None:
            if isinstance(command, Execute) and self.run.steps.get(command.id) is None:
                self.say(inputs.BeginStep(command.id))
            self.say(answers.pop(0) if answers else inputs.StepDone(command.id))

    def after(self, recovery: Recovery) -> None:
        """Every due step is done, and then the service is found like this."""
        self.steps()
        self.now += 5 * SECOND
        self.say(judged(recovery))

    def after_flag_recovers(self) -> None:
        """The first rung that applies helps."""
        self.after(Recovery.RECOVERED)
        assert self.run.outcome is RunOutcome.RECOVERED

    @property
    def command(self) -> Execute | Verify | Cancel | None:
        found = [one for one in due(self.guard, self.now) if isinstance(one, Execute | Verify | Cancel)]
        assert len(found) <= 1
        return found[0] if found else None

    @property
    def judging(self) -> bool:
        """Whether the recovery of a rung is open."""
        run = self.guard.incident.run if self.guard.incident else None
        return run is not None and run.phase is RunPhase.JUDGING

    @property
    def incident(self) -> Incident:
        assert self.guard.incident is not None
        return self.guard.incident

    @property
    def run(self) -> Run:
        assert self.incident.run is not None
        return self.incident.run

    @property
    def release(self) -> ReleaseRecord:
        assert self.guard.release is not None
        return self.guard.release

    def state(self) -> ReleaseState:
        """Where the release is."""
        return self.release.state

    def phase(self) -> RunPhase:
        """Where the run is."""
        return self.run.phase

    def unresolved(self) -> bool:
        """Whether the latest incident is open."""
        return self.incident.resolved_at is None

    def next_command(self) -> Execute | Verify | Cancel | None:
        """The step command that is due; a call, so that a type checker does not remember its answer."""
        return self.command

    def events(self, kind: type[E]) -> list[E]:
        return [one.body for one in self.stored if isinstance(one.body, kind)]


def rungs(climb: Climb) -> list[tuple[RungKind, str]]:
    """What became of each rung."""
    return [(one.rung, one.outcome) for one in climb.run.rungs]


DATA_RUNG = rung(RungKind.DATA, "fence", "undo", "lift", climb=False)
NOT_ON_OLD_CODE = replace(RELEASE, certificate=replace(CERTIFICATE, old_code=Compatibility.INCOMPATIBLE))


def with_data(**changes: object) -> GuardSettings:
    return replace(SETTINGS, playbook=with_rung(ladder(), replace(DATA_RUNG, **changes)))  # type: ignore[arg-type]


def at_data(
    settings: GuardSettings = SETTINGS, release: Release = RELEASE, proof: dict[str, str] | None = None
) -> Climb:
    """Flag and code did not help: it is the data rung's turn."""
    climb = Climb(settings)
    climb.breached(release, SCHEMA if proof is None else proof)
    while climb.phase() is RunPhase.ACTING and climb.run.rung is not None and climb.run.rung.kind is not RungKind.DATA:
        climb.after(Recovery.STILL_BROKEN)
    return climb


def waits(climb: Climb) -> str:
    """Why the rung that is proposed waits for a person."""
    assert climb.phase() is RunPhase.PROPOSED
    return climb.events(ev.RungProposed)[-1].reason
