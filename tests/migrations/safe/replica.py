"""A replica that says how far it has replayed, and replays nothing: only the protocol, no server."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.pq import abc

from tests.migrations.tools.plain import until
from tests.support.archives import sql

_STREAMS = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND application_name = 'a_lagging_replica'"


class Replica:
    """One connection that streams."""

    def __init__(self, connection: abc.PGconn) -> None:
        self._connection = connection

    def replayed(self, position: int) -> None:
        """Says that everything before a position is replayed."""
        self._connection.put_copy_data(b"r" + struct.pack("!qqqqb", position, position, position, 0, 0))
        self._connection.flush()


def number(lsn: str) -> int:
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


async def now(url: str) -> int:
    [(lsn,)] = await sql(url, "SELECT pg_current_wal_flush_lsn()::text")
    return number(lsn)


@asynccontextmanager
async def replica(url: str) -> AsyncIterator[Replica]:
    [(lsn,)] = await sql(url, "SELECT pg_current_wal_flush_lsn()::text")
    info = make_conninfo(url, replication="true", application_name="a_lagging_replica")
    connection = pq.PGconn.connect(info.encode())
    try:
        result = await asyncio.to_thread(connection.exec_, f"START_REPLICATION PHYSICAL {lsn}".encode())
        assert result.status == pq.ExecStatus.COPY_BOTH, connection.error_message
        lagging = Replica(connection)
        lagging.replayed(number(lsn))
        await until(url, _STREAMS, rows=1)
        yield lagging
    finally:
        connection.finish()
