"""One Redis database as migrations use it: scripts that Redis runs alone, pages of keys, and what its refusals mean."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, TypeAlias, cast

from redis import exceptions

from watchdog.migrations.cache.file import OURS
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import FencedError, WatchdogError
from watchdog.ports.secrets import KnownSecret
from watchdog.targets.redis import RedisOptions, RedisTarget

Name: TypeAlias = Literal["begin", "turn", "measure", "apply", "back", "settle", "receipt", "close"]

PAGE = 200
BATCH_BYTES = 4 * 2**20
OPEN = f"{OURS}runs:open"
COUNTER = f"{OURS}runs"
CLOSED = f"{OURS}releases:closed"

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\*?[]"})
_INFO = "+@scripting +info +time"
_MAY_NOT = ("NOPERM", "can't run this command", "can't access", "No permissions")


@dataclass(frozen=True)
class Fence:
    """Who acts: every write of a rollback carries the guard's epoch, and a stale holder's changes nothing."""

    guard: str
    epoch: int


class TakenOverError(RefusedError):
    """Somebody else turned the run while we worked on it."""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator["Store"]:
    """The database of an address, for one command."""
    target = RedisTarget("redis", RedisOptions(url=KnownSecret(url)))
    try:
        yield Store(target)
    finally:
        await target.close()


class Store:
    """Runs scripts; each takes the fence first, where there is one, and looks at the state of the run."""

    def __init__(self, target: RedisTarget, fence: Fence | None = None) -> None:
        self.target = target
        self._fence = fence
        self._scripts: dict[str, str] = {}

    async def call(
        self, name: Name, run: int, state: str, keys: Sequence[str | bytes], *args: str | bytes | float
    ) -> list[Any]:
        """Runs a script and answers what it says behind `ok`.

        Args:
            state: What the run must be; nothing for any.

        Raises:
            TakenOverError: The run has another state; nothing was changed.
            FencedError: Somebody with a higher epoch acts; nothing was changed.
            WatchdogError: Redis refuses or does not answer.
        """
        fence = self._fence
        held = f"{OURS}fence:{fence.guard}" if fence else run_key(run)
        answer = await self._run(
            _text("common.lua") + _text(f"{name}.lua"),
            [run_key(run), held, *keys],
            [state, fence.epoch if fence else "", *args],
        )
        word, *rest = answer
        if word == b"fenced" and fence:
            raise FencedError(
                f"Guard {fence.guard} is held with epoch {rest[0]} now, ours is {fence.epoch}; nothing more was done."
            )
        if word == b"state":
            raise TakenOverError((f"run {run} is {rest[0].decode()} now; somebody else works on it",))
        return [word.decode(), *rest]

    async def attempt(self, keys: Sequence[str]) -> None:
        """Tries every right on keys that nobody has.

        Raises:
            RefusedError: A right is missing.
        """
        await self._run(_text("try.lua"), keys, [])

    async def _run(self, text: str, keys: Sequence[str | bytes], args: Sequence[str | bytes | float]) -> list[Any]:
        with self.speaking():
            script = self.target.client().register_script(text)
            return cast("list[Any]", await script(keys=list(keys), args=list(args)))

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Turns the client's errors into ours; keys are never repeated."""
        with self.target.translated():
            try:
                yield
            except exceptions.ResponseError as error:
                text = str(error)
                if isinstance(error, exceptions.NoPermissionError) or any(one in text for one in _MAY_NOT):
                    grants = f"`~{OURS}*`, `~PREFIX*` for every prefix of the file, `+@read +@write +@keyspace {_INFO}`"
                    said = f"the user of {self.target.place} may not do what a migration does; grant it {grants}"
                    raise RefusedError((said,)) from None
                if text.startswith("OOM") or "OOM command not allowed" in text or "maxmemory" in text:
                    raise WatchdogError(
                        f"{self.target.place} has no memory left (maxmemory); give it more, or clear less at a time."
                    ) from None
                raise

    async def pages(self, prefix: str, never: Sequence[str]) -> AsyncIterator[tuple[list[bytes], int]]:
        """Keys under a prefix without the protected ones, and how many of those there were; a key may come twice."""
        cursor = 0
        guarded = tuple(one.encode() for one in (*never, OURS))
        while True:
            with self.speaking():
                scan = await self.target.client().scan(cursor, prefix.translate(_SPECIAL) + "*", PAGE)
            cursor, keys = cast("tuple[int, list[bytes]]", scan)
            found = [key for key in keys if key.startswith(prefix.encode())]
            free = [key for key in found if not key.startswith(guarded)]
            for start in range(0, len(free), PAGE):
                yield free[start : start + PAGE], 0
            if len(free) < len(found):
                yield [], len(found) - len(free)
            if cursor == 0:
                return

    async def entries(self, run: int, step: int) -> AsyncIterator[list[bytes]]:
        """Keys that a step of a run has entries for, until there are none; whoever asks must take each away."""
        name = entries_key(run, step)
        while await self.count(name):
            cursor = 0
            while True:
                with self.speaking():
                    scan = await cast("Any", self.target.client().hscan(name, cursor, count=PAGE))
                cursor, found = cast("tuple[int, dict[bytes, bytes]]", scan)
                keys = list(found)
                for start in range(0, len(keys), PAGE):
                    yield keys[start : start + PAGE]
                if cursor == 0:
                    break

    async def count(self, name: str) -> int:
        """How many fields a hash has; WatchdogError when Redis does not answer."""
        with self.speaking():
            return int(await cast("Any", self.target.client().hlen(name)))


def run_key(run: int) -> str:
    """The hash that says what a run is."""
    return f"{OURS}run:{run}"


def entries_key(run: int, step: int) -> str:
    """The hash of what a step did to each key."""
    return f"{OURS}run:{run}:{step}:entries"


def values_key(run: int, step: int) -> str:
    """The hash of what each key held before a step, as DUMP says it."""
    return f"{OURS}run:{run}:{step}:before"


def _text(name: str) -> str:
    return resources.files("watchdog.migrations.cache").joinpath(name).read_text(encoding="utf-8") + "\n"
