"""Exactly one outcome on PostgreSQL: fence, receipt and effect in one transaction.

The fence is a row that holds the highest epoch. An advisory lock stands before it, so that its holder can be seen
in `pg_locks`, and so that effects which no transaction can hold are kept apart as well.
"""

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias

import psycopg

from watchdog.model.time import Span
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import FencedError, StepError, StepUncertainError, TargetError
from watchdog.targets.postgres import LOCK_TIMEOUT, Connection, PostgresTarget
from watchdog.targets.retries import retried, time_left
from watchdog.targets.verification import verified

_LOCK_CLASS = 1463899204
_TABLES = 4
_TAKEOVERS = 3

_FIND = """
    SELECT count(*) FROM pg_tables
    WHERE schemaname = 'watchdog' AND tablename IN ('fence', 'receipts', 'archives', 'fenced_grants')
"""
_TERMINATE = """
    SELECT pg_terminate_backend(activity.pid, 1000)
    FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
    WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 2
      AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND held.classid = %(classid)s AND held.objid = %(objid)s AND held.pid <> pg_backend_pid()
      AND substring(activity.application_name FROM '^watchdog e([0-9]+) ')::bigint <= %(epoch)s
"""


@dataclass
class FencedTransaction:
    """What a step works with while it holds the fence.

    Attributes:
        connection: Inside the transaction.
        done: The receipt's detail when the effect is there already; the step must do nothing then.
    """

    connection: Connection
    context: StepContext
    done: str | None

    async def finish(self, detail: str) -> str:
        """Writes the receipt; one sentence on what was done. Answers with it."""
        await leave_receipt(self.connection, self.context, detail)
        return detail


Effect: TypeAlias = Callable[[Connection], Awaitable[str]]
"""Does the work on a connection that holds the fence; answers with one sentence on it."""

Preparation: TypeAlias = Callable[[Connection], Awaitable[None]]
"""Prepares an effect on a connection outside a transaction, whose session keeps others from acting."""

Look: TypeAlias = Callable[[Connection], Awaitable[Verification]]
"""Looks for an effect on a connection that holds the fence."""


async def prepare(connection: Connection, guard: str) -> None:
    """Makes the schema `watchdog`, its tables and the guard's fence, where they are missing."""
    found = await (await connection.execute(_FIND)).fetchone()
    if not found or found[0] < _TABLES:
        await connection.execute(resources.files("watchdog.targets").joinpath("fence.sql").read_bytes())
    await connection.execute(
        "INSERT INTO watchdog.fence (guard, epoch) SELECT %(guard)s, 0"
        " WHERE NOT EXISTS (SELECT FROM watchdog.fence WHERE guard = %(guard)s) ON CONFLICT DO NOTHING",
        {"guard": guard},
    )


async def take(connection: Connection, guard: str, epoch: int, *, session: bool = False) -> None:
    """Takes the fence, to the end of the transaction; with `session`, the lock before it to the end of the session.

    A session of an older or equal epoch that still holds it past `lock_timeout` is a frozen leader, or an orphan of
    our own: it is terminated.

    Raises:
        FencedError: Somebody with a higher epoch acts.
        psycopg.errors.LockNotAvailable: It cannot be had.
    """
    key = {"classid": _LOCK_CLASS, "objid": zlib.crc32(guard.encode()) & 0x7FFFFFFF, "epoch": epoch}
    lock = "pg_advisory_lock" if session else "pg_advisory_xact_lock"
    for attempt in range(_TAKEOVERS):
        try:
            async with connection.transaction():
                await connection.execute(f"SELECT {lock}(%(classid)s, %(objid)s)".encode(), key)
            break
        except psycopg.errors.LockNotAvailable:
            await _refuse_stale(connection, guard, epoch)
            if attempt == _TAKEOVERS - 1:
                raise
            await connection.execute(_TERMINATE, key)
    taken = await connection.execute(
        "UPDATE watchdog.fence SET epoch = %(epoch)s WHERE guard = %(guard)s AND epoch <= %(epoch)s",
        {"guard": guard, "epoch": epoch},
    )
    if taken.rowcount == 0:
        await _refuse_stale(connection, guard, epoch)
        raise FencedError(f"Guard {guard} has no fence in this database any more; nothing was done.")


async def receipt(connection: Connection, step_id: str) -> str | None:
    """The detail of a step's receipt, or None."""
    row = await (
        await connection.execute("SELECT detail FROM watchdog.receipts WHERE step_id = %s", (step_id,))
    ).fetchone()
    return None if row is None else str(row[0])


async def leave_receipt(connection: Connection, context: StepContext, detail: str) -> None:
    """Writes a step's receipt; must be in the transaction of the effect."""
    await connection.execute(
        "INSERT INTO watchdog.receipts (step_id, guard, run_id, epoch, detail) VALUES (%s, %s, %s, %s, %s)",
        (context.step_id, context.guard, context.run_id, context.epoch, detail),
    )


