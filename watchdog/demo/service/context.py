"""What every handler is given: the open stores, the counters, the flags, and which version this is."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import psycopg
from aiohttp import web

from watchdog.demo.service import statements
from watchdog.demo.service.metrics import Metrics
from watchdog.demo.service.stores import Stores, Version

REEMBED_FLAG = "migration_reembed_documents_enabled"
FLAGS_TTL_S = 1.0


@dataclass
class Flags:
    """The feature flags as this process sees them, read from the table at most once a second.

    While the table cannot be read the last view stays; before the first read every flag is off.
    """

    stores: Stores
    _view: Mapping[str, bool] = field(default_factory=dict)
    _read_at: float = float("-inf")

    async def view(self) -> Mapping[str, bool]:
        """Flag name to enabled, at most `FLAGS_TTL_S` old while PostgreSQL answers."""
        now = time.monotonic()
        if now - self._read_at >= FLAGS_TTL_S:
            self._read_at = now
            try:
                rows = await self.stores.rows(statements.SELECT_FLAGS)
            except psycopg.Error:
                return self._view
            self._view = MappingProxyType({row["name"]: row["enabled"] for row in rows})
        return self._view

    async def enabled(self, name: str) -> bool:
        """Whether the flag is on; an unknown flag is off."""
        return (await self.view()).get(name, False)


@dataclass(frozen=True)
class Service:
    """One running process of the service."""

    version: Version
    fault: str
    stores: Stores
    metrics: Metrics
    flags: Flags


SERVICE = web.AppKey("service", Service)
