"""Composition: a checked configuration becomes the parts of a daemon. No target is connected yet."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from watchdog.app.vouch import vouch
from watchdog.config import Configuration, GuardConfiguration, Registries, step_options
from watchdog.journals.samples import SqliteSamples
from watchdog.journals.sqlite import SqliteJournal
from watchdog.leases.file_lock import FileLease
from watchdog.leases.freeze import FileFreezeSwitch
from watchdog.model.playbooks import Step
from watchdog.model.time import HOUR
from watchdog.ports.actions import Action
from watchdog.ports.clock import Clock
from watchdog.ports.errors import WatchdogError
from watchdog.ports.kinds import Resources, Target
from watchdog.ports.notifiers import Notifier
from watchdog.runtime.daemon import DaemonParts, GuardParts
from watchdog.runtime.ids import holder
from watchdog.runtime.observer import WatchedProbe
from watchdog.runtime.sender import Channel
from watchdog.runtime.ticker import SchedulerTicker


class StateError(WatchdogError):
    """The directory of what a daemon keeps cannot be used."""


class GoneError(WatchdogError):
    """A run that is under way needs something that is not there any more."""


class NoGuardError(WatchdogError):
    """No guard of this name is configured."""


@dataclass(frozen=True)
class GuardResources:
    """What a guard's probes and actions may take: the clock, and targets by their role in this guard."""

    clock: Clock
    targets: Mapping[str, Target]
    roles: Mapping[str, str]

    def target(self, role: str) -> Target:
        """The target in this role.

        Raises:
            GoneError: There is none, so the configuration has changed since the step was planned.
        """
        name = self.roles.get(role, role)
        if name not in self.targets:
            raise GoneError(f"no target {name!r} is configured any more: put it back, or abort the run")
        return self.targets[name]


def find_guard(configuration: Configuration, name: str) -> GuardConfiguration:
    """A guard by its name.

    Raises:
        NoGuardError: There is none.
    """
    for guard in configuration.guards:
        if guard.settings.name == name:
            return guard
    known = ", ".join(guard.settings.name for guard in configuration.guards)
    raise NoGuardError(f"no guard {name!r} in {configuration.path}; there are: {known}")


def targets(configuration: Configuration, kinds: Registries) -> dict[str, Target]:
    """Every configured target; each opens its connections on first use."""
    return {
        name: kinds.targets[configured.kind].build(name, configured.options)
        for name, configured in configuration.targets.items()
    }


def probes(guard: GuardConfiguration, resources: Resources, kinds: Registries) -> tuple[WatchedProbe, ...]:
    """A guard's probes with their schedules."""
    return tuple(
        WatchedProbe(
            name=one.name,
            probe=kinds.probes[one.kind].build(one.target, one.options, one.reads, resources),
            every=one.every,
            timeout=one.timeout,
            signals=tuple(one.reads),
        )
        for one in guard.probes
    )


def action_builder(resources: Resources, kinds: Registries) -> Callable[[Step], Action]:
    """Makes the action of a step anew for every execution, from the options that the run has kept.

    It raises a `WatchdogError` for a step that the configuration of today has nothing for.
    """

    def build(step: Step) -> Action:
        if step.kind not in kinds.actions:
            raise GoneError(f"this version has no {step.kind!r} steps: finish the run with the one that began it")
        kind = kinds.actions[step.kind]
        action: Action = kind.build(step.target, step_options(kind, step.options), resources)
        return action

    return build


async def compose(configuration: Configuration, kinds: Registries, clock: Clock) -> DaemonParts:
    """The parts of a daemon, which holds the lease on its journal from here on.

    Raises:
        StateError: The state directory cannot be made.
        JournalHeldError: Another process has the journal.
        JournalError: The journal or the samples beside it cannot be opened.
    """
    _make_state(configuration.state, configuration.path)
    built = targets(configuration, kinds)
    notifiers: dict[str, Any] = {
        name: kinds.notifiers[one.kind].build(one.options, clock) for name, one in configuration.notifiers.items()
    }
    guards = [_guard(guard, GuardResources(clock, built, guard.roles), kinds) for guard in configuration.guards]
    used: dict[str, Notifier] = {
        channel.notifier: notifiers[channel.notifier] for channel in configuration.channels.values()
    }
    lease, journal, samples = await _open(configuration.journal.path, clock)
    return DaemonParts(
        clock=clock,
        ticker=SchedulerTicker(clock),
        holder=holder(),
        journal=journal,
        samples=samples,
        lease=lease,
        switch=FileFreezeSwitch(configuration.state),
        guards=tuple(guards),
        channels={name: Channel(notifiers[one.notifier], one.to) for name, one in configuration.channels.items()},
        notifiers=tuple(used.values()),
        targets=tuple(built.values()),
    )


def _guard(guard: GuardConfiguration, resources: Resources, kinds: Registries) -> GuardParts:
    return GuardParts(
        guard.settings,
        probes(guard, resources, kinds),
        action_builder(resources, kinds),
        partial(vouch, settings=guard.settings, resources=resources),
        _targets(guard),
    )


def _targets(guard: GuardConfiguration) -> frozenset[str]:
    """The names of all that a guard looks at or acts on."""
    steps = (step for rung in guard.settings.playbook.rungs for step in (*rung.steps, *rung.compensate))
    roles = {*(spec.target for spec in guard.settings.signals), *(step.target for step in steps)}
    return frozenset(guard.roles.get(role, role) for role in roles if role)


async def _open(path: Path, clock: Clock) -> tuple[FileLease, SqliteJournal, SqliteSamples]:
    """What a daemon keeps, all of it or nothing."""
    async with contextlib.AsyncExitStack() as opened:
        # The lease comes first: files that another process holds are not even looked into.
        lease = FileLease(path, clock)
        await lease.acquire()
        opened.push_async_callback(lease.release)
        journal = await SqliteJournal.open(path)
        opened.push_async_callback(journal.close)
        samples = await SqliteSamples.open(path.with_name("samples.db"), keep=HOUR)
        opened.pop_all()
    return lease, journal, samples


def _make_state(state: Path, config: Path) -> None:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"The state directory {state} cannot be made ({error.strerror}): set `state` in {config} to a directory "
            "that this user may write."
        ) from error
