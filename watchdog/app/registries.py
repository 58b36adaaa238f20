"""The registries of kinds: one line for each adapter, loaded when it is configured and not before."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar

from watchdog.config import Registries
from watchdog.discovery.kinds import DiscovererKind
from watchdog.ports.kinds import ActionKind, NotifierKind, ProbeKind, TargetKind

Kind = TypeVar("Kind")

TARGETS = {
    "http": "watchdog.targets.http",
    "kubernetes": "watchdog.targets.kubernetes",
    "neo4j": "watchdog.targets.neo4j",
    "postgres": "watchdog.targets.postgres",
    "process": "watchdog.targets.process",
    "redis": "watchdog.targets.redis",
}

PROBES = {
    "cross_check": "watchdog.probes.cross_check",
    "cypher_check": "watchdog.probes.cypher_check",
    "graph_shape": "watchdog.probes.graph_shape",
    "http": "watchdog.probes.http",
    "metrics": "watchdog.probes.metrics",
    "neo4j": "watchdog.probes.neo4j",
    "pgvector": "watchdog.probes.pgvector",
    "postgres": "watchdog.probes.postgres",
    "prometheus": "watchdog.probes.prometheus",
    "redis": "watchdog.probes.redis",
    "schema_check": "watchdog.probes.schema_check",
    "sql_check": "watchdog.probes.sql_check",
    "statements": "watchdog.probes.statements",
    "vector_recall": "watchdog.probes.vector_recall",
}

ACTIONS = {
    "cache_migrations": "watchdog.actions.cache_migrations",
    "cancel_migration": "watchdog.actions.cancel_migration",
    "cypher": "watchdog.actions.cypher",
    "feature_flag": "watchdog.actions.feature_flag",
    "fence_writers": "watchdog.actions.fence_writers",
    "graph_migrations": "watchdog.actions.graph_migrations",
    "http": "watchdog.actions.http",
    "migrations": "watchdog.actions.migrations",
    "process": "watchdog.actions.process",
    "redis": "watchdog.actions.redis",
    "sql": "watchdog.actions.sql",
    "vector_migrations": "watchdog.actions.vector_migrations",
    "verify": "watchdog.actions.verify",
    "wait": "watchdog.actions.wait",
}

NOTIFIERS = {
    "log": "watchdog.notifiers.log",
    "slack": "watchdog.notifiers.slack",
}

# By the kind of target.
DISCOVERERS = {
    "kubernetes": "watchdog.discovery.kubernetes",
    "neo4j": "watchdog.discovery.neo4j",
    "postgres": "watchdog.discovery.postgres",
}


class LazyKinds(Mapping[str, Kind], Generic[Kind]):
    """Kinds by name; a kind's module is imported when the kind is first asked for."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = modules

    def __getitem__(self, name: str) -> Kind:
        """The kind of this name."""
        kind: Kind = import_module(self._modules[name]).KIND
        return kind

    def __iter__(self) -> Iterator[str]:
        """Every name, without loading anything."""
        return iter(self._modules)

    def __len__(self) -> int:
        """How many kinds there are."""
        return len(self._modules)


def registries() -> Registries:
    """Every kind that can be configured."""
    targets: LazyKinds[TargetKind[Any]] = LazyKinds(TARGETS)
    probes: LazyKinds[ProbeKind[Any, Any]] = LazyKinds(PROBES)
    actions: LazyKinds[ActionKind[Any]] = LazyKinds(ACTIONS)
    notifiers: LazyKinds[NotifierKind[Any]] = LazyKinds(NOTIFIERS)
    discoverers: LazyKinds[DiscovererKind] = LazyKinds(DISCOVERERS)
    return Registries(targets=targets, probes=probes, actions=actions, notifiers=notifiers, discoverers=discoverers)
