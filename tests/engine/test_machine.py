"""Whatever is said to a guard, in whatever order, the invariants hold after each word."""

from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.engine.climb import (
    CERTIFICATE,
    NO_DATA,
    PROBE_FAILED,
    RELEASE,
    SCHEMA,
    SETTINGS,
    Climb,
    breach,
    judged,
    ladder,
    ok,
    with_rung,
)
from tests.engine.climb import rung as make_rung
from watchdog.engine.decide import decide
from watchdog.engine.due import due, wake_at
from watchdog.engine.refused import RefusedError
from watchdog.model import events as ev
from watchdog.model import inputs
from watchdog.model.commands import Execute
from watchdog.model.communication import NoticeOutcome
from watchdog.model.guards import Guard, RunPhase, StepState
from watchdog.model.playbooks import Autonomy, Overrun
from watchdog.model.releases import Compatibility, Protection, Release
from watchdog.model.rules import RungKind
from watchdog.model.time import HOUR, MINUTE, SECOND
from watchdog.model.verdicts import Basis, Recovery, Verdict

people = st.sampled_from(["ann", "ben"])
kinds = st.sampled_from(RungKind)
autonomies = st.sampled_from([Autonomy.ACT, Autonomy.ACT, Autonomy.PROPOSE, Autonomy.OBSERVE])
verdicts: st.SearchStrategy[dict[str, Verdict]] = st.fixed_dictionaries(
    {},
    optional={
        "errors": st.sampled_from([ok(), breach(), breach(basis=Basis.LITERAL), NO_DATA, PROBE_FAILED]),
        "orphans": st.sampled_from([ok("orphans"), breach("orphans"), NO_DATA]),
    },
)
spans = st.sampled_from([0, 1, SECOND, 7 * SECOND, 40 * SECOND, 3 * MINUTE, 20 * MINUTE, 2 * HOUR])
releases = st.builds(
    lambda certificate, protection, flags: replace(
        RELEASE, certificate=certificate, protection=protection, flags=flags
    ),
    st.sampled_from(
        [
            CERTIFICATE,
            CERTIFICATE,
            replace(CERTIFICATE, old_code=Compatibility.INCOMPATIBLE),
            replace(CERTIFICATE, restored=False),
            None,
        ]
    ),
    st.sampled_from([Protection.FULL, Protection.FULL, Protection.TOOL_DOWN, Protection.CODE_ONLY]),
    st.sampled_from([("new_score",), ()]),
)


