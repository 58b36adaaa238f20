"""What a procedure works on: a guard with its targets, as the configuration has them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from watchdog.app.compose import GuardResources, find_guard, probes, targets
from watchdog.app.registries import registries
from watchdog.config import Configuration, GuardConfiguration, load
from watchdog.model.time import MILLISECOND, Span
from watchdog.ports.clock import Clock
from watchdog.ports.kinds import Target
from watchdog.runtime.observer import WatchedProbe
from watchdog.targets.postgres import Connection, PostgresTarget

T = TypeVar("T", bound=Target)


@dataclass(frozen=True)
class Place:
    """A guard, its probes and its targets; nothing is connected before it is used."""

    configuration: Configuration
    guard: GuardConfiguration
    resources: GuardResources
    probes: tuple[WatchedProbe, ...]

    @property
    def clock(self) -> Clock:
        """Time for everything here."""
        return self.resources.clock

    def used(self, kind: type[T]) -> Mapping[str, T]:
        """The targets of one kind that the guard reads or acts on, by their role, in the order of first use."""
        settings = self.guard.settings
        steps = [step for rung in settings.playbook.rungs for step in (*rung.steps, *rung.compensate)]
        roles = [*(probe.target for probe in self.guard.probes), *(step.target for step in steps if step.target)]
        found: dict[str, T] = {}
        for role in dict.fromkeys(roles):
            target = self.resources.target(role)
            if isinstance(target, kind) and target not in found.values():
                found[role] = target
        return found


@asynccontextmanager
async def place(path: Path, guard: str, clock: Clock) -> AsyncIterator[Place]:
    """The place of a guard; its targets are let go of at the end.

    Raises:
        ConfigError: The configuration has mistakes.
        NoGuardError: There is no such guard.
    """
    kinds = registries()
    configuration = load(path, kinds)
    found = find_guard(configuration, guard)
    built = targets(configuration, kinds)
    resources = GuardResources(clock, built, found.roles)
    try:
        yield Place(configuration, found, resources, probes(found, resources, kinds))
    finally:
        for target in built.values():
            await target.close()


@asynccontextmanager
async def looking(target: PostgresTarget, patience: Span) -> AsyncIterator[Connection]:
    """One transaction that can only read, and whose statements take no longer than `patience`.

    Policies that would hide rows are an error instead: a count of a part would be taken for the whole.

    Raises:
        PostgresError: The server cannot be reached or refuses.
    """
    async with target.observe() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL statement_timeout = {max(1, patience // MILLISECOND)}".encode())
        await connection.execute("SET LOCAL row_security = off")
        yield connection
