"""`watchdog playbook run --dry-run`: what each step would do to its live target now. Nothing is changed."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from watchdog.app.compose import GuardResources, action_builder, find_guard, targets
from watchdog.app.registries import registries
from watchdog.config import load
from watchdog.model.playbooks import Step
from watchdog.model.rules import RungKind
from watchdog.ports.actions import StepContext
from watchdog.ports.errors import WatchdogError
from watchdog.runtime.clock import SystemClock


@dataclass(frozen=True)
class Preview:
    """One step.

    Attributes:
        would: What it would do, or why that cannot be said.
        possible: Whether it could run now, as far as can be seen.
    """

    rung: RungKind
    step: Step
    would: str
    possible: bool


async def dry_run(
    path: Path, guard_name: str, facts: Mapping[str, str], only: RungKind | None = None
) -> AsyncIterator[Preview]:
    """Looks at every step of a guard's ladder, or of one rung.

    Args:
        facts: What the release would say: `old_version`, `new_version`, `flags` (see `StepContext.facts`).

    Raises:
        ConfigError: The configuration has mistakes.
        NoGuardError: There is no such guard.
    """
    kinds = registries()
    configuration = load(path, kinds)
    guard = find_guard(configuration, guard_name)
    clock = SystemClock()
    built = targets(configuration, kinds)
    build = action_builder(GuardResources(clock, built, guard.roles), kinds)
    try:
        for rung in guard.settings.playbook.rungs:
            if only is not None and rung.kind is not only:
                continue
            for step in rung.steps:
                context = StepContext(
                    guard=guard_name,
                    run_id="dry-run",
                    step_id=f"dry-run/{rung.kind}/{step.name}",
                    epoch=0,
                    deadline=clock.now() + step.timeout,
                    clock=clock,
                    facts=facts,
                )
                try:
                    yield Preview(rung.kind, step, await build(step).preview(context), possible=True)
                except WatchdogError as error:
                    yield Preview(rung.kind, step, str(error), possible=False)
    finally:
        for target in built.values():
            await target.close()
