"""What a graph says about migrations that nobody announced."""

from typing import Final, LiteralString, cast

import neo4j

from watchdog.discovery.changes import Reading, Version
from watchdog.discovery.kinds import DiscovererKind, Sought
from watchdog.model.time import SECOND, in_seconds
from watchdog.ports.clock import Clock
from watchdog.ports.kinds import Target
from watchdog.targets.neo4j import Neo4jTarget

MAX_ROWS: Final = 20_000
"""Nodes of one label that are read; more are no versions."""

_TIMEOUT: Final = in_seconds(5 * SECOND)

# neo4j-migrations chains a node for each version to its predecessor, beginning with BASELINE, and ties one that it
# ran again to itself.
_QUERIES: Final[dict[str, tuple[str, LiteralString]]] = {
    "__Neo4jMigration": (
        "neo4j-migrations",
        """MATCH (m:__Neo4jMigration) WHERE m.version <> 'BASELINE'
           UNWIND range(0, COUNT { (m)-[:REPEATED]->(m) }) AS times
           RETURN m.version + coalesce(' in ' + m.migrationTarget, '') + ' #' + times,
                  m.version + coalesce(' ' + m.description, '') LIMIT $limit""",
    ),
    "MigrationLog": (
        "MigrationLog",
        """MATCH (m:MigrationLog)
           WITH toString(coalesce(m.id, m.migration_id, m.version, m.name, elementId(m))) AS name
           RETURN name AS key, name LIMIT $limit""",
    ),
}


class Neo4jDiscoverer:
    """Reads one graph, in a session that can only read."""

    def __init__(self, target: Neo4jTarget, clock: Clock) -> None:
        self._target = target
        self._clock = clock

    async def read(self) -> Reading:
        """One look.

        Raises:
            TargetError: The server cannot be reached or refuses.
        """
        versions: set[Version] = set()
        unread: dict[str, str] = {}
        with self._target.translated():
            async with self._target.session(default_access_mode=neo4j.READ_ACCESS) as session:
                for label, (tool, query) in _QUERIES.items():
                    result = await session.run(neo4j.Query(query, timeout=_TIMEOUT), limit=MAX_ROWS + 1)
                    rows = [(str(record[0]), str(record[1])) async for record in result]
                    if len(rows) > MAX_ROWS:
                        unread[label] = f"there are more than {MAX_ROWS} nodes :{label}; is it a log of migrations?"
                    else:
                        versions |= {Version(tool, label, key, name) for key, name in rows}
        return Reading(self._clock.now(), frozenset(versions), unread=unread)


def _build(target: Target, clock: Clock, _sought: Sought) -> Neo4jDiscoverer:
    """Labels of versions have no other names."""
    return Neo4jDiscoverer(cast("Neo4jTarget", target), clock)


KIND = DiscovererKind(_build)