class GuardMachine(RuleBasedStateMachine):
    """Says everything that a daemon, a pipeline and people may say, and dies in between."""

    def __init__(self) -> None:
        super().__init__()
        self.climb = Climb()
        self.asked: set[RungKind] = set()
        self.unarmed: set[str] = set()
        self.outcomes: Counter[str] = Counter()
        self.owed: set[str] = set()
        self.automatic = 0

    @initialize(
        first=autonomies,
        data=autonomies,
        on_failure=st.booleans(),
        overrun=st.sampled_from(Overrun),
        release=releases,
        found=verdicts,
    )
    def configured(
        self,
        first: Autonomy,
        data: Autonomy,
        *,
        on_failure: bool,
        overrun: Overrun,
        release: Release,
        found: dict[str, Verdict],
    ) -> None:
        playbook = with_rung(ladder(), make_rung(RungKind.FLAG, "flag off", autonomy=first))
        changed = make_rung(RungKind.DATA, "fence", "undo", "lift", autonomy=data, climb=on_failure)
        playbook = with_rung(playbook, replace(changed, on_overrun=overrun))
        self.climb = Climb(replace(SETTINGS, playbook=playbook))
        self.say(inputs.Claim(1, "process 1"))
        self.climb.epoch = 1
        self.say(inputs.StartRelease(release, None, "none", found))
        self.say(inputs.Arm("pipeline"))
        self.say(judged(proof=SCHEMA if on_failure else {}, errors=breach(), orphans=ok("orphans")))

    def say(self, given: inputs.Input) -> None:
        """Decides, then looks at each event against the state in which it was decided."""
        climb = self.climb
        try:
            events = decide(climb.guard, given, climb.now)
        except RefusedError:
            return
        for event in events:
            if isinstance(event, ev.IncidentOpened):
                self.asked = set()
            if isinstance(given, inputs.Trigger) and isinstance(event, ev.IncidentOpened | ev.TriggerJoined):
                self.asked.add(given.rung or RungKind.STOP)
            self.look_at(climb.guard, event)
            climb.keep((event,))

    def look_at(self, guard: Guard, event: ev.Event) -> None:
        incident = guard.incident
        held = guard.frozen is not None or (incident is not None and incident.hold is not None)
        match event:
            case ev.StepIntended(step, epoch):
                assert not held
                assert epoch == guard.epoch
                assert incident is not None
                assert incident.run is not None
                record = incident.run.steps.get(step)
                assert record is None or record.state is StepState.RESET
            case ev.RungEntered(rung):
                assert not held
                if rung is RungKind.DATA:
                    self.data_entered(guard)
            case ev.IncidentOpened():
                assert incident is None or incident.resolved_at is not None
                assert event.manual or (guard.release is not None and guard.release.watched)
                assert not self.unarmed & set(event.rules)
                assert event.incident == f"shop-{guard.incidents + 1}"
            case ev.RuleJoined(rule_name):
                assert rule_name not in self.unarmed
            case ev.NoticeOwed(notice):
                assert notice.id not in self.owed
                self.owed.add(notice.id)
            case ev.NoticeSettled(notice_id):
                self.outcomes[notice_id] += 1
                assert self.outcomes[notice_id] == 1
            case ev.ReleaseStarted():
                self.automatic = 0
                self.unarmed = set()
            case ev.RuleUnarmed(rule_name):
                self.unarmed.add(rule_name)
            case ev.RuleArmed(rule_name):
                self.unarmed.remove(rule_name)
            case _:
                pass

    def data_entered(self, guard: Guard) -> None:
        assert guard.release is not None
        assert guard.incident is not None
        assert guard.incident.run is not None
        release, certificate = guard.release.release, guard.release.release.certificate
        assert release.protection is not Protection.CODE_ONLY
        if RungKind.DATA in guard.incident.run.approved:
            return
        assert certificate is not None
        assert certificate.restored
        if RungKind.DATA in self.asked:
            return
        self.automatic += 1
        assert self.automatic <= guard.settings.data_rollbacks
        assert guard.release.watched
        assert guard.incident.proof
        damaged = any(kind.startswith("integrity") for kind in guard.incident.proof)
        assert damaged or guard.incident.basis is not Basis.LITERAL

    @rule(found=verdicts, recovery=st.sampled_from([None, *Recovery]), schema=st.booleans(), damage=st.booleans())
    def evaluate(self, found: dict[str, Verdict], recovery: Recovery | None, *, schema: bool, damage: bool) -> None:
        proof = {**(SCHEMA if schema else {}), **({"integrity orphans": "2 orphans"} if damage else {})}
        self.say(judged(recovery, proof, **found))

    @rule(release=releases, found=verdicts)
    def release_starts(self, release: Release, found: dict[str, Verdict]) -> None:
        self.say(inputs.StartRelease(release, None, "none", found))

    @rule(word=st.sampled_from([inputs.Arm("pipeline"), inputs.Settle("ann"), inputs.Disarm("ann", "enough")]))
    def release_goes_on(self, word: inputs.Input) -> None:
        self.say(word)

    @rule(who=people, reason=st.sampled_from(["it hurts", " "]), rung=st.none() | kinds)
    def trigger(self, who: str, reason: str, rung: RungKind | None) -> None:
        self.say(inputs.Trigger(who, reason, rung))

    @rule(who=people, named=st.sampled_from(["", "latest", "shop-99"]), data=st.data())
    def person(self, who: str, named: str, data: st.DataObject) -> None:
        incident = self.climb.guard.incident
        name = incident.id if named == "latest" and incident is not None else named
        words: list[inputs.Input] = [
            inputs.Acknowledge(who, incident=name),
            inputs.Approve(who, name),
            inputs.Deny(who, name),
            inputs.SetHold(who, "wait", data.draw(st.none() | spans), name),
            inputs.ReleaseHold(who, name),
            inputs.Abort(who, "stop it"),
            inputs.Resolve(who, "fine", name),
            inputs.Freeze(who, "drill"),
            inputs.Unfreeze(who),
        ]
        self.say(data.draw(st.sampled_from(words)))

    @rule(length=spans)
    def time_passes(self, length: int) -> None:
        self.climb.now += length
        self.say(inputs.Tick())

    @rule(by=spans)
    def nobody_looked(self, by: int) -> None:
        self.climb.now += by
        self.say(inputs.Gap(by))
        self.say(inputs.ClockStep(by))

    @rule()
    def time_makes_something_due(self) -> None:
        wake = wake_at(self.climb.guard, self.climb.now)
        if wake is not None:
            self.climb.now = wake
            self.say(inputs.Tick())

    @precondition(lambda self: self.climb.command is not None)
    @rule(outcome=st.sampled_from(["done", "done", "failed", "not there", "unknown"]))
    def step(self, outcome: str) -> None:
        command = self.climb.command
        assert command is not None
        if isinstance(command, Execute):
            self.say(inputs.BeginStep(command.id))
        said: dict[str, inputs.Input] = {
            "done": inputs.StepDone(command.id),
            "failed": inputs.StepNotApplied(command.id, "it broke"),
            "not there": inputs.StepNotApplied(command.id),
            "unknown": inputs.StepCannotTell(command.id, "no answer"),
        }
        self.say(said[outcome])

    @precondition(lambda self: self.climb.command is not None)
    @rule()
    def every_step_of_the_rung_is_done(self) -> None:
        while (command := self.climb.command) is not None:
            self.say(inputs.BeginStep(command.id))
            self.say(inputs.StepDone(command.id))

    @precondition(lambda self: self.climb.judging)
    @rule(recovery=st.sampled_from([Recovery.STILL_BROKEN, Recovery.STILL_BROKEN, Recovery.RECOVERED]))
    def the_rung_is_judged(self, recovery: Recovery) -> None:
        self.climb.now += 5 * SECOND
        self.say(judged(recovery, errors=ok() if recovery is Recovery.RECOVERED else breach()))

    @rule(step=st.sampled_from(["shop-1-run/flag/flag off", "shop-1-run/data/undo", "junk"]), data=st.data())
    def stray_step(self, step: str, data: st.DataObject) -> None:
        """What comes late, twice, or for a step whose turn it is not."""
        words: list[inputs.Input] = [
            inputs.BeginStep(step),
            inputs.StepDone(step),
            inputs.StepNotApplied(step),
            inputs.StepCannotTell(step, "no answer"),
        ]
        self.say(data.draw(st.sampled_from(words)))

    @precondition(lambda self: self.climb.guard.notices)
    @rule(data=st.data(), outcome=st.sampled_from(NoticeOutcome))
    def notice(self, data: st.DataObject, outcome: NoticeOutcome) -> None:
        name = data.draw(st.sampled_from(sorted(self.climb.guard.notices)))
        self.say(inputs.BeginNotice(name, "text"))
        if data.draw(st.booleans()):
            self.say(inputs.NoticeDone(name, outcome, receipt="1"))

    @rule()
    def crash(self) -> None:
        self.climb.guard = self.climb.replayed()
        self.climb.epoch += 1
        self.say(inputs.Claim(self.climb.epoch, f"process {self.climb.epoch}"))

    @invariant()
    def replaying_the_stream_gives_the_same_guard(self) -> None:
        assert self.climb.replayed() == self.climb.guard

    @invariant()
    def one_step_is_due_and_none_begins_under_a_brake(self) -> None:
        command = self.climb.command
        guard = self.climb.guard
        if command is None:
            return
        record = self.climb.run.steps.get(command.id)
        begun = record is not None and record.state is StepState.INTENDED
        if guard.frozen is not None or self.climb.incident.hold is not None:
            assert begun
        assert isinstance(command, Execute) or begun
        assert command.epoch == guard.epoch

    @invariant()
    def the_state_rests_until_something_is_said_or_it_wakes(self) -> None:
        guard, now = self.climb.guard, self.climb.now
        wake = wake_at(guard, now)
        assert wake is None or wake > now
        assert decide(guard, inputs.Tick(), now) == ()
        before = (wake or now + 1000 * HOUR) - 1
        assert decide(guard, inputs.Tick(), before) == ()
        assert due(guard, before) == due(guard, now)

    @invariant()
    def an_ended_run_has_an_outcome(self) -> None:
        run = self.climb.guard.incident.run if self.climb.guard.incident else None
        assert run is None or (run.phase is RunPhase.ENDED) == (run.outcome is not None)

    def teardown(self) -> None:
        """With every brake off, answers to every question and a service that stays broken, the run ends."""
        climb = self.climb
        incident = climb.guard.incident
        if incident is None or incident.resolved_at is not None:
            return
        self.say(inputs.Unfreeze("ann"))
        self.say(inputs.ReleaseHold("ann"))
        for _ in range(40):
            if climb.incident.resolved_at is not None or climb.run.phase is RunPhase.ENDED:
                return
            if (command := climb.command) is not None:
                self.say(inputs.BeginStep(command.id))
                self.say(inputs.StepDone(command.id))
            self.say(inputs.Approve("ann"))
            climb.now += MINUTE
            self.say(judged(Recovery.STILL_BROKEN))
        raise AssertionError(f"the run does not end: {climb.run}")


TestGuardMachine = GuardMachine.TestCase
TestGuardMachine.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
