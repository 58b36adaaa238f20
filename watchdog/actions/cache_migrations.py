"""Takes back what a release applied to Redis through `watchdog migration apply`, the last migration first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from watchdog.actions.facts import complaints, fill
from watchdog.migrations.cache.receipts import leave_receipt, receipt
from watchdog.migrations.cache.rollback import Report, fenced, take_back
from watchdog.migrations.cache.runs import CacheRun, close, runs_of
from watchdog.migrations.cache.store import Store
from watchdog.migrations.session import RefusedError
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import FencedError, StepError, StepUncertainError, TargetError, WatchdogError
from watchdog.ports.kinds import ActionKind, Resources
from watchdog.targets.redis import RedisTarget
from watchdog.targets.retries import retried


@dataclass(frozen=True, kw_only=True)
class CacheMigrationsOptions:
    """Which migrations.

    Attributes:
        do: What to do with them.
        release: The release that they were applied for.
        names: Only the migrations of these names; all of the release without it.
    """

    do: Literal["rollback"] = "rollback"
    release: str = "{release}"
    names: tuple[str, ...] = ()


class CacheMigrationsAction:
    """One after the other; every batch carries the epoch, and each run knows how far it was taken back.

    From then on nothing more is applied for the release.
    """

    def __init__(self, target: RedisTarget, options: CacheMigrationsOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Takes them back once; see `Action.execute`."""
        store = fenced(Store(self._target), context.guard, context.epoch)
        reports: list[str] = []
        begun = False

        async def once() -> str:
            nonlocal begun
            if (done := await receipt(store, context.step_id)) is not None:
                return done
            await self._found(context)  # a release that nobody knows is not closed
            await close(store, fill(self._options.release, context))
            left = self._left(await self._found(context))
            for run in left:
                begun = True
                reports.append(_sentence(run, await take_back(store, run.run)))
            said = f"took back {'; '.join(reports) or 'nothing, as all is rolled back'}"
            return await leave_receipt(store, context.step_id, said)

        try:
            # What was cut off goes on where it was: each key's entry is gone with what was done about it.
            return await retried(context, once)
        except (StepError, FencedError):
            raise
        except RefusedError as error:
            raise (StepUncertainError if reports else StepError)(str(error)) from None
        except WatchdogError as error:
            raise (StepUncertainError if begun else StepError)(str(error)) from None

    async def verify(self, context: StepContext) -> Verification:
        """Asks for the receipt, which takes the fence, then the runs; see `Action.verify`."""
        store = fenced(Store(self._target), context.guard, context.epoch)
        try:
            done = await receipt(store, context.step_id)
            if done is not None:
                return Verification(Applied.YES, done)
            left = self._left(await self._found(context))
        except TargetError as error:
            return Verification(Applied.CANNOT_TELL, str(error))
        if left:
            return Verification(Applied.NO, f"{len(left)} migrations are not rolled back yet")
        return Verification(Applied.YES, "every migration is rolled back")

    async def preview(self, context: StepContext) -> str:
        """Says which."""
        left = self._left(await self._found(context))
        return f"would take back {', '.join(map(_name, left)) or 'nothing'} on {self._target.name}"

    async def _found(self, context: StepContext) -> list[CacheRun]:
        release = fill(self._options.release, context)
        wanted = self._options.names
        every = await runs_of(Store(self._target))
        found = [run for run in every if run.release == release and (not wanted or run.name in wanted)]
        if not found and context.facts.get("release_state") != "applying":
            raise StepError(
                f"No migration of release {release} was applied to {self._target.name} by `watchdog migration apply`;"
                " nothing was done."
            )
        return found[::-1]

    def _left(self, found: list[CacheRun]) -> list[CacheRun]:
        if settled := [run for run in found if run.state in {"settling", "settled"}]:
            raise StepError(f"{', '.join(map(_name, settled))}: settled, the archive is gone; nothing was done.")
        return [run for run in found if run.state != "rolled back"]


def _name(run: CacheRun) -> str:
    return run.name or f"run {run.run}"


def _sentence(run: CacheRun, report: Report) -> str:
    later = report.kept + report.carried + report.deleted
    done = f"{report.restored:,} keys as before, {report.removed:,} copies gone"
    return f"{_name(run)}: {done}, {later:,} as users left them"


def _complaints(options: CacheMigrationsOptions) -> Iterator[str]:
    for complaint in complaints(options.release):
        yield f"release: {complaint}"
    if not options.release:
        yield "release: is empty; write {release} for the one that is being taken back."


def _build(role: str, options: CacheMigrationsOptions, resources: Resources) -> CacheMigrationsAction:
    return CacheMigrationsAction(cast("RedisTarget", resources.target(role)), options)


KIND: ActionKind[CacheMigrationsOptions] = ActionKind(
    name="cache_migrations",
    options=CacheMigrationsOptions,
    targets=("redis",),
    transactional=lambda _: False,
    build=_build,
    complaints=_complaints,
    destroys=lambda _: True,
)
