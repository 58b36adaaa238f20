"""Takes an applied migration of Redis keys back from its archive in the same database alone."""

from dataclasses import dataclass

from watchdog.migrations.cache.file import Move, overlap
from watchdog.migrations.cache.runs import Stand, read_stand, runs_of, turn
from watchdog.migrations.cache.store import BATCH_BYTES, Fence, Store, entries_key, opened, values_key
from watchdog.migrations.session import RefusedError


@dataclass(frozen=True)
class Report:
    """What became of the keys.

    Attributes:
        restored: As before again.
        carried: The old name has what users wrote under the new one, which stays too.
        removed: Copies of the migration that are gone; nobody had changed them.
        kept: Users wrote them since; they stay.
        deleted: Users deleted them since; they stay away.
        expired: Their time came meanwhile.
        archived: Earlier values that only the archive holds, until it is settled or ends.
        not_archived: Keys that the migration deleted for ever, by `archive: false`.
    """

    run: int
    restored: int
    carried: int
    removed: int
    kept: int
    deleted: int
    expired: int
    archived: int
    not_archived: int


async def rollback(url: str, run: int) -> Report:
    """Takes a run back, also one that stopped half way; a second call goes on where the first was cut off.

    Raises:
        RefusedError: There is nothing to take back, a later run stands on it, or the archive is not there any more.
        WatchdogError: There is no such run, or Redis does not answer.
    """
    async with opened(url) as store:
        return await take_back(store, run)


async def take_back(store: Store, run: int) -> Report:
    """As `rollback`, in a store that is open; a fence of the store goes with every write.

    Raises:
        FencedError: Somebody with a higher epoch acts.
    """
    stand = await read_stand(store, run)
    if stand.state in {"rolled back", "settling", "settled"}:
        raise RefusedError((f"run {run} is {stand.state}: nothing to take back",))
    await _stands_free(store, stand)
    await _is_whole(store, stand)
    await turn(store, run, stand.state, "rolling back")
    steps = stand.migration.steps
    for number, step in reversed(tuple(enumerate(steps))):
        names = [entries_key(run, number), values_key(run, number)]
        to = step.to if isinstance(step, Move) else ""
        async for keys in store.entries(run, number):
            left = keys
            while left:
                _, done = await store.call("back", run, "rolling back", [*names, *left], BATCH_BYTES, step.prefix, to)
                left = left[done:]
    await turn(store, run, "rolling back", "rolled back")
    return report_of(await read_stand(store, run))


def fenced(store: Store, guard: str, epoch: int) -> Store:
    """The same store, whose writes carry a guard's epoch."""
    return Store(store.target, Fence(guard, epoch))


def report_of(stand: Stand) -> Report:
    """What the rollback of a run did so far."""
    words = ("restored", "carried", "removed", "kept", "deleted", "expired")
    return Report(
        stand.run,
        **{word: stand.report.get(word, 0) for word in words},
        archived=stand.count("values"),
        not_archived=stand.count("dropped"),
    )


async def _stands_free(store: Store, stand: Stand) -> None:
    mine = stand.migration.prefixes
    for later in await runs_of(store):
        if later.run <= stand.run or later.state not in {"applying", "applied", "rolling back"}:
            continue
        theirs = (await read_stand(store, later.run)).migration.prefixes
        if any(overlap(one, other) for one in mine for other in theirs):
            raise RefusedError((f"run {later.run} works on the same keys after it; take that one back first",))


async def _is_whole(store: Store, stand: Stand) -> None:
    """Refuses when Redis dropped a part of the archive: its time came, or its memory ran out."""
    entries = values = 0
    for number in range(len(stand.migration.steps)):
        entries += await store.count(entries_key(stand.run, number))
        values += await store.count(values_key(stand.run, number))
    if (entries, values) != (stand.count("entries"), stand.count("values")):
        there = f"{values:,} of {stand.count('values'):,} values are there"
        said = f"the archive of run {stand.run} is not whole: {there}; its time came, or Redis evicted it"
        raise RefusedError((said,))
