"""What a configuration says, checked and ready to be built from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from watchdog.config.problems import Problem
from watchdog.model.guards import GuardSettings
from watchdog.model.time import SECOND, Span
from watchdog.ports.kinds import ActionKind, NotifierKind, ProbeKind, TargetKind


class DiscovererKind(Protocol):
    """How releases are discovered in one kind of target, as far as a configuration has to know."""

    @property
    def takes(self) -> str:
        """Which of the keys of `discover` it has a use for: `tables`, `deployments`, or none."""
        ...

    @property
    def needed(self) -> bool:
        """Whether it can do nothing without that key."""
        ...

    @property
    def tools(self) -> tuple[str, ...]:
        """What a table may be said to belong to."""
        ...


@dataclass(frozen=True, kw_only=True)
class Registries:
    """Every kind that can be configured, by its name; handed in by the composition root.

    Attributes:
        discoverers: By the kind of target.
    """

    targets: Mapping[str, TargetKind[Any]]
    probes: Mapping[str, ProbeKind[Any, Any]]
    actions: Mapping[str, ActionKind[Any]]
    notifiers: Mapping[str, NotifierKind[Any]]
    discoverers: Mapping[str, DiscovererKind] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Discover:
    """Where releases that nobody announced are looked for.

    Attributes:
        targets: Roles.
        every: How often; also how much of a good baseline may be given away.
        tables: Tools by the names that somebody has given their version tables.
        deployments: Of Kubernetes, in the target's namespace.
        flags: What the flag rung switches off, as nobody has named the flags of such a release.
    """

    targets: tuple[str, ...]
    every: Span = 15 * SECOND
    tables: Mapping[str, str] = field(default_factory=dict)
    deployments: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ConfiguredTarget:
    """A target's kind and options."""

    kind: str
    options: Any


@dataclass(frozen=True, kw_only=True)
class ConfiguredProbe:
    """A probe of one guard.

    Attributes:
        name: Unique within its guard: kind and role, with a number when there are several.
        target: The role of the target that it reads.
        every: Interval in nanoseconds, the guard's own `every` applied.
        timeout: Nanoseconds.
        reads: The kind's read options by the name of the signal.
    """

    kind: str
    name: str
    target: str
    every: Span
    timeout: Span
    options: Any
    reads: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class GuardConfiguration:
    """A guard with what it is built from.

    Attributes:
        roles: The target's name for each role; a role is the target of the same name unless the guard says otherwise.
        demo: Short times are meant.
        discover: None when releases that nobody announced are not looked for.
    """

    settings: GuardSettings
    probes: tuple[ConfiguredProbe, ...]
    roles: Mapping[str, str]
    demo: bool = False
    discover: Discover | None = None


@dataclass(frozen=True, kw_only=True)
class JournalConfiguration:
    """Which journal, and where."""

    kind: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Address:
    """A host and a TCP port; port 0 takes a free one."""

    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class WebConfiguration:
    """Where the daemon is reached: its Unix socket, and `/metrics` and `/health` over TCP when wanted."""

    socket: Path
    metrics: Address | None = None


@dataclass(frozen=True, kw_only=True)
class ConfiguredNotifier:
    """A notifier's kind and options."""

    kind: str
    options: Any


@dataclass(frozen=True, kw_only=True)
class Channel:
    """Where a notice goes: a notifier, and the receiver as that notifier names it."""

    notifier: str
    to: str


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Everything that `config.yaml` and the files it names say.

    Attributes:
        path: Of `config.yaml`.
        state: The directory of what the daemon keeps.
        warnings: What is allowed but probably not meant.
    """

    path: Path
    state: Path
    targets: Mapping[str, ConfiguredTarget]
    guards: tuple[GuardConfiguration, ...]
    journal: JournalConfiguration
    web: WebConfiguration
    notifiers: Mapping[str, ConfiguredNotifier] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a check found.

    Attributes:
        configuration: None when there are problems.
        problems: Mistakes that keep the daemon from starting, by file and line.
    """

    configuration: Configuration | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
