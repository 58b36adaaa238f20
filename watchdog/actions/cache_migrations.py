"""Takes back what a release applied to Redis through `watchdog migration apply`, the last migration first."""

from typing import cast

from watchdog.actions.release_runs import ReleaseOptions, complaints_of, left, name, names, release_of
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


class CacheMigrationsAction:
    """One after the other; every batch carries the epoch, and each run knows how far it was taken back.

    From then on nothing more is applied for the release.
    """

    def __init__(self, target: RedisTarget, options: ReleaseOptions) -> None:
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
            await self._left(context)  # what cannot be taken back is not closed
            await close(store, release_of(self._options, context))
            for run in await self._left(context):
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
            standing = await self._left(context)
        except TargetError as error:
            return Verification(Applied.CANNOT_TELL, str(error))
        if standing:
            return Verification(Applied.NO, f"{len(standing)} migrations are not rolled back yet")
        return Verification(Applied.YES, "every migration is rolled back")

    async def preview(self, context: StepContext) -> str:
        """Says which."""
        return f"would take back {names(await self._left(context))} on {self._target.name}"

    async def _left(self, context: StepContext) -> list[CacheRun]:
        return left(await runs_of(Store(self._target)), self._options, context, self._target.name)


def _sentence(run: CacheRun, report: Report) -> str:
    later = report.kept + report.carried + report.deleted
    done = f"{report.restored:,} keys as before, {report.removed:,} copies gone"
    return f"{name(run)}: {done}, {later:,} as users left them"


def _build(role: str, options: ReleaseOptions, resources: Resources) -> CacheMigrationsAction:
    return CacheMigrationsAction(cast("RedisTarget", resources.target(role)), options)


KIND: ActionKind[ReleaseOptions] = ActionKind(
    name="cache_migrations",
    options=ReleaseOptions,
    targets=("redis",),
    transactional=lambda _: False,
    build=_build,
    complaints=complaints_of,
    destroys=lambda _: True,
)
