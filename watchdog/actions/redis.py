"""Clears a service's own keys out of Redis, by prefix; never a whole database."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import cast

from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepError, TargetError
from watchdog.ports.kinds import ActionKind, Resources
from watchdog.targets.redis import RedisTarget
from watchdog.targets.retries import retried

_BATCH = 500
_OURS = "watchdog:"
_SHORTEST = 3
_ENDS = (":", "/", "-", "_", ".", "|")
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\*?[]"})


@dataclass(frozen=True, kw_only=True)
class RedisActionOptions:
    """What to clear.

    Attributes:
        clear: Prefixes, taken literally, such as `compliance:cache:`: three characters or more, a separator last.
        never: Prefixes that no key to be cleared may have, such as `compliance:session:`; always `watchdog:`.
        max_keys: With more keys than this, nothing is deleted.
    """

    clear: tuple[str, ...]
    never: tuple[str, ...] = ()
    max_keys: int = 100_000


class RedisAction:
    """Idempotent; each batch carries the epoch, so a stale leader deletes nothing."""

    def __init__(self, target: RedisTarget, options: RedisActionOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Counts, then deletes; see `Action.execute`."""
        if problems := list(_complaints(self._options)):
            raise StepError(f"Nothing was deleted: {' '.join(problems)}")
        removed = 0

        async def once() -> None:
            nonlocal removed
            await self._target.unlink(context.guard, context.epoch, ())
            found = await self._count()
            if found > self._options.max_keys:
                raise StepError(
                    f"More than {self._options.max_keys} keys of {self._target.place} have these prefixes; nothing was "
                    "deleted. Narrow clear, or raise max_keys."
                )
            for prefix in self._options.clear:
                async for batch in self._batches(prefix):
                    removed += await self._target.unlink(context.guard, context.epoch, batch)

        try:
            await retried(context, once)
        except TargetError as error:
            raise StepError(str(error)) from None
        return f"deleted {removed} keys under {', '.join(self._options.clear)}"

    async def verify(self, context: StepContext) -> Verification:
        """Looks for keys; one that the service wrote since counts too, and clearing again does no harm."""
        try:
            await self._target.unlink(context.guard, context.epoch, ())
            found = await self._count()
        except TargetError as error:
            if error.away:
                raise
            return Verification(Applied.CANNOT_TELL, str(error))
        return Verification(Applied.NO if found else Applied.YES, f"{found} keys have these prefixes")

    async def preview(self, context: StepContext) -> str:
        """Counts."""
        del context
        return f"would delete {await self._count()} keys under {', '.join(self._options.clear)}"

    async def _count(self) -> int:
        """How many keys there are; stops counting beyond `max_keys`."""
        found = 0
        for prefix in self._options.clear:
            async for batch in self._batches(prefix):
                found += len(batch)
                if found > self._options.max_keys:
                    return found
        return found

    async def _batches(self, prefix: str) -> AsyncIterator[list[bytes]]:
        cursor = 0
        while True:
            with self._target.translated():
                scan = await self._target.client().scan(cursor, prefix.translate(_SPECIAL) + "*", _BATCH)
            cursor, keys = cast("tuple[int, list[bytes]]", scan)
            found = [key for key in keys if key.startswith(prefix.encode())]
            for start in range(0, len(found), _BATCH):
                yield found[start : start + _BATCH]
            if cursor == 0:
                return


def _complaints(options: RedisActionOptions) -> Iterator[str]:
    if not options.clear:
        yield "clear is empty: name the prefixes of the service's own keys."
    for prefix in options.clear:
        if not prefix.strip("*? "):
            yield f"clear {prefix!r} would empty the database; write a prefix of the service's own keys."
        elif "*" in prefix:
            yield f"clear {prefix!r}: a prefix is taken literally; leave out the *."
        elif len(prefix) < _SHORTEST or not prefix.endswith(_ENDS):
            yield f"clear {prefix!r}: write {_SHORTEST} characters or more with one of {' '.join(_ENDS)} last."
        for other in (*options.never, _OURS):
            if other.startswith(prefix):
                yield f"clear {prefix!r} holds the protected {other!r}; write narrower prefixes."
            elif prefix.startswith(other):
                yield f"clear {prefix!r} lies under the protected {other!r}."
    if any(not prefix for prefix in options.never):
        yield "never holds an empty prefix, which protects everything; leave it out."
    if options.max_keys < 1:
        yield "max_keys must be 1 or more."


def _build(role: str, options: RedisActionOptions, resources: Resources) -> RedisAction:
    return RedisAction(cast("RedisTarget", resources.target(role)), options)


KIND: ActionKind[RedisActionOptions] = ActionKind(
    name="redis",
    options=RedisActionOptions,
    targets=("redis",),
    transactional=lambda _: False,
    build=_build,
    complaints=_complaints,
)
