"""Composition: a checked configuration becomes the parts of a daemon. Nothing is connected yet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
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
from watchdog.ports.kinds import Resources, Target
from watchdog.ports.notifiers import Notifier
from watchdog.runtime.daemon import DaemonParts, GuardParts
from watchdog.runtime.ids import holder
from watchdog.runtime.observer import WatchedProbe
from watchdog.runtime.sender import Channel
from watchdog.runtime.ticker import SchedulerTicker


@dataclass(frozen=True)
class GuardResources:
    """What a guard's probes and actions may take: the clock, and targets by their role in this guard."""

    clock: Clock
    targets: Mapping[str, Target]
    roles: Mapping[str, str]

    def target(self, role: str) -> Target:
        """The target in this role."""
        return self.targets[self.roles.get(role, role)]


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
    """Makes the action of a step anew for every execution, from the options that the run has kept."""

    def build(step: Step) -> Action:
        kind = kinds.actions[step.kind]
        action: Action = kind.build(step.target, step_options(kind, step.options), resources)
        return action

    return build


async def compose(configuration: Configuration, kinds: Registries, clock: Clock) -> DaemonParts:
    """The parts of a daemon.

    Raises:
        JournalError: The journal or the samples beside it cannot be opened.
    """
    configuration.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    built = targets(configuration, kinds)
    notifiers: dict[str, Any] = {
        name: kinds.notifiers[one.kind].build(one.options, clock) for name, one in configuration.notifiers.items()
    }
    guards = []
    for guard in configuration.guards:
        resources = GuardResources(clock, built, guard.roles)
        guards.append(
            GuardParts(
                guard.settings,
                probes(guard, resources, kinds),
                action_builder(resources, kinds),
                partial(vouch, settings=guard.settings, resources=resources),
            )
        )
    used: dict[str, Notifier] = {
        channel.notifier: notifiers[channel.notifier] for channel in configuration.channels.values()
    }
    journal = configuration.journal.path
    return DaemonParts(
        clock=clock,
        ticker=SchedulerTicker(clock),
        holder=holder(),
        journal=await SqliteJournal.open(journal),
        samples=await SqliteSamples.open(journal.with_name("samples.db"), keep=HOUR),
        lease=FileLease(journal, clock),
        switch=FileFreezeSwitch(configuration.state),
        guards=tuple(guards),
        channels={name: Channel(notifiers[one.notifier], one.to) for name, one in configuration.channels.items()},
        notifiers=tuple(used.values()),
        targets=tuple(built.values()),
    )
