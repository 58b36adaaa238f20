"""A guard: one service with its rules, ladder and plan (its settings), and what has happened to it (its state)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from watchdog.model.attribution import Attribution, Comparison, Queries
from watchdog.model.communication import Notice, NoticeOutcome, Plan
from watchdog.model.days import DayBefore
from watchdog.model.playbooks import Autonomy, Playbook, Rung, Step
from watchdog.model.releases import Release, ReleaseState
from watchdog.model.rules import Brake, Rule, RungKind
from watchdog.model.signals import Selector, SignalId, SignalSpec
from watchdog.model.time import MINUTE, Span, Time
from watchdog.model.verdicts import Basis, Evidence


@dataclass(frozen=True)
class GuardSettings:
    """What the configuration says of a guard.

    Attributes:
        baseline: How much history before T-0 a baseline is made of.
        baseline_days: Days before whose same time of day counts as well, where a probe knows the past.
        bake: How long after the last change automatic reversal stays armed.
        resolve_after: How long a recovered incident stays open unless a person resolves it.
        blind_after: How long a rule may have no data before responders are paged; it never rolls back.
        data_rollbacks: Automatic data rollbacks that one release may have.
        cool_down: Within this time after an incident was over, a further one proposes where it would act.
        evidence: Counters whose rise since T-0 proves that the release hurts the schema (SQLSTATE by label).
        versions: How versions of the service are told apart, for attribution.
        queries: Which counters tell whether statements on the release's tables became slower.
        brakes: Levels whose change since T-0 may be the cause instead of the release.
        needs_certificate: Whether a release is armed only with a certificate that its rollback restores.
    """

    name: str
    rules: tuple[Rule, ...]
    signals: tuple[SignalSpec, ...]
    playbook: Playbook
    plan: Plan = field(default_factory=Plan)
    baseline: Span = 10 * MINUTE
    min_baseline: Span = MINUTE
    baseline_days: int = 0
    bake: Span = 30 * MINUTE
    resolve_after: Span = 15 * MINUTE
    data_rollbacks: int = 1
    cool_down: Span = 0
    blind_after: Span = 5 * MINUTE
    evidence: tuple["SchemaErrors", ...] = ()
    versions: tuple[Comparison, ...] = ()
    queries: tuple[Queries, ...] = ()
    brakes: tuple[Brake, ...] = ()
    needs_certificate: bool = False


@dataclass(frozen=True)
class SchemaErrors:
    """A counter split by SQLSTATE, and the codes that point at the schema.

    Attributes:
        min_count: Fewer than this since T-0 prove nothing.
        bad: Requests that failed; without it the count alone is looked at.
        share: Of the failed requests (0 to 1) that a code must account for, in the last `window`.
    """

    signal: str
    label: str = "sqlstate"
    codes: tuple[str, ...] = ("42703", "42P01", "23502", "22P02")
    min_count: float = 3.0
    bad: Selector | None = None
    share: float = 0.2
    window: Span = MINUTE


@dataclass(frozen=True)
class BaselineEntry:
    """What one series looked like before T-0.

    Attributes:
        rate: A counter's rise a second.
        mean: A gauge's mean; for a check its last value.
        bounds: Of a distribution, with its cumulative counts over the time.
    """

    kind: str
    rate: float = 0.0
    mean: float = 0.0
    low: float = 0.0
    high: float = 0.0
    bounds: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    samples: int = 0


@dataclass(frozen=True)
class Usual:
    """What a share of bad events looked like before T-0.

    Attributes:
        share: Of all events (0 to 1).
        burstiness: Intra-cluster correlation of the events of one reading (0 to 1); 0 with too few readings.
        readings: How many it was taken from.
    """

    share: float
    burstiness: float
    readings: int


@dataclass(frozen=True)
class Baseline:
    """What every series looked like from `since` to T-0 (`until`).

    Attributes:
        usual: By the name of the rule; the highest of today's and that of the days that count.
        days: The days before, newest first.
        slowest: With days before: the slowest quantile of today and those that count, in seconds, by the rule.
    """

    since: Time
    until: Time
    entries: Mapping[SignalId, BaselineEntry] = field(default_factory=dict)
    usual: Mapping[str, Usual] = field(default_factory=dict)
    days: tuple[DayBefore, ...] = ()
    slowest: Mapping[str, float] = field(default_factory=dict)


class StepState(StrEnum):
    """Where a step is."""

    INTENDED = "intended"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    RESET = "reset"


@dataclass(frozen=True)
class StepRecord:
    """What is known of one step of a run."""

    id: str
    state: StepState
    intended_at: Time
    epoch: int
    attempts: int = 1
    ended_at: Time | None = None
    detail: str = ""


class RunPhase(StrEnum):
    """Where a run is."""

    CHOOSING = "choosing"
    PROPOSED = "proposed"
    ACTING = "acting"
    COMPENSATING = "compensating"
    JUDGING = "judging"
    ENDED = "ended"


class RunOutcome(StrEnum):
    """How a run ended; told apart everywhere."""

    RECOVERED = "recovered"
    ROLLED_BACK = "rolled back and recovered"
    NOT_RECOVERED = "rolled back, not recovered"
    EXHAUSTED = "no rung left, not recovered"
    STEP_FAILED = "stopped: a step failed"
    UNKNOWN = "stopped in Unknown"
    OBSERVED = "observed only"
    ABORTED = "aborted"


@dataclass(frozen=True)
class RungRecord:
    """What became of one rung."""

    rung: RungKind
    entered_at: Time
    outcome: str = ""
    reason: str = ""
    ended_at: Time | None = None


@dataclass(frozen=True)
class Run:
    """One climb of the ladder.

    Attributes:
        position: Index of the rung that is due or under way.
        approved: Rungs that a person has approved, with who did.
        judging_since: Samples before this do not count for recovery.
        ending: How the run ends, and why, once it has compensated.
        undecided_since: Undecided recovery is counted from here: later than `judging_since` when nobody looked.
    """

    id: str
    playbook: Playbook
    started_at: Time
    position: int
    phase: RunPhase = RunPhase.CHOOSING
    steps: Mapping[str, StepRecord] = field(default_factory=dict)
    rungs: tuple[RungRecord, ...] = ()
    approved: Mapping[RungKind, str] = field(default_factory=dict)
    proposed_at: Time | None = None
    escalated: bool = False
    judging_since: Time | None = None
    undecided_since: Time | None = None
    ending: tuple[RunOutcome, str] | None = None
    outcome: RunOutcome | None = None
    ended_at: Time | None = None

    @property
    def rung(self) -> Rung | None:
        """The rung that is due or under way."""
        return self.playbook.rungs[self.position] if self.position < len(self.playbook.rungs) else None

    @property
    def due_steps(self) -> tuple[Step, ...]:
        """The steps that are worked through now: the current rung's, or those that compensate for it."""
        if self.rung is None:
            return ()
        if self.phase is not RunPhase.COMPENSATING:
            return self.rung.steps
        done = {step.name for step in self.rung.steps if self._done(self.rung, step)}
        return tuple(
            step
            for step in self.rung.compensate
            if (not step.only_after or step.only_after in done) and step.unless_after not in done
        )

    def step_id(self, step: Step) -> str:
        """Name of a step's effect; the receipt's key."""
        rung = self.playbook.rungs[self.position]
        if self.phase is RunPhase.COMPENSATING:
            return f"{self.id}/{rung.kind} compensation/{step.name}"
        return self._step_id(rung, step)

    @property
    def data_rolled_back(self) -> bool:
        """Whether every step of the data rung took effect."""
        return any(
            rung.kind is RungKind.DATA and bool(rung.steps) and all(self._done(rung, step) for step in rung.steps)
            for rung in self.playbook.rungs
        )

    def _step_id(self, rung: Rung, step: Step) -> str:
        return f"{self.id}/{rung.kind}/{step.name}"

    def _done(self, rung: Rung, step: Step) -> bool:
        record = self.steps.get(self._step_id(rung, step))
        return record is not None and record.state is StepState.DONE


