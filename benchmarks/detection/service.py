"""A service during a release, as its probes read it: two versions side by side, a database, integrity checks."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np

from benchmarks.detection.latency import BOUNDS, beyond
from benchmarks.detection.traffic import TICK, bads
from benchmarks.detection.twin import Floats
from watchdog.model.signals import Cause, Histogram, Labels, Missing, Sample, SignalId
from watchdog.model.time import Time

NORMAL: Final = 0.003
"""Share of requests that fail on a good day."""
OLD: Final = "v1"
NEW: Final = "v2"
CHECKS: Final = (
    "constraints_not_validated",
    "invalid_indexes",
    "foreign_key_orphans",
    "schema_version_missing",
    "vector_nulls",
    "vector_wrong_dimensions",
    "rows_without_vector",
    "vectors_without_row",
    "rows_and_nodes",
)
CHECKED: Final = 3
"""Ticks between two rounds of checks."""


@dataclass(frozen=True)
class Conditions:
    """What it is like at the moment.

    Attributes:
        errors: Share of requests that fail (0 to 1), by version.
        slow: Factor of the latency, by version.
        codes: Share of the failing requests that the service counts with this SQLSTATE.
        connections: Database connections a second that cannot be had.
        load: Factor of the usual rate.
        done: Share of requests that complete at all.
        blocked: Sessions that queue behind a schema change.
        violations: Rows that the checks find wrong.
        dark: Nothing can be reached by the probes.
        schema: Another number when somebody changed the schema.
    """

    errors: Mapping[str, float] = field(default_factory=dict)
    slow: Mapping[str, float] = field(default_factory=dict)
    codes: Mapping[str, float] = field(default_factory=dict)
    connections: float = 0.0
    load: float = 1.0
    done: float = 1.0
    blocked: float = 0.0
    violations: float = 0.0
    dark: bool = False
    schema: float = 0.0


@cache
def _shares(slow: float) -> Floats:
    """The share of requests in each bucket."""
    above = [1.0, *(float(beyond(bound, np.full(1, slow))[0]) for bound in BOUNDS)]
    return -np.diff(np.array(above))


@dataclass
class Service:
    """Its counters.

    Attributes:
        rate: Requests a second.
        new: Share of the requests that the new version answers.
        users: SQLSTATE 23502 an hour that users' own mistakes cause, release or not.
    """

    rng: np.random.Generator
    rate: float
    burstiness: float
    users: float
    new: float = 0.0
    counts: Counter[tuple[str, Labels]] = field(default_factory=Counter)
    buckets: dict[str, Floats] = field(default_factory=dict)
    ticks: int = 0

    def read(self, now: Conditions, at: Time) -> list[Sample]:
        """Five seconds pass, and every probe reads once."""
        self.ticks += 1
        waiting = self._serve(now)
        if now.dark:
            return [Sample(SignalId(name), at, Missing(Cause.UNREACHABLE, "no answer")) for name in self._names()]
        return list(self._samples(now, waiting, at))

    def _serve(self, now: Conditions) -> float:
        waiting = 1.0
        for version, share in ((OLD, 1.0 - self.new), (NEW, self.new)):
            came = int(self.rng.poisson(self.rate * TICK * share * now.load))
            done = int(self.rng.binomial(came, now.done))
            bad = self._bad(done, now.errors.get(version, NORMAL))
            labels = (("version", version),)
            self.counts["requests", labels] += done
            self.counts["errors", labels] += bad
            for code, part in now.codes.items():
                self.counts["db_errors", (("sqlstate", code),)] += int(self.rng.binomial(bad, part))
            slow = round(now.slow.get(version, 1.0), 1)
            drawn = np.cumsum(self.rng.multinomial(done, _shares(slow))).astype(np.float64)
            self.buckets[version] = self.buckets.get(version, np.zeros(len(BOUNDS))) + drawn
            waiting += came - done
        self.counts["db_errors", (("sqlstate", "23502"),)] += int(self.rng.poisson(self.users * TICK / 3600))
        self.counts["connection_errors", ()] += int(self.rng.poisson(now.connections * TICK))
        return waiting

    def _bad(self, done: int, share: float) -> int:
        drawn = bads(self.rng, np.full((1, 1), float(done)), np.full((1, 1), share), self.burstiness)
        return int(drawn[0, 0])

    def _names(self) -> tuple[str, ...]:
        read = ("requests", "errors", "latency", "in_flight", "connection_errors", "db_errors", "db_blocked_ddl")
        return (*read, "db_schema", *CHECKS) if self.ticks % CHECKED == 0 else read

    def _samples(self, now: Conditions, waiting: float, at: Time) -> Iterator[Sample]:
        for (name, labels), value in self.counts.items():
            yield Sample(SignalId(name, labels), at, float(value))
        for version, counts in self.buckets.items():
            yield Sample(
                SignalId("latency", (("version", version),)), at, Histogram(BOUNDS, tuple(map(float, counts)), 0.0)
            )
        yield Sample(SignalId("in_flight"), at, waiting)
        yield Sample(SignalId("db_blocked_ddl"), at, now.blocked)
        if self.ticks % CHECKED == 0:
            yield Sample(SignalId("db_schema"), at, now.schema)
            for name in CHECKS:
                yield Sample(SignalId(name), at, now.violations if name == "foreign_key_orphans" else 0.0)
