"""Stops a service that runs as a plain process, or starts a stated version of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

import httpx

from watchdog.actions import facts
from watchdog.model.time import MILLISECOND, SECOND, in_seconds, say_span
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepError, StepUncertainError, TargetError
from watchdog.ports.kinds import ActionKind, Resources
from watchdog.targets.process import ProcessTarget, Running

_POLL = 50 * MILLISECOND
_KILL_WAIT = 5 * SECOND
_WRITTEN_WITHIN = 2 * SECOND
_READY_TIMEOUT = 2 * SECOND


@dataclass(frozen=True, kw_only=True)
class ProcessActionOptions:
    """What to do with the service.

    Attributes:
        do: `stop` or `start`.
        version: What to start: a version of the target, or `{old_version}` or `{new_version}` of the release.
    """

    do: Literal["stop", "start"]
    version: str = "{old_version}"


class ProcessAction:
    """Idempotent: what already is as wanted is left alone."""

    def __init__(self, target: ProcessTarget, options: ProcessActionOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Stops or starts; see `Action.execute`."""
        try:
            version = facts.fill(self._options.version, context) if self._options.do == "start" else ""
            async with self._target.fenced(context):
                return await (self._start(context, version) if version else self._stop(context))
        except TargetError as error:
            raise StepError(str(error)) from None

    async def verify(self, context: StepContext) -> Verification:
        """Looks at the pid file and the process behind it; see `Action.verify`."""
        try:
            async with self._target.fenced(context):
                running = await self._running(context)
                ready = running is not None and await self._ready()
        except TargetError as error:
            return Verification(Applied.CANNOT_TELL, str(error))
        says = f"version {running.version or '?'} runs as process {running.pid}" if running else "it does not run"
        if self._options.do == "stop":
            return Verification(Applied.NO if running else Applied.YES, says)
        wanted = running is not None and running.version == facts.fill(self._options.version, context)
        if wanted and not ready:
            return Verification(Applied.NO, f"{says}, but it is not ready")
        return Verification(Applied.YES if wanted else Applied.NO, says)

    async def preview(self, context: StepContext) -> str:
        """Says what runs now."""
        running = self._target.running()
        now = f"version {running.version or '?'} runs as process {running.pid}" if running else "nothing runs"
        if self._options.do == "stop":
            return f"would stop {self._target.name} ({now})"
        return f"would start version {facts.fill(self._options.version, context)} of {self._target.name} ({now})"

    async def _stop(self, context: StepContext) -> str:
        running = await self._running(context)
        if running is None:
            return f"{self._target.name} does not run"
        self._refuse_stranger(running)
        before = context.clock.now()
        self._target.send_term(running)
        if await self._ended(context, running, self._target.options.stop_timeout):
            took = say_span(context.clock.now() - before)
            return f"stopped version {running.version} (process {running.pid}) in {took}"
        self._target.send_kill(running)
        if await self._ended(context, running, _KILL_WAIT):
            waited = say_span(self._target.options.stop_timeout)
            return f"killed version {running.version} (process {running.pid}): it did not end within {waited}"
        raise StepUncertainError(f"{self._target.place}: process {running.pid} does not end, even when killed.")

    async def _start(self, context: StepContext, version: str) -> str:
        self._target.command(version)
        running = await self._running(context)
        if running is not None:
            self._refuse_stranger(running)
            if running.version != version:
                raise StepError(
                    f"{self._target.place}: version {running.version} still runs as process {running.pid}; "
                    "stop it in a step before this one."
                )
        else:
            await self._target.start(version)
        until = context.clock.now() + self._target.options.ready_timeout
        while not await self._ready():
            running = await self._running(context)
            if running is None:
                raise StepError(f"{self._target.place}: version {version} ended at once; {self._where_to_look}.")
            if context.clock.now() >= until:
                waited = say_span(self._target.options.ready_timeout)
                raise StepError(
                    f"{self._target.place}: version {version} runs as process {running.pid} but is not ready after "
                    f"{waited}; {self._where_to_look}."
                )
            await context.clock.sleep(_POLL)
        running = await self._running(context)
        return f"version {version} runs as process {running.pid if running else '?'} and is ready"

    async def _running(self, context: StepContext) -> Running | None:
        """What runs now. A service that writes its pid file itself leaves it empty for a moment: that passes."""
        until = context.clock.now() + _WRITTEN_WITHIN
        while True:
            try:
                return self._target.running()
            except TargetError as error:
                if not error.retryable or context.clock.now() >= until:
                    raise
            await context.clock.sleep(_POLL)

    @property
    def _where_to_look(self) -> str:
        log = self._target.options.log
        return f"its log is {log}" if log else "give the target a log file to see why"

    def _refuse_stranger(self, running: Running) -> None:
        if not running.version:
            raise StepError(
                f"{self._target.place}: process {running.pid} is none of the target's versions, so it is left alone; "
                "remove the pid file if it is stale, or correct the commands under versions."
            )

    async def _ended(self, context: StepContext, running: Running, within: int) -> bool:
        until = context.clock.now() + within
        while running.alive:
            if context.clock.now() >= until:
                return False
            await context.clock.sleep(_POLL)
        return True

    async def _ready(self) -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=in_seconds(_READY_TIMEOUT)) as client:
                return (await client.get(self._target.options.ready_url)).status_code == httpx.codes.OK
        except (httpx.HTTPError, httpx.InvalidURL):
            return False


def _complaints(options: ProcessActionOptions) -> Iterator[str]:
    yield from facts.complaints(options.version)
    if options.do == "start" and not options.version:
        yield "version is empty: name a version of the target, or {old_version}."


def _build(role: str, options: ProcessActionOptions, resources: Resources) -> ProcessAction:
    return ProcessAction(cast("ProcessTarget", resources.target(role)), options)


KIND: ActionKind[ProcessActionOptions] = ActionKind(
    name="process",
    options=ProcessActionOptions,
    targets=("process",),
    transactional=lambda _: False,
    build=_build,
    complaints=_complaints,
)
