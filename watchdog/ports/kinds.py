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
    """A kind of target. `build` opens nothing yet.

    Attributes:
        complaints: What is wrong with these options that can be seen without connecting; written as in `ActionKind`.
            May reveal secrets to look at their shape, and shows nothing of them.
    """

    name: str
    options: type[Options]
    build: Callable[[str, Options], Target]
    complaints: Callable[[Options], Iterable[str]] = lambda _options: ()


@dataclass(frozen=True)
class ProbeKind(Generic[Options, Read]):
    """A kind of probe.

    Attributes:
        options: What the probe itself takes.
        read: What each of its signals takes.
        targets: Kinds of target it can read; several roles are asked for by options of type `Role`.
        signal_kind: The kind of signal that a reading gives.
        complaints: What is wrong with what one signal takes that can be seen without a target; written as in
            `ActionKind`.
        labels: The labels that tell the series of such a signal apart; none when it is one series.
    """

    name: str
    options: type[Options]
    read: type[Read]
    targets: tuple[str, ...]
    signal_kind: Callable[[Read], SignalKind]
    build: Callable[[str, Options, Mapping[str, Read], Resources], Probe]
    complaints: Callable[[Read], Iterable[str]] = lambda _read: ()
    labels: Callable[[Read], tuple[str, ...]] = lambda _read: ()


@dataclass(frozen=True)
class Fencing:
    """What a step does to the right of roles to write.

    Attributes:
        lifts: Whether it gives the right back instead of taking it.
    """

    roles: frozenset[str]
    lifts: bool


@dataclass(frozen=True)
class ActionKind(Generic[Options]):
    """A kind of step.

    Attributes:
        targets: Kinds of target it can act on; empty when it needs none.
        transactional: Whether it can put effect and receipt into one transaction.
        complaints: What is wrong with these options that can be seen without a target (destructive SQL without
            archive, a syntax error …), one sentence each. In front stands `line N: ` where the script is meant,
            `key: ` where an option is, `key line N: ` where one of several scripts is; `; write …` at the end says
            what to write instead.
        destroys: Whether a step with these options destroys data, archived or not. May raise a `WatchdogError` for
            options that have complaints.
        fencing: What the step does to writers; None for nothing.
    """

    name: str
    options: type[Options]
    targets: tuple[str, ...]
    transactional: Callable[[Options], bool]
    build: Callable[[str, Options, Resources], Action]
    complaints: Callable[[Options], Iterable[str]] = lambda _options: ()
    destroys: Callable[[Options], bool] = lambda _options: False
    fencing: Callable[[Options], Fencing | None] = lambda _options: None


@dataclass(frozen=True)
class NotifierKind(Generic[Options]):
    """A kind of notifier."""

    name: str
    options: type[Options]
    build: Callable[[Options, Clock], Any]


__all__ = [
    "ActionKind",
    "Duration",
    "Fencing",
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
