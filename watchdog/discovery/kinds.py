"""How the discoverer of each kind of target is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from watchdog.discovery.watch import Discoverer
from watchdog.ports.clock import Clock
from watchdog.ports.kinds import Target


@dataclass(frozen=True)
class Sought:
    """What a guard says of the places that are looked at.

    Attributes:
        tables: Tools by the names that somebody has given their version tables.
        deployments: Names of Kubernetes deployments.
    """

    tables: Mapping[str, str] = field(default_factory=dict)
    deployments: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiscovererKind:
    """The discoverer of one kind of target.

    Attributes:
        takes: The part of `Sought` that it has a use for.
        needed: Whether it can do nothing without that part.
        tools: What a table may be said to belong to.
    """

    build: Callable[[Target, Clock, Sought], Discoverer]
    takes: str = ""
    needed: bool = False
    tools: tuple[str, ...] = ()