@asynccontextmanager
async def fenced(
    target: PostgresTarget, context: StepContext, *, lock_timeout: Span = LOCK_TIMEOUT, first: Preparation | None = None
) -> AsyncIterator[FencedTransaction]:
    """The one transaction of a step: fence, look for the receipt, effect, receipt, commit.

    Args:
        first: What is prepared before the transaction, under the lock before the fence; not if the receipt is there.

    Raises:
        FencedError: Somebody with a higher epoch acts.
        StepUncertainError: The commit's answer was lost.
        TargetError: Anything else; the transaction is rolled back.
    """
    async with _session(target, context, lock_timeout) as connection:
        if first is not None:
            await take(connection, context.guard, context.epoch, session=True)
            if await receipt(connection, context.step_id) is None:
                await first(connection)
        await connection.execute(b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        await take(connection, context.guard, context.epoch)
        yield FencedTransaction(connection, context, await receipt(connection, context.step_id))
        await _commit(target, connection)


async def run_fenced(
    target: PostgresTarget,
    context: StepContext,
    effect: Effect,
    *,
    lock_timeout: Span = LOCK_TIMEOUT,
    first: Preparation | None = None,
) -> str:
    """Has a transactional effect exactly once, with bounded retries on locks, deadlocks and serialisation.

    Args:
        effect: Is not called when the receipt is there; may be called again after it was rolled back.
        first: What makes the effect short; may be called again. It must change nothing that anybody sees.

    Returns:
        The receipt's detail, of now or of then.

    Raises:
        StepError: It failed; the effect is not there.
        StepUncertainError: The commit's answer was lost.
        FencedError: Somebody with a higher epoch acts.
    """

    async def once() -> str:
        async with fenced(target, context, lock_timeout=lock_timeout, first=first) as transaction:
            if transaction.done is not None:
                return transaction.done
            return await transaction.finish(await effect(transaction.connection))

    try:
        return await retried(context, once)
    except TargetError as error:
        raise StepError(str(error)) from None


async def run_fenced_session(
    target: PostgresTarget, context: StepContext, effect: Effect, *, lock_timeout: Span = LOCK_TIMEOUT
) -> str:
    """Has an effect that no transaction can hold, under the lock before the fence, and leaves its receipt after it.

    Raises:
        StepError: It was not begun.
        StepUncertainError: It failed on the way, or its receipt could not be written; it must be verified.
        FencedError: Somebody with a higher epoch acts.
    """
    begun = False

    async def once() -> str:
        nonlocal begun
        async with _session(target, context, lock_timeout) as connection:
            await take(connection, context.guard, context.epoch, session=True)
            done = await receipt(connection, context.step_id)
            if done is not None:
                return done
            begun = True
            detail = await effect(connection)
            async with connection.transaction():
                await take(connection, context.guard, context.epoch)
                await leave_receipt(connection, context, detail)
            return detail

    try:
        return await retried(context, once, unless=lambda: begun)
    except TargetError as error:
        raise (StepUncertainError if begun else StepError)(str(error)) from None


async def verify_fenced(target: PostgresTarget, context: StepContext, look: Look | None = None) -> Verification:
    """Whether a step's effect is there. Takes the fence first, so that nobody can have the effect afterwards.

    Args:
        look: Asked when there is no receipt; without it, no receipt means no effect.

    Raises:
        FencedError: Somebody with a higher epoch acts.
    """

    def begin() -> AbstractAsyncContextManager[FencedTransaction]:
        return fenced(target, context)

    async def ask(work: FencedTransaction) -> Verification:
        return Verification(Applied.NO, "there is no receipt") if look is None else await look(work.connection)

    return await verified(context, begin, ask)


@asynccontextmanager
async def _session(target: PostgresTarget, context: StepContext, lock_timeout: Span) -> AsyncIterator[Connection]:
    application = f"watchdog e{context.epoch} {context.guard}"  # `_TERMINATE` reads the epoch here
    async with target.act(
        lock_timeout=lock_timeout, statement_timeout=time_left(context), application=application
    ) as connection:
        await prepare(connection, context.guard)
        yield connection


async def _refuse_stale(connection: Connection, guard: str, epoch: int) -> None:
    row = await (await connection.execute("SELECT epoch FROM watchdog.fence WHERE guard = %s", (guard,))).fetchone()
    if row and row[0] > epoch:
        raise FencedError(f"Guard {guard} is held with epoch {row[0]} now, ours is {epoch}; nothing was done.")


async def _commit(target: PostgresTarget, connection: Connection) -> None:
    try:
        cursor = await connection.execute(b"COMMIT")
    except psycopg.OperationalError as error:
        lost = not error.sqlstate or error.sqlstate.startswith(("57P", "08"))
        if lost:
            raise StepUncertainError(f"The answer to COMMIT was lost: {target.translate(error)}") from None
        raise
    if cursor.statusmessage != "COMMIT":
        raise TargetError(f"{target.place} rolled the transaction back instead of committing it.")
