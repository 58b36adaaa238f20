"""Exactly one outcome on Neo4j: fence, receipt and effect in one transaction.

The fence is a node `(:WatchdogFence {guard, epoch})`, a receipt a node `(:WatchdogReceipt {step_id, …})`.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import neo4j
from neo4j import exceptions

from watchdog.model.time import SECOND, Span, in_seconds
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import FencedError, StepError, StepUncertainError, TargetError
from watchdog.targets.neo4j import Neo4jTarget
from watchdog.targets.retries import retried, time_left
from watchdog.targets.verification import verified

_PATIENCE: Span = 2 * SECOND

_CONSTRAINTS = (
    "CREATE CONSTRAINT watchdog_fence IF NOT EXISTS FOR (f:WatchdogFence) REQUIRE f.guard IS UNIQUE",
    "CREATE CONSTRAINT watchdog_receipt IF NOT EXISTS FOR (r:WatchdogReceipt) REQUIRE r.step_id IS UNIQUE",
)
_FOUND = "SHOW CONSTRAINTS YIELD name WHERE name IN ['watchdog_fence', 'watchdog_receipt'] RETURN count(*)"
_READY = "MERGE (f:WatchdogFence {guard: $guard}) ON CREATE SET f.epoch = 0"
# Writing first takes the lock; what is read after that is the truth.
_LOCK = "MATCH (f:WatchdogFence {guard: $guard}) SET f.wanted = $epoch"
_TAKE = "MATCH (f:WatchdogFence {guard: $guard}) WHERE f.epoch <= $epoch SET f.epoch = $epoch RETURN f.epoch"
_HELD = "MATCH (f:WatchdogFence {guard: $guard}) RETURN f.epoch"
_RECEIPT = "MATCH (r:WatchdogReceipt {step_id: $step_id}) RETURN r.detail"
_LEAVE = (
    "CREATE (:WatchdogReceipt {step_id: $step_id, guard: $guard, run_id: $run_id, epoch: $epoch, detail: $detail,"
    " at: datetime()})"
)
_HOLDERS = """
    SHOW TRANSACTIONS YIELD transactionId, metaData
    WHERE metaData.watchdog_guard = $guard AND metaData.watchdog_epoch <= $epoch
      AND metaData.watchdog_attempt <> $attempt
    RETURN transactionId
"""

Effect: TypeAlias = Callable[[neo4j.AsyncTransaction], Awaitable[str]]
"""Does the work in a transaction that holds the fence; answers with one sentence on it."""

SessionEffect: TypeAlias = Callable[[neo4j.AsyncSession], Awaitable[str]]
"""Does the work statement by statement; answers with one sentence on it."""

Look: TypeAlias = Callable[[neo4j.AsyncTransaction], Awaitable[Verification]]
"""Looks for an effect in a transaction that holds the fence."""


@dataclass
class FencedTransaction:
    """What a step works with while it holds the fence.

    Attributes:
        transaction: Commits when the body ends.
        done: The receipt's detail when the effect is there already; the step must do nothing then.
    """

    transaction: neo4j.AsyncTransaction
    context: StepContext
    done: str | None

    async def finish(self, detail: str) -> str:
        """Writes the receipt; one sentence on what was done. Answers with it."""
        names = ("step_id", "guard", "run_id", "epoch")
        await _run(self.transaction, _LEAVE, detail=detail, **{name: getattr(self.context, name) for name in names})
        return detail


async def prepare(target: Neo4jTarget, guard: str) -> None:
    """Makes the constraints and the guard's fence, where they are missing."""
    async with target.session() as session:
        if (await _value(session, _FOUND)) < len(_CONSTRAINTS):
            for constraint in _CONSTRAINTS:
                await (await session.run(constraint)).consume()
        await (await session.run(_READY, guard=guard)).consume()


@asynccontextmanager
async def fenced(target: Neo4jTarget, context: StepContext) -> AsyncIterator[FencedTransaction]:
    """The one transaction of a step: fence, look for the receipt, effect, receipt, commit.

    Raises:
        FencedError: Somebody with a higher epoch acts.
        StepUncertainError: The commit's answer was lost.
        TargetError: Anything else; the transaction is rolled back.
    """
    with target.translated():
        await prepare(target, context.guard)
        async with target.session() as session:
            attempt = secrets.token_hex(8)
            transaction = await session.begin_transaction(
                timeout=in_seconds(time_left(context)), metadata=_metadata(context, attempt)
            )
            try:
                await _take(target, transaction, context, attempt)
                done = await _value(transaction, _RECEIPT, step_id=context.step_id)
                yield FencedTransaction(transaction, context, None if done is None else str(done))
                await _commit(target, transaction)
            finally:
                await transaction.close()


