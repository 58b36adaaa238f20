"""Tasks that must go on are run again when they fail; one that dies takes no other along."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from watchdog.model.time import SECOND, Span
from watchdog.ports.clock import Clock

log = structlog.get_logger(__name__)

MAX_PAUSE: Span = 30 * SECOND


class Supervisor:
    """Owns a daemon's long-lived tasks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def keep(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        """Runs a job until it returns by itself; when it raises, after a growing pause once more."""
        self._tasks[name] = asyncio.create_task(self._keep(name, job), name=name)

    async def _keep(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        pause: Span = SECOND // 4
        while True:
            began = self._clock.now()
            inner = asyncio.ensure_future(job())
            try:
                await asyncio.wait({inner})
            except asyncio.CancelledError:
                await _end(inner)
                raise
            # One that was cancelled from inside has not done its work either.
            error = inner.exception() if not inner.cancelled() else asyncio.CancelledError()
            if error is None:
                return
            log.error("task failed, it is started again", task=name, exc_info=error)
            pause = SECOND // 4 if self._clock.now() - began > MAX_PAUSE else min(2 * pause, MAX_PAUSE)
            await self._clock.sleep(pause)

    async def stop(self) -> None:
        """Cancels every task and waits for its end."""
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            await _end(task)


async def _end(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task failed while it was stopped", exc_info=error)
