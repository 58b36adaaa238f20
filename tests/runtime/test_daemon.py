from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.support.guard_world import Service, World, certificate, ladder, release, settings
from watchdog.engine.refused import RefusedError
from watchdog.model import inputs
from watchdog.model.communication import NoticeOutcome
from watchdog.model.guards import RunOutcome, RunPhase
from watchdog.model.playbooks import Autonomy, Playbook, Step
from watchdog.model.releases import Compatibility, Protection, ReleaseState
from watchdog.model.rules import RungKind
from watchdog.model.time import SECOND
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import JournalError, StepError, StepUncertainError
from watchdog.runtime.daemon import Daemon


@asynccontextmanager
async def running(world: World) -> AsyncIterator[Daemon]:
    daemon = world.daemon()
    await daemon.start()
    try:
        yield daemon
    finally:
        await daemon.stop()


async def baking(world: World, daemon: Daemon, **changes: object) -> None:
    await world.seconds(25)
    await daemon.start_release("shop", release(**changes))
    await daemon.say("shop", inputs.Arm("pipeline"))


def heal(service: Service, world: World, step: str) -> None:
    async def effect(_: StepContext) -> None:
        service.errors = 0.0

    world.effects[step] = effect


async def test_a_healthy_release_bakes_and_nothing_happens() -> None:
    world = World()
    async with running(world) as daemon:
        await baking(world, daemon)
        await world.seconds(130)
        guard = daemon.guard("shop")
        assert guard.incident is None
        assert guard.release is not None
        assert guard.release.state is ReleaseState.REVERSIBLE
        assert world.executed == []


async def test_a_wrong_flag_is_switched_off_and_data_stays() -> None:
    world = World()
    heal(world.service, world, "flag off")
    async with running(world) as daemon:
        await baking(world, daemon)
        world.service.errors = 0.4
        await world.seconds(40)
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.run is not None
        assert incident.run.outcome is RunOutcome.RECOVERED
        assert world.executed == ["shop-1-run/flag/flag off"]
        assert not incident.data_touched


async def test_schema_errors_climb_to_data_when_the_old_code_is_incompatible() -> None:
    world = World()
    heal(world.service, world, "undo")
    async with running(world) as daemon:
        await baking(world, daemon, certificate=certificate(Compatibility.INCOMPATIBLE))
        world.service.errors, world.service.sqlstate = 0.4, True
        await world.seconds(60)
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.run is not None
        assert incident.run.outcome is RunOutcome.ROLLED_BACK
        assert [name.split("/", 1)[1] for name in world.executed] == [
            "flag/flag off",
            "data/fence",
            "data/undo",
            "data/lift",
        ]
        assert "SQLSTATE 23502" in incident.proof
        release_record = daemon.guard("shop").release
        assert release_record is not None
        assert release_record.state is ReleaseState.ROLLED_BACK


@pytest.mark.parametrize(
    ("changes", "sqlstate", "reason"),
    [
        ({}, False, "no positive evidence"),
        ({"certificate": None}, True, "certificate"),
        ({"certificate": certificate(Compatibility.INCOMPATIBLE, restored=False)}, True, "certificate"),
    ],
)
async def test_without_proof_or_certificate_data_waits_for_a_person(
    changes: dict[str, object],
    sqlstate: bool,  # noqa: FBT001  # a parameter of the case
    reason: str,
) -> None:
    world = World()
    async with running(world) as daemon:
        await baking(world, daemon, **changes)
        world.service.errors, world.service.sqlstate = 0.4, sqlstate
        await world.seconds(90)
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.run is not None
        assert incident.run.phase is RunPhase.PROPOSED
        assert not any("/data/" in name for name in world.executed)
        assert any(reason in message.text for message in world.notifier.sent)


async def test_code_only_protection_never_touches_data() -> None:
    world = World()
    async with running(world) as daemon:
        await baking(world, daemon, protection=Protection.CODE_ONLY)
        world.service.errors, world.service.sqlstate = 0.4, True
        await world.seconds(90)
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.run is not None
        assert incident.run.outcome is RunOutcome.EXHAUSTED
        assert not any("/data/" in name for name in world.executed)


async def test_an_approval_lets_the_data_rung_act() -> None:
    world = World()
    heal(world.service, world, "undo")
    async with running(world) as daemon:
        await baking(world, daemon)
        world.service.errors = 0.4
        await world.seconds(90)
        await daemon.say("shop", inputs.Approve("ann"))
        await world.seconds(30)
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.run is not None
        assert incident.run.outcome is RunOutcome.ROLLED_BACK


