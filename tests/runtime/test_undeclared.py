"""Errors that nobody declares are bugs of ours, and may quote anything."""

from tests.support.guard_world import World, release
from watchdog.model import inputs
from watchdog.model.rules import RungKind
from watchdog.model.verdicts import ProbeFailed
from watchdog.ports.actions import StepContext


async def test_what_an_action_should_not_raise_is_told_by_its_kind() -> None:
    world = World()

    async def crash(_context: StepContext) -> None:
        raise KeyError("SSN-123")

    world.effects["flag off"] = crash
    daemon = world.daemon()
    await daemon.start()
    try:
        await world.seconds(25)
        await daemon.start_release("shop", release())
        await daemon.say("shop", inputs.Trigger("ann", "drill", RungKind.FLAG))
        await world.seconds(10)
        said = str(await daemon.events("shop"))
    finally:
        await daemon.stop()
    assert "KeyError, which it does not declare" in said
    assert "SSN-123" not in said


async def test_what_a_probe_should_not_raise_is_told_by_its_kind() -> None:
    world = World()
    daemon = world.daemon()
    await daemon.start()
    try:
        world.service.down = KeyError("SSN-123")
        await world.seconds(25)
        verdict = daemon.verdicts("shop")["error_rate"]
        _, health = daemon.ready()
    finally:
        await daemon.stop()
    assert isinstance(verdict, ProbeFailed)
    assert verdict.error == "api: KeyError; the log says more"
    assert "SSN-123" not in health