@dataclass(frozen=True)
class Hold:
    """Nothing new begins."""

    who: str
    reason: str
    since: Time
    until: Time | None = None


@dataclass(frozen=True)
class Incident:
    """Everything from the first breach or trigger to resolution.

    Attributes:
        rules: Those whose recovery ends the climb.
        basis: The strongest basis so far.
        proof: Positive evidence that the release did it, one sentence each.
        enters: The lowest rung that can undo what was seen.
        asked_for: The highest rung that a person asked for.
        attribution: What hurts, as far as the signals tell; None while nobody compares versions.
        doubts: What happened at the same time and may be the cause instead, one sentence each.
    """

    id: str
    opened_at: Time
    rules: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    basis: Basis
    enters: RungKind
    manual: bool = False
    opened_by: str = "watchdog"
    reason: str = ""
    asked_for: RungKind | None = None
    proof: Mapping[str, str] = field(default_factory=dict)
    attribution: Attribution | None = None
    doubts: Mapping[str, str] = field(default_factory=dict)
    acknowledged_by: str = ""
    acknowledged_at: Time | None = None
    run: Run | None = None
    hold: Hold | None = None
    recovered_at: Time | None = None
    resolved_at: Time | None = None
    data_touched: bool = False


@dataclass(frozen=True)
class NoticeRecord:
    """Where an obligation is."""

    notice: Notice
    intended_at: Time | None = None
    epoch: int = 0
    attempts: int = 0
    text: str = ""
    outcome: NoticeOutcome | None = None
    settled_at: Time | None = None
    late_by: Span = 0
    detail: str = ""
    receipt: str = ""


