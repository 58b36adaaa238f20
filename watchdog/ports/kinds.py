"""Kinds: what can be configured, by name. The registries of kinds live in `app`; configuration validates by them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NewType, Protocol, TypeVar

from watchdog.model.signals import SignalKind
from watchdog.ports.actions import Action
from watchdog.ports.clock import Clock
from watchdog.ports.probes import Probe
from watchdog.ports.secrets import Secret

Duration = NewType("Duration", int)
"""An option in nanoseconds; written `250ms`, `30s`, `5m`, `1h`, `3d`."""

Role = NewType("Role", str)
"""An option that names another target by its role in the guard."""

Options = TypeVar("Options")
Read = TypeVar("Read")


class Target(Protocol):
    """A named system: holds its own pool or client, opened on first use."""

    name: str

    async def close(self) -> None:
        """Lets go of every connection."""
        ...


@dataclass(frozen=True)
class Script:
    """Statements from a file beside the playbook or written in place.

    Attributes:
        text: The statements.
        source: The file (or `config line N`), for errors.
    """

    text: str
    source: str = ""


class Resources(Protocol):
    """What `build` may take from the composition root."""

    @property
    def clock(self) -> Clock:
        """Time for everything that is built."""
        ...

    def target(self, role: str) -> Target:
        """The target that a guard has in this role."""
        ...


@dataclass(frozen=True)
class TargetKind(Generic[Options]):
    """A kind of target. `build` opens nothing yet."""

    name: str
    options: type[Options]
    build: Callable[[str, Options], Target]


@dataclass(frozen=True)
class ProbeKind(Generic[Options, Read]):
    """A kind of probe.

    Attributes:
        options: What the probe itself takes.
        read: What each of its signals takes.
        targets: Kinds of target it can read; several roles are asked for by options of type `Role`.
        signal_kind: The kind of signal that a reading gives.
    """

    name: str
    options: type[Options]
    read: type[Read]
    targets: tuple[str, ...]
    signal_kind: Callable[[Read], SignalKind]
    build: Callable[[str, Options, Mapping[str, Read], Resources], Probe]


@dataclass(frozen=True)
class ActionKind(Generic[Options]):
    """A kind of step.

    Attributes:
        targets: Kinds of target it can act on; empty when it needs none.
        transactional: Whether it can put effect and receipt into one transaction.
        complaints: What is wrong with these options that can be seen without a target (destructive SQL without
            archive, a syntax error …), one sentence each, `line N: ` in front where a script is meant.
    """

    name: str
    options: type[Options]
    targets: tuple[str, ...]
    transactional: Callable[[Options], bool]
    build: Callable[[str, Options, Resources], Action]
    complaints: Callable[[Options], Iterable[str]] = lambda _options: ()


@dataclass(frozen=True)
class NotifierKind(Generic[Options]):
    """A kind of notifier."""

    name: str
    options: type[Options]
    build: Callable[[Options, Clock], Any]


__all__ = [
    "ActionKind",
    "Duration",
    "NotifierKind",
    "Options",
    "ProbeKind",
    "Read",
    "Resources",
    "Role",
    "Script",
    "Secret",
    "Target",
    "TargetKind",
]
