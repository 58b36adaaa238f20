"""Asking Neo4j: bounded reads, and what its errors mean."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import neo4j
from neo4j import exceptions

from watchdog.model.signals import Cause
from watchdog.model.time import SECOND, Span, in_seconds
from watchdog.ports.errors import ProbeError, WatchdogError
from watchdog.ports.kinds import Duration, Script
from watchdog.probes.readings import no_answer
from watchdog.targets.neo4j import Neo4jTarget

TIMEOUT = Duration(5 * SECOND)
"""How long a query may take on the server."""

FETCH: Final = 1_000
"""Rows asked for at a time."""

_TIMED_OUT = "Neo.ClientError.Transaction.TransactionTimedOut"
_WRITES = "Neo.ClientError.Statement.AccessMode"


@asynccontextmanager
async def reading(target: Neo4jTarget) -> AsyncIterator[neo4j.AsyncSession]:
    """A session that can only read.

    Raises:
        ProbeError: For whatever the target or the server says in the block.
    """
    try:
        async with target.session(default_access_mode=neo4j.READ_ACCESS, fetch_size=FETCH) as session:
            yield session
    except ProbeError:
        raise
    except WatchdogError as error:
        raise no_answer(error) from error
    except (exceptions.Neo4jError, exceptions.DriverError, OSError) as error:
        raise graph_error(target, error) from None


def query(script: Script, timeout: Span) -> neo4j.Query:
    """A configured query with a time limit that the server keeps."""
    return neo4j.Query(script.text.strip().removesuffix(";"), timeout=in_seconds(timeout))


async def column(session: neo4j.AsyncSession, script: Script, limit: Span) -> AsyncGenerator[Any, None]:
    """The values of a query's one column, as they arrive.

    Raises:
        ProbeError: The query returns nothing, or several columns.
    """
    result = await session.run(query(script, limit))
    if len(result.keys()) != 1:
        raise ProbeError(Cause.PROBE_BROKEN, f"{script.source or 'query'} must RETURN exactly one column")
    async for record in result:
        yield record[0]


def graph_error(target: Neo4jTarget, error: exceptions.Neo4jError | exceptions.DriverError | OSError) -> ProbeError:
    """What an error means."""
    code = (error.code or "") if isinstance(error, exceptions.Neo4jError) else ""
    if code.startswith(_TIMED_OUT):
        return ProbeError(
            Cause.UNREACHABLE, f"target {target.place}: the query took longer than its query_timeout; make it cheaper"
        )
    if code == _WRITES:
        return ProbeError(Cause.PROBE_BROKEN, f"target {target.place}: the query writes; a probe must only read")
    return no_answer(target.translate(error))
