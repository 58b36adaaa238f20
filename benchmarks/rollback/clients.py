"""Users while a migration goes out and comes back: what they waited, and every write that was acknowledged to them."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import psycopg

_WRITE = "UPDATE pgbench_accounts SET abalance = abalance + %s WHERE aid = %s"
_LOCKED = """
    SELECT EXISTS (SELECT FROM pg_locks WHERE relation = to_regclass('pgbench_accounts') AND granted
        AND mode = 'AccessExclusiveLock' AND pid <> pg_backend_pid())
"""


@dataclass
class Seen:
    """What clients saw.

    Attributes:
        waits: Seconds of each write.
        added: By account, what was acknowledged.
        locked: The longest time that the table was locked exclusively, in seconds.
    """

    waits: list[float] = field(default_factory=list)
    added: Counter[int] = field(default_factory=Counter)
    errors: int = 0
    locked: float = 0.0

    @property
    def stall(self) -> float:
        """The longest wait."""
        return max(self.waits, default=0.0)

    @property
    def p99(self) -> float:
        """The 99th percentile of the waits."""
        return sorted(self.waits)[int(len(self.waits) * 0.99)] if self.waits else 0.0


@asynccontextmanager
async def clients(url: str, rows: int, *, seed: int, rate: float = 200.0, count: int = 4) -> AsyncIterator[Seen]:
    """`count` clients that together send `rate` writes a second, until the body ends."""
    seen, ended = Seen(), asyncio.Event()
    dice = [random.Random(seed + number) for number in range(count)]  # noqa: S311 - repeatable, nothing to keep secret
    tasks = [asyncio.create_task(_client(url, rows, one, count / rate, seen, ended)) for one in dice]
    tasks.append(asyncio.create_task(_watch(url, seen, ended)))
    try:
        yield seen
    finally:
        ended.set()
        await asyncio.gather(*tasks)


async def _client(url: str, rows: int, dice: random.Random, pause: float, seen: Seen, ended: asyncio.Event) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        due = monotonic()
        while not ended.is_set():
            account, delta = dice.randrange(1, rows + 1), dice.randrange(1, 100)
            try:
                done = await connection.execute(_WRITE, (delta, account))
            except psycopg.Error:
                seen.errors += 1
            else:
                seen.added[account] += delta if done.rowcount else 0
            # From when it was due, as pgbench counts under a rate: a stall delays all that come after it.
            seen.waits.append(monotonic() - due)
            due = max(due + pause, monotonic() - 1.0)
            await asyncio.sleep(max(0.0, due - monotonic()))


async def _watch(url: str, seen: Seen, ended: asyncio.Event) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        since: float | None = None
        while not ended.is_set():
            row = await (await connection.execute(_LOCKED)).fetchone()
            now = monotonic()
            since = (since or now) if row and row[0] else None
            seen.locked = max(seen.locked, now - since if since else 0.0)
            await asyncio.sleep(0.005)
