"""What every handler is given: the open stores, the counters, the flags, and which version this is."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import psycopg
from aiohttp import web

from watchdog.demo.service import statements
from watchdog.demo.service.errors import BrokenError
from watchdog.demo.service.metrics import Metrics
from watchdog.demo.service.stores import ACQUIRE_TIMEOUT_S, Stores, Version

REEMBED_FLAG = "migration_reembed_documents_enabled"
FLAGS_TTL_S = 1.0
SLOWER_S = 0.25
"""Seconds that a query without its index would take."""


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

    async def mistakes(self) -> None:
        """What the new version does wrong before it answers, with the faults `latency`, `connections` and `canary`.

        Raises:
            BrokenError: It cannot answer.
        """
        if self.version != "v2":
            return
        if self.fault == "canary" and await self.flags.enabled(REEMBED_FLAG):
            raise BrokenError
        if self.fault == "latency":
            await self.stores.rows("SELECT pg_sleep(%(seconds)s)", {"seconds": SLOWER_S})
        if self.fault == "connections":
            # Taken from the pool and never given back.
            await self.stores.pool.getconn(timeout=ACQUIRE_TIMEOUT_S)


SERVICE = web.AppKey("service", Service)
