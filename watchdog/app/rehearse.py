"""`watchdog playbook rehearse`: the data rung's store steps, for real, on the scratch copy that the targets name."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from watchdog.app.compose import GuardResources, action_builder, targets
from watchdog.app.registries import registries
from watchdog.config import Configuration, GuardConfiguration, load
from watchdog.migrations.rehearsal import RecordedWrite, rehearse
from watchdog.model.playbooks import Rung, Step
from watchdog.model.releases import Certificate
from watchdog.model.rules import RungKind
from watchdog.ports.actions import StepContext
from watchdog.ports.errors import WatchdogError
from watchdog.runtime.clock import SystemClock
from watchdog.targets.postgres import PostgresTarget

STORE_STEPS = frozenset({"sql", "cypher"})
"""Steps that a rehearsal runs; processes, caches and fences of production have no part in it."""


class RehearsalError(WatchdogError):
    """A rehearsal cannot be held, and why."""


def find_guard(configuration: Configuration, name: str) -> GuardConfiguration:
    """A guard by its name.

    Raises:
        RehearsalError: There is none.
    """
    for guard in configuration.guards:
        if guard.settings.name == name:
            return guard
    known = ", ".join(guard.settings.name for guard in configuration.guards)
    raise RehearsalError(f"no guard {name!r} in {configuration.path}; there are: {known}")


async def certify(path: Path, guard_name: str, up: Sequence[str], writes: Sequence[RecordedWrite]) -> Certificate:
    """Rehearses the data rung of a guard against the targets of a configuration whose addresses name a scratch copy.

    Args:
        up: The command that applies the release to the scratch copy; no shell.
        writes: Recorded writes of the old version.

    Raises:
        RehearsalError: The guard, its data rung or its database is not there, or `up` failed.
        WatchdogError: A step failed.
    """
    kinds = registries()
    configuration = load(path, kinds)
    guard = find_guard(configuration, guard_name)
    clock = SystemClock()
    built = targets(configuration, kinds)
    resources = GuardResources(clock, built, guard.roles)
    build = action_builder(resources, kinds)
    rung = _data_rung(guard)
    steps = [step for step in rung.steps if step.kind in STORE_STEPS]
    database = _database(steps, resources)

    async def apply() -> None:
        await _run(up)

    async def take_back() -> None:
        for step in steps:
            context = StepContext(
                guard=guard_name,
                run_id="rehearsal",
                step_id=f"rehearsal/{rung.kind}/{step.name}",
                epoch=1,
                deadline=clock.now() + step.timeout,
                clock=clock,
            )
            await build(step).execute(context)

    try:
        return await rehearse(database, apply, take_back, writes, guard.settings.playbook.hash, clock)
    finally:
        for target in built.values():
            await target.close()


def _data_rung(guard: GuardConfiguration) -> Rung:
    for rung in guard.settings.playbook.rungs:
        if rung.kind is RungKind.DATA:
            return rung
    raise RehearsalError(f"playbook {guard.settings.playbook.name} has no data rung, so nothing is to be rehearsed")


def _database(steps: Sequence[Step], resources: GuardResources) -> PostgresTarget:
    for step in steps:
        target = resources.target(step.target)
        if isinstance(target, PostgresTarget):
            return target
    raise RehearsalError("the data rung has no sql step, so there is no database to compare")


async def _run(command: Sequence[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        said = errors.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise RehearsalError(f"{command[0]} ended with status {process.returncode}: {said[0]}")
