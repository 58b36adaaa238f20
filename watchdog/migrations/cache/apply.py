"""Applies a migration of Redis keys so that it can be taken back: batch by batch, each with its archive."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from watchdog.migrations.cache.file import OURS, CacheMigration, Clear, Move, Step, read_migration
from watchdog.migrations.cache.rollback import take_back
from watchdog.migrations.cache.runs import as_time, read_stand, turn
from watchdog.migrations.cache.store import (
    BATCH_BYTES,
    CLOSED,
    COUNTER,
    OPEN,
    Store,
    TakenOverError,
    entries_key,
    opened,
    values_key,
)
from watchdog.migrations.session import RefusedError
from watchdog.migrations.yaml_file import read_text
from watchdog.ports.errors import WatchdogError


@dataclass(frozen=True)
class Applied:
    """A migration that was applied.

    Attributes:
        touched: Keys that were moved, copied, cleared or given an expiry.
        archived: Of those, how many values the archive holds.
        bytes: What they take there, as DUMP says them.
        dropped: Keys that were deleted for ever, by `archive: false`.
        there: Keys that stood under the new prefix before; they stay as they were.
        protected: Keys that `never` kept out.
    """

    run: int
    touched: int
    archived: int
    bytes: int
    dropped: int
    there: int
    protected: int


@dataclass
class _Size:
    keys: int = 0
    bytes: int = 0
    protected: int = 0


async def apply(url: str, source: Path | str, *, release: str = "", name: str = "") -> Applied:
    """Applies a migration; one of the same file that stopped half way goes on.

    Args:
        source: The file, or its text.

    Raises:
        FileError: The file is wrong.
        RefusedError: It is too much, the server is a cluster, or the user has not the rights; nothing was changed.
        WatchdogError: It failed and was taken back, or the message says what is left.
    """
    file, text = read_text(source)
    migration = read_migration(text, file)
    async with opened(url) as store:
        await _is_able(store, migration)
        size = await _measure(store, migration)
        run = await _begin(store, migration, name, release)
        try:
            for number, step in enumerate(migration.steps):
                await _carry_out(store, run, number, step, migration)
            await turn(store, run, "applying", "applied")
        except TakenOverError:
            raise
        except WatchdogError as error:
            await asyncio.shield(_back(store, run, error))
            raise
        stand = await read_stand(store, run)
    return Applied(
        run,
        stand.count("touched"),
        stand.count("values"),
        stand.count("bytes"),
        stand.count("dropped"),
        stand.count("there"),
        size.protected,
    )


async def _back(store: Store, run: int, cause: WatchdogError) -> None:
    try:
        await take_back(store, run)
    except WatchdogError as error:
        raise WatchdogError(
            f"It failed half way: {cause} What was done is still there: {error} Take run {run} back."
        ) from None


async def _is_able(store: Store, migration: CacheMigration) -> None:
    with store.speaking():
        cluster = await store.target.client().info("cluster")
    if cluster.get("cluster_enabled"):
        raise RefusedError(
            (f"{store.target.place} is a Redis Cluster: a key and its archive would lie on different nodes",)
        )
    token = secrets.token_hex(8)
    prefixes = dict.fromkeys((f"{OURS}run:", *migration.prefixes))
    await store.attempt([f"{prefix}watchdog-try-{token}" for prefix in prefixes])


async def _measure(store: Store, migration: CacheMigration) -> _Size:
    """How much there is to do; raises RefusedError when it is too much."""
    total = _Size()
    for step in migration.steps:
        size = await _measured(store, step, migration)
        total.keys += size.keys
        total.bytes += size.bytes
        total.protected += size.protected
    reasons = []
    if total.keys > migration.cap:
        reasons.append(f"{total.keys:,} keys or more have these prefixes, cap is {migration.cap:,}")
    if total.bytes > migration.budget:
        reasons.append(f"the archive would take {total.bytes:,} bytes or more, budget is {migration.budget:,}")
    with store.speaking():
        memory = await store.target.client().info("memory")
    limit, used = int(memory.get("maxmemory", 0)), int(memory.get("used_memory", 0))
    if limit and used + total.bytes > limit:
        reasons.append(
            f"{store.target.place} has {max(0, limit - used):,} bytes left, the archive needs {total.bytes:,}"
        )
    if reasons:
        raise RefusedError(tuple(reasons))
    return total


async def _measured(store: Store, step: Step, migration: CacheMigration) -> _Size:
    size = _Size()
    keeps = not isinstance(step, Clear) or step.archive
    async for page, protected in store.pages(step.prefix, migration.never):
        size.protected += protected
        keys = page
        while keys:
            _, looked, there, held = await store.call("measure", 0, "", keys, BATCH_BYTES)
            size.keys += there
            size.bytes += held if keeps else 0
            keys = keys[looked:]
        if size.keys > migration.cap or size.bytes > migration.budget:
            break
    return size


async def _begin(store: Store, migration: CacheMigration, name: str, release: str) -> int:
    with store.speaking():
        seconds, _ = cast("tuple[int, int]", await cast("Any", store.target.client().time()))
    fields = {
        "name": name,
        "script": migration.text,
        "script_hash": (hashed := hashlib.sha256(migration.text.encode()).hexdigest()),
        "expires_at": str((seconds + migration.expires) * 1000),
    }
    words = [word for pair in fields.items() for word in pair]
    said, run, *state = await store.call("begin", 0, "", [OPEN, COUNTER, CLOSED], hashed, release, *words)
    if said == "closed":
        raise RefusedError(
            (f"release {release} is taken back since {as_time(run)}; apply the next try under another --release",)
        )
    if said == "busy":
        raise RefusedError(
            (f"run {run} is still {state[0].decode()}; wait for it, or take it back if its process is gone",)
        )
    return int(run)


async def _carry_out(store: Store, run: int, number: int, step: Step, migration: CacheMigration) -> None:
    act, other = _act(step)
    ends = (await read_stand(store, run)).fields["expires_at"]
    names = [entries_key(run, number), values_key(run, number)]
    words: list[str | bytes | float] = [BATCH_BYTES, migration.budget, ends, act, step.prefix, other]
    async for page, _ in store.pages(step.prefix, migration.never):
        keys = [key for key in page if _is_free(key, step, migration)]
        while keys:
            said, done = await store.call("apply", run, "applying", [*names, *keys], *words)
            if said == "budget":
                raise WatchdogError(
                    f"The archive grew past its budget of {migration.budget:,} bytes while users wrote; raise budget."
                )
            keys = keys[done:]


def _act(step: Step) -> tuple[str, str]:
    """What a step does, and the new prefix or the seconds."""
    match step:
        case Move():
            return ("copy" if step.keep else "move"), step.to
        case Clear():
            return ("clear" if step.archive else "drop"), ""
        case _:
            return "expire", str(step.seconds)


def _is_free(key: bytes, step: Step, migration: CacheMigration) -> bool:
    """Whether a key's new name is not protected either."""
    if not isinstance(step, Move):
        return True
    moved = step.to.encode() + key[len(step.prefix.encode()) :]
    return not moved.startswith(tuple(one.encode() for one in (*migration.never, OURS)))