async def test_observe_says_what_it_would_have_done_to_responders_only() -> None:
    world = World(settings(ladder(Autonomy.OBSERVE)))
    async with running(world) as daemon:
        await baking(world, daemon)
        world.service.errors = 0.4
        await world.seconds(400)
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.run is not None
        assert incident.run.outcome is RunOutcome.OBSERVED
        assert world.executed == []
        assert {message.audience for message in world.notifier.sent} == {"responders"}


async def test_every_beat_of_the_plan_has_one_outcome_on_time() -> None:
    plan = replace(settings().plan, clock=60.0)
    world = World(settings(plan=plan))
    heal(world.service, world, "flag off")
    async with running(world) as daemon:
        await baking(world, daemon)
        world.service.errors = 0.4
        await world.seconds(90)
        notices = {one.notice.topic: one for one in daemon.guard("shop").notices.values()}
        assert notices["stakeholders"].outcome is NoticeOutcome.SENT
        assert notices["status page"].detail == "no channel configured"
        assert notices["post-mortem"].outcome is NoticeOutcome.SENT
        assert all(one.outcome is not None for one in daemon.guard("shop").notices.values())
        keys = [key for message in world.notifier.sent for key in (message.key, *message.also)]
        assert len(keys) == len(set(keys))
        assert world.notifier.sent[0].header or world.notifier.sent[0].incident == ""


async def test_frozen_nothing_acts() -> None:
    world = World()
    async with running(world) as daemon:
        await baking(world, daemon)
        world.switch.freeze(None, "ann", "drill")
        world.service.errors = 0.4
        await world.seconds(60)
        assert world.executed == []
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.run is None
        world.switch.unfreeze(None, "bob")
        await world.seconds(5)
        assert world.executed


async def test_a_restart_in_the_middle_of_a_step_verifies_before_it_acts() -> None:
    world = World()
    reached: list[str] = []

    async def hang(context: StepContext) -> None:
        reached.append(context.step_id)
        await context.clock.sleep(1000 * SECOND)

    world.effects["flag off"] = hang
    daemon = world.daemon()
    await daemon.start()
    await baking(world, daemon)
    world.service.errors = 0.4
    for _ in range(60):
        await world.seconds(1)
        if reached:
            break
    # The process dies: nothing of it runs on.
    runtime = daemon._guards["shop"]
    await runtime.executor.stop()
    await runtime.sender.stop()
    await daemon._supervisor.stop()
    heal(world.service, world, "flag off")
    async with running(world) as second:
        await world.seconds(30)
        incident = second.guard("shop").incident
        assert incident is not None
        assert incident.run is not None
        assert incident.run.outcome is RunOutcome.RECOVERED
        assert world.verified == ["shop-1-run/flag/flag off"]
        assert world.executed == ["shop-1-run/flag/flag off"] * 2


async def test_before_its_journal_is_read_a_guard_is_not_shown_and_takes_nothing() -> None:
    world = World()
    async with running(world) as first:
        await baking(world, first)
    second = world.daemon()
    assert second.guards() == ()
    with pytest.raises(JournalError, match="still being read from the journal"):
        second.guard("shop")
    with pytest.raises(JournalError, match="ask again in a moment"):
        await second.say("shop", inputs.Trigger("ana", "customers cannot save"))
    await second.start()
    try:
        assert second.guards() == ("shop",)
        assert second.guard("shop").release is not None
        assert second.guard("shop").incident is None
    finally:
        await second.stop()


async def test_a_rule_in_breach_before_the_release_opens_nothing_and_says_so() -> None:
    world = World()
    async with running(world) as daemon:
        world.service.errors = 0.4
        await baking(world, daemon)
        await world.seconds(30)
        assert daemon.guard("shop").incident is None
        assert any("not armed" in message.text for message in world.notifier.sent)


async def test_a_second_release_is_refused_while_the_first_bakes() -> None:
    world = World()
    async with running(world) as daemon:
        await baking(world, daemon)
        with pytest.raises(RefusedError, match="still baking"):
            await daemon.start_release("shop", release(id="r2"))


async def test_a_manual_trigger_enters_at_its_rung() -> None:
    world = World()
    async with running(world) as daemon:
        await baking(world, daemon)
        await daemon.say("shop", inputs.Trigger("ann", "support escalation", RungKind.DATA))
        await world.seconds(20)
        assert [name.split("/", 1)[1] for name in world.executed] == ["data/fence", "data/undo", "data/lift"]


