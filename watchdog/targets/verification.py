"""Whether a step's effect is there, by its receipt: the same question on every database."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepUncertainError, TargetError
from watchdog.targets.retries import retried


class Receipted(Protocol):
    """A transaction that holds the fence and has looked for the receipt.

    Attributes:
        done: The receipt's detail; None when there is none.
    """

    done: str | None


Work = TypeVar("Work", bound=Receipted)


async def verified(
    context: StepContext,
    fenced: Callable[[], AbstractAsyncContextManager[Work]],
    look: Callable[[Work], Awaitable[Verification]],
) -> Verification:
    """Takes the fence and looks for the receipt, with bounded retries.

    Args:
        fenced: Begins the transaction that takes the fence, so that nobody can have the effect afterwards.
        look: Asked when there is no receipt.

    Raises:
        FencedError: Somebody with a higher epoch acts.
    """

    async def once() -> Verification:
        async with fenced() as work:
            return await look(work) if work.done is None else Verification(Applied.YES, work.done)

    try:
        return await retried(context, once)
    except (TargetError, StepUncertainError) as error:
        return Verification(Applied.CANNOT_TELL, str(error))
