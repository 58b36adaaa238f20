"""What a plan asks of a store, and the four that answer. Each keeps its own runs, so a plan keeps no journal."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from watchdog.migrations import runs as sql_runs
from watchdog.migrations.apply import apply as apply_sql
from watchdog.migrations.cache import apply as cache_apply
from watchdog.migrations.cache import rollback as cache_rollback
from watchdog.migrations.cache import runs as cache_runs
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.rollback import rollback_graph
from watchdog.migrations.graph.runs import runs_graph
from watchdog.migrations.options import Options
from watchdog.migrations.plans.file import Entry
from watchdog.migrations.release_run import ReleaseRun
from watchdog.migrations.rollback import rollback as rollback_sql
from watchdog.migrations.vectors import apply as vectors_apply
from watchdog.migrations.vectors import rollback as vectors_rollback
from watchdog.migrations.vectors import runs as vectors_runs
from watchdog.ports.errors import WatchdogError
from watchdog.targets.neo4j import Neo4jTarget


@dataclass(frozen=True)
class Stand:
    """One run, as its store knows it.

    Attributes:
        state: `applied`, `rolled back`, `settled`; everything else is half way.
    """

    run: int
    name: str
    state: str
    script_hash: str


class Store(Protocol):
    """Where migrations of a plan are applied."""

    async def runs(self, release: str) -> tuple[Stand, ...]:
        """Every run of a release, the first one first; raises WatchdogError."""
        ...

    async def apply(self, entry: Entry, release: str) -> int:
        """Applies one and answers with its run; raises WatchdogError, and then nothing of it is left."""
        ...

    async def take_back(self, run: int) -> None:
        """Takes a run back, also one that stopped half way; raises WatchdogError."""
        ...


def _of(release: str, found: Iterable[ReleaseRun]) -> tuple[Stand, ...]:
    return tuple(Stand(one.run, one.name, one.state, one.script_hash) for one in found if one.release == release)


@dataclass(frozen=True)
class SqlStore:
    """PostgreSQL.

    Attributes:
        scratch_url: Where to learn what a script does, as superuser; a server of our own is started without it.
    """

    url: str
    scratch_url: str | None = None

    async def runs(self, release: str) -> tuple[Stand, ...]:
        """See `Store.runs`."""
        return _of(release, await sql_runs.runs(self.url))

    async def apply(self, entry: Entry, release: str) -> int:
        """See `Store.apply`."""
        options = Options(name=entry.name, release=release, role=entry.role, defer=entry.defer)
        return (await apply_sql(self.url, entry.text, scratch_url=self.scratch_url, options=options)).run

    async def take_back(self, run: int) -> None:
        """See `Store.take_back`."""
        await rollback_sql(self.url, run)


@dataclass(frozen=True)
class GraphStore:
    """Neo4j."""

    target: Neo4jTarget

    async def runs(self, release: str) -> tuple[Stand, ...]:
        """See `Store.runs`."""
        return _of(release, await runs_graph(self.target))

    async def apply(self, entry: Entry, release: str) -> int:
        """See `Store.apply`."""
        return (await apply_cypher(self.target, entry.text, name=entry.name, release=release)).run

    async def take_back(self, run: int) -> None:
        """See `Store.take_back`."""
        await rollback_graph(self.target, run)


@dataclass(frozen=True)
class CacheStore:
    """Redis."""

    url: str

    async def runs(self, release: str) -> tuple[Stand, ...]:
        """See `Store.runs`."""
        return _of(release, await cache_runs.runs(self.url))

    async def apply(self, entry: Entry, release: str) -> int:
        """See `Store.apply`."""
        return (await cache_apply.apply(self.url, entry.text, release=release, name=entry.name)).run

    async def take_back(self, run: int) -> None:
        """See `Store.take_back`."""
        await cache_rollback.rollback(self.url, run)


@dataclass(frozen=True)
class VectorStore:
    """Vectors in PostgreSQL."""

    url: str

    async def runs(self, release: str) -> tuple[Stand, ...]:
        """See `Store.runs`."""
        return _of(release, await vectors_runs.runs(self.url))

    async def apply(self, entry: Entry, release: str) -> int:
        """See `Store.apply`. What fails half way is taken away, though it could go on."""
        try:
            return (await vectors_apply.apply(self.url, entry.text, release=release, name=entry.name)).run
        except WatchdogError:
            found = [one for one in await self.runs(release) if one.name == entry.name and one.state == "applying"]
            for one in found:
                await self.take_back(one.run)
            raise

    async def take_back(self, run: int) -> None:
        """See `Store.take_back`."""
        await vectors_rollback.rollback(self.url, run)