async def test_time_not_watched_does_not_count_as_held() -> None:
    world = World()
    async with running(world) as daemon:
        await baking(world, daemon)
        world.service.errors = 0.06
        await world.seconds(60)
        pending = dict(daemon.guard("shop").pending)
        await world.clock.advance(20 * SECOND)
        await world.seconds(2)
        after = daemon.guard("shop").pending
        assert pending.keys() == after.keys() == {"error_rate"}
        assert after["error_rate"].since > pending["error_rate"].since


async def test_a_bake_does_not_run_out_over_a_pending_breach() -> None:
    world = World()
    async with running(world) as daemon:
        await baking(world, daemon)
        await world.seconds(50)
        world.service.errors = 0.06
        await world.seconds(85)
        record = daemon.guard("shop").release
        assert record is not None
        assert record.state is ReleaseState.BAKING
        world.service.errors = 0.0
        await world.seconds(60)
        record = daemon.guard("shop").release
        assert record is not None
        assert record.state is ReleaseState.REVERSIBLE


def compensated() -> Playbook:
    made = ladder()
    data = replace(made.rungs[2], compensate=(Step("lift anyway", "fake"),))
    return replace(made, rungs=(*made.rungs[:2], data))


async def test_a_data_rung_that_fails_half_way_is_compensated_and_pages() -> None:
    world = World(settings(compensated()))

    async def fail(_: StepContext) -> None:
        raise StepError("the script does not fit")

    world.effects["undo"] = fail
    async with running(world) as daemon:
        await baking(world, daemon)
        await daemon.say("shop", inputs.Trigger("ann", "drill", RungKind.DATA))
        await world.seconds(20)
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.run is not None
        assert incident.run.outcome is RunOutcome.STEP_FAILED
        assert [name.split("/", 1)[1] for name in world.executed] == [
            "data/fence",
            "data/undo",
            "data compensation/lift anyway",
        ]
        assert any("the script does not fit" in message.text for message in world.notifier.sent)


async def test_an_abort_half_way_is_compensated() -> None:
    world = World(settings(compensated()))
    async with running(world) as daemon:
        await baking(world, daemon)

        async def hold(_: StepContext) -> None:
            world.switch.freeze(None, "ann", "wait")

        world.effects["fence"] = hold
        await daemon.say("shop", inputs.Trigger("ann", "drill", RungKind.DATA))
        await world.seconds(5)
        with pytest.raises(RefusedError, match="half done"):
            await daemon.say("shop", inputs.Resolve("ann"))
        await daemon.say("shop", inputs.Abort("ann", "not now"))
        world.switch.unfreeze(None, "bob")
        await world.seconds(10)
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.run is not None
        assert incident.run.outcome is RunOutcome.ABORTED
        assert world.executed[-1].endswith("data compensation/lift anyway")


async def test_an_approval_of_another_rung_is_refused() -> None:
    world = World()
    async with running(world) as daemon:
        await baking(world, daemon)
        world.service.errors = 0.4
        await world.seconds(90)
        head = [message for message in world.notifier.sent if message.header][-1]
        assert ("approve.data", "Approve", "shop|shop-1") in head.buttons
        with pytest.raises(RefusedError, match="code"):
            await daemon.say("shop", inputs.Approve("ann", rung=RungKind.CODE))


@pytest.mark.parametrize(
    ("applied", "outcome"), [(Applied.NO, RunOutcome.STEP_FAILED), (Applied.CANNOT_TELL, RunOutcome.UNKNOWN)]
)
async def test_a_compensation_that_fails_is_said(applied: Applied, outcome: RunOutcome) -> None:
    world = World(settings(compensated()))

    async def fail(_: StepContext) -> None:
        raise StepError("the script does not fit")

    async def doubt(_: StepContext) -> None:
        raise StepUncertainError("the connection broke")

    world.effects["undo"], world.effects["lift anyway"] = fail, doubt
    world.verification = Verification(applied)
    async with running(world) as daemon:
        await baking(world, daemon)
        await daemon.say("shop", inputs.Trigger("ann", "drill", RungKind.DATA))
        await world.seconds(20)
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.run is not None
        assert incident.run.outcome is outcome
        assert any("compensation failed too" in message.text for message in world.notifier.sent)


async def test_an_incident_that_was_frozen_to_its_end_can_be_resolved() -> None:
    world = World(settings(Playbook("empty", "hash", ())))
    async with running(world) as daemon:
        await baking(world, daemon)
        await daemon.say("shop", inputs.Trigger("ann", "drill"))
        await world.seconds(3)
        await daemon.say("shop", inputs.Resolve("ann"))
        incident = daemon.guard("shop").incident
        assert incident is not None
        assert incident.resolved_at is not None