async def run_fenced(target: Neo4jTarget, context: StepContext, effect: Effect) -> str:
    """Has a transactional effect exactly once, with bounded retries on what the server calls transient.

    Args:
        effect: Is not called when the receipt is there; may be called again after it was rolled back.

    Raises:
        StepError: It failed; the effect is not there.
        StepUncertainError: The commit's answer was lost.
        FencedError: Somebody with a higher epoch acts.
    """

    async def once() -> str:
        async with fenced(target, context) as work:
            if work.done is not None:
                return work.done
            return await work.finish(await effect(work.transaction))

    try:
        return await retried(context, once)
    except TargetError as error:
        raise StepError(str(error)) from None


async def run_fenced_session(target: Neo4jTarget, context: StepContext, effect: SessionEffect) -> str:
    """Has an effect that no transaction can hold, between two looks at the fence; its receipt comes after it.

    Raises:
        StepError: It was not begun, or was refused before it changed anything.
        StepUncertainError: It failed on the way, or its receipt could not be written; it must be verified.
        FencedError: Somebody with a higher epoch acts.
    """
    begun = False

    async def look() -> str | None:
        async with fenced(target, context) as work:
            return work.done

    async def act() -> str:
        nonlocal begun
        async with target.session() as session:
            begun = True
            with target.translated():
                return await effect(session)

    async def record(detail: str) -> str:
        async with fenced(target, context) as work:
            return work.done if work.done is not None else await work.finish(detail)

    try:
        done = await retried(context, look)
        if done is not None:
            return done
        detail = await act()
        return await retried(context, lambda: record(detail))
    except TargetError as error:
        raise (StepUncertainError if begun else StepError)(str(error)) from None


async def verify_fenced(target: Neo4jTarget, context: StepContext, look: Look | None = None) -> Verification:
    """Whether a step's effect is there. Takes the fence first, so that nobody can have the effect afterwards.

    Args:
        look: Asked when there is no receipt; without it, no receipt means no effect.

    Raises:
        FencedError: Somebody with a higher epoch acts.
    """

    def begin() -> AbstractAsyncContextManager[FencedTransaction]:
        return fenced(target, context)

    async def ask(work: FencedTransaction) -> Verification:
        return Verification(Applied.NO, "there is no receipt") if look is None else await look(work.transaction)

    return await verified(context, begin, ask)


def _metadata(context: StepContext, attempt: str) -> dict[str, Any]:
    return {"watchdog_guard": context.guard, "watchdog_epoch": context.epoch, "watchdog_attempt": attempt}


async def _take(target: Neo4jTarget, transaction: neo4j.AsyncTransaction, context: StepContext, attempt: str) -> None:
    mine = {"guard": context.guard, "epoch": context.epoch}
    lock = asyncio.create_task(_run(transaction, _LOCK, **mine))
    try:
        done, _ = await asyncio.wait({lock}, timeout=in_seconds(_PATIENCE))
        if not done:
            await _terminate_older(target, context, attempt)
        await lock
    finally:
        lock.cancel()
        await asyncio.gather(lock, return_exceptions=True)
    if await _value(transaction, _TAKE, **mine) is None:
        held = await _value(transaction, _HELD, guard=context.guard)
        raise FencedError(
            f"Guard {context.guard} is held with epoch {held} now, ours is {context.epoch}; nothing was done."
        )


async def _terminate_older(target: Neo4jTarget, context: StepContext, attempt: str) -> None:
    """Ends transactions of frozen leaders, and orphans of our own."""
    async with target.session() as session:
        result = await session.run(_HOLDERS, guard=context.guard, epoch=context.epoch, attempt=attempt)
        holders = [record[0] async for record in result]
        for holder in holders:
            await (await session.run("TERMINATE TRANSACTIONS $holder", holder=holder)).consume()


async def _commit(target: Neo4jTarget, transaction: neo4j.AsyncTransaction) -> None:
    try:
        await transaction.commit()
    except (exceptions.ServiceUnavailable, exceptions.SessionExpired, OSError) as error:
        raise StepUncertainError(f"The answer to the commit was lost: {target.translate(error)}") from None


async def _run(transaction: neo4j.AsyncTransaction, statement: str, **parameters: Any) -> None:
    await (await transaction.run(statement, **parameters)).consume()


async def _value(runner: neo4j.AsyncSession | neo4j.AsyncTransaction, statement: str, **parameters: Any) -> Any:
    record = await (await runner.run(statement, **parameters)).single()
    return None if record is None else record[0]