@dataclass(frozen=True)
class ReleaseRecord:
    """A release under watch."""

    release: Release
    state: ReleaseState
    t0: Time
    armed_at: Time | None = None
    bake_until: Time | None = None
    baseline: Baseline | None = None
    baseline_refused: str = ""
    data_rollbacks: int = 0
    unarmed: Mapping[str, str] = field(default_factory=dict)

    @property
    def watched(self) -> bool:
        """Whether a breach opens an incident."""
        return self.state in {ReleaseState.APPLYING, ReleaseState.BAKING}


@dataclass(frozen=True)
class Pending:
    """A literal breach that has not held long enough yet.

    Attributes:
        eased: Since when its readings have been fine again, while the rule's `keep` runs.
    """

    since: Time
    evidence: Evidence
    eased: Time | None = None


@dataclass(frozen=True)
class Blind:
    """A rule that has no data; `told` when somebody has been paged for it."""

    since: Time
    reason: str
    told: bool = False


@dataclass(frozen=True)
class ClosedIncident:
    """What is kept in memory of an incident that is over."""

    id: str
    opened_at: Time
    resolved_at: Time
    outcome: str
    recovered_at: Time | None = None


@dataclass(frozen=True)
class Guard:
    """Settings and state. The state is the fold of the guard's events, so it is the same after a restart.

    Attributes:
        owed: Notices ever owed; numbers the next one.
        well_since: Samples before this opened an incident that is dealt with; they open no other.
    """

    settings: GuardSettings
    epoch: int = 0
    holder: str = ""
    release: ReleaseRecord | None = None
    pending: Mapping[str, Pending] = field(default_factory=dict)
    blind: Mapping[str, Blind] = field(default_factory=dict)
    incident: Incident | None = None
    incidents: int = 0
    notices: Mapping[str, NoticeRecord] = field(default_factory=dict)
    owed: int = 0
    frozen: Hold | None = None
    well_since: Time = 0
    closed: tuple[ClosedIncident, ...] = ()

    @property
    def autonomy(self) -> Autonomy:
        """The strongest autonomy of any rung."""
        order = list(Autonomy)
        return max((rung.autonomy for rung in self.settings.playbook.rungs), key=order.index, default=Autonomy.OBSERVE)
