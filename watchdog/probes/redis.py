"""What Redis says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from watchdog.model.signals import Cause, Missing, SignalKind
from watchdog.ports.errors import ProbeError, WatchdogError
from watchdog.ports.kinds import ProbeKind, Resources
from watchdog.ports.probes import Reading, Readings
from watchdog.probes.readings import down, no_answer, single
from watchdog.targets.redis import RedisTarget

Of: TypeAlias = Literal["reachable", "hit_ratio", "evicted", "used_memory_bytes", "connected_clients", "keys"]

_FIELDS: Mapping[Of, str] = {
    "evicted": "evicted_keys",
    "used_memory_bytes": "used_memory",
    "connected_clients": "connected_clients",
}


@dataclass(frozen=True, kw_only=True)
class RedisOptions:
    """Takes none: it reads the target's own server and database."""


@dataclass(frozen=True, kw_only=True)
class RedisRead:
    """Which number.

    Attributes:
        of: `reachable` (1 or 0); `hit_ratio`: the share of reads since the last reading that found their key (0 to 1);
            `evicted`: a counter of keys pushed out for want of memory; `used_memory_bytes`; `connected_clients`;
            `keys`: how many the target's database holds.
    """

    of: Of


@dataclass(frozen=True)
class Lookups:
    """Reads since the server's start that found a key, and that did not."""

    hits: int
    misses: int


def hit_ratio(before: Lookups | None, now: Lookups) -> float | Missing:
    """The share of hits between two readings."""
    if before is None or now.hits < before.hits or now.misses < before.misses:
        return Missing(Cause.NOT_YET, "the first reading since the server or the watchdog started")
    hits, misses = now.hits - before.hits, now.misses - before.misses
    if not hits + misses:
        return Missing(Cause.NO_TRAFFIC, "nothing was read since the last reading")
    return hits / (hits + misses)


class RedisProbe:
    """Reads every signal with one round trip; remembers the last reading's lookups."""

    def __init__(self, target: RedisTarget, reads: Mapping[str, RedisRead]) -> None:
        self._target = target
        self._reads = reads
        self._last: Lookups | None = None

    async def read(self) -> Readings:
        """One round trip.

        Raises:
            ProbeError: The server does not answer (unless `reachable` was asked for), refuses us or makes no sense.
        """
        try:
            info, keys = await self._ask()
            values = self._values(info, keys)
        except ProbeError as error:
            reachable = [name for name, read in self._reads.items() if read.of == "reachable"]
            return down(reachable, self._reads.keys() - set(reachable), error)
        return {name: single(values[read.of]) for name, read in self._reads.items()}

    async def _ask(self) -> tuple[Mapping[str, Any], int]:
        try:
            with self._target.translated():
                async with self._target.client().pipeline(transaction=False) as pipe:
                    pipe.info()
                    pipe.dbsize()
                    info, keys = await pipe.execute()
        except WatchdogError as error:
            raise no_answer(error) from error
        return info, keys

    def _values(self, info: Mapping[str, Any], keys: int) -> dict[Of, Reading]:
        try:
            lookups = Lookups(int(info["keyspace_hits"]), int(info["keyspace_misses"]))
            values: dict[Of, Reading] = {of: float(info[field]) for of, field in _FIELDS.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise ProbeError(
                Cause.PROBE_BROKEN, f"target {self._target.place}: its INFO lacks a number; is this Redis or Valkey?"
            ) from error
        values |= {"reachable": 1.0, "keys": float(keys), "hit_ratio": hit_ratio(self._last, lookups)}
        self._last = lookups
        return values


def _build(role: str, _options: RedisOptions, reads: Mapping[str, RedisRead], resources: Resources) -> RedisProbe:
    return RedisProbe(cast("RedisTarget", resources.target(role)), reads)


KIND: ProbeKind[RedisOptions, RedisRead] = ProbeKind(
    name="redis",
    options=RedisOptions,
    read=RedisRead,
    targets=("redis",),
    signal_kind=lambda read: SignalKind.COUNTER if read.of == "evicted" else SignalKind.GAUGE,
    build=_build,
)
