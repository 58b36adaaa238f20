"""The runs of a Redis database: hashes `watchdog:run:N` beside the keys that they changed."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from watchdog.migrations.cache.file import CacheMigration, Move, read_migration
from watchdog.migrations.cache.store import CLOSED, COUNTER, OPEN, Store, entries_key, opened, run_key, values_key
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import WatchdogError

State: TypeAlias = Literal["applying", "applied", "rolling back", "rolled back", "settling", "settled"]


@dataclass(frozen=True)
class CacheRun:
    """One migration of a Redis database; times are ISO 8601 text in UTC.

    Attributes:
        expires_at: When Redis drops what is left of its archive.
        bytes_kept: What was archived, in bytes of DUMP.
        report: What its rollback did, by word; empty before.
    """

    run: int
    name: str
    release: str
    state: State
    began_at: str
    expires_at: str
    script_hash: str
    bytes_kept: int
    report: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Settled:
    """A run that can no longer be taken back.

    Attributes:
        removed: Old keys that a move had kept and that are gone now.
        kept: Old keys that users wrote since; they stay.
        dropped: Values that were still in the archive.
    """

    run: int
    state: State
    removed: int
    kept: int
    dropped: int


@dataclass(frozen=True)
class Stand:
    """A run as its hash says it."""

    run: int
    fields: Mapping[str, str]

    @property
    def state(self) -> State:
        """What it is."""
        return cast("State", self.fields["state"])

    @property
    def migration(self) -> CacheMigration:
        """The file that was applied."""
        return read_migration(self.fields["script"])

    def count(self, name: str) -> int:
        """One of its counters."""
        return int(self.fields.get(name, "0"))

    @property
    def report(self) -> dict[str, int]:
        """What its rollback did so far, by word."""
        return {name.removeprefix("back:"): int(said) for name, said in self.fields.items() if name.startswith("back:")}


async def runs(url: str) -> tuple[CacheRun, ...]:
    """Every run of the database, the first one first; raises WatchdogError when they cannot be read."""
    async with opened(url) as store:
        return await runs_of(store)


async def runs_of(store: Store) -> tuple[CacheRun, ...]:
    """As `runs`, of a store that is open."""
    with store.speaking():
        last = int(await store.target.client().get(COUNTER) or 0)
    found = [await _read(store, number) for number in range(1, last + 1)]
    return tuple(_said(stand) for stand in found if stand is not None)


async def settle(url: str, run: int) -> Settled:
    """Ends a run's reversible window: its archive goes, and old keys that a move had kept, unless users wrote them.

    Raises:
        RefusedError: It is not finished.
        WatchdogError: There is no such run, or Redis does not answer; settling it again goes on.
    """
    async with opened(url) as store:
        stand = await read_stand(store, run)
        if stand.state in {"applying", "rolling back"}:
            raise RefusedError((f"run {run} is {stand.state}; take it back first",))
        removed = kept = 0
        if stand.state in {"applied", "settling"}:
            await turn(store, run, stand.state, "settling")
            for number, step in enumerate(stand.migration.steps):
                if isinstance(step, Move) and step.keep:
                    async for keys in store.entries(run, number):
                        names: list[str | bytes] = [entries_key(run, number), run_key(run), *keys]
                        _, looked, gone = await store.call("settle", run, "settling", names)
                        removed, kept = removed + gone, kept + looked - gone
        dropped = await drop_archive(store, stand)
        state: State = "settled" if stand.state != "rolled back" else "rolled back"
        await turn(store, run, "", state, entries="0", values="0")
        return Settled(run, state, removed, kept, dropped)


async def turn(store: Store, run: int, state: str, new: State, **fields: str) -> None:
    """Gives a run another state; raises RefusedError when it has not the one that is said, or another is under way."""
    words = (word for pair in fields.items() for word in pair)
    said, *other = await store.call("turn", run, state, [OPEN], run, new, *words)
    if said == "busy":
        raise RefusedError((f"run {other[0]} is {other[1].decode()}; take that one back first",))


async def close(store: Store, release: str) -> None:
    """From now on nothing more is applied to this database for a release; raises as `Store.call`."""
    await store.call("close", 0, "", [CLOSED], release)


async def read_stand(store: Store, run: int) -> Stand:
    """How far a run has come; raises WatchdogError when there is none."""
    stand = await _read(store, run)
    if stand is None:
        raise WatchdogError(f"There is no run {run} in {store.target.place}; `watchdog migration status` lists them.")
    return stand


async def drop_archive(store: Store, stand: Stand) -> int:
    """Takes the archive away; answers how many values it still had."""
    dropped = 0
    client = store.target.client()
    for number in range(len(stand.migration.steps)):
        with store.speaking():
            dropped += int(await cast("Any", client.hlen(values_key(stand.run, number))))
            await client.unlink(values_key(stand.run, number), entries_key(stand.run, number))
    return dropped


async def _read(store: Store, run: int) -> Stand | None:
    with store.speaking():
        raw = await cast("Any", store.target.client().hgetall(run_key(run)))
    fields = {name.decode(): value.decode(errors="replace") for name, value in raw.items()}
    return Stand(run, fields) if "state" in fields else None


def _said(stand: Stand) -> CacheRun:
    fields = stand.fields
    return CacheRun(
        stand.run,
        fields.get("name", ""),
        fields.get("release", ""),
        stand.state,
        as_time(stand.count("began_at")),
        as_time(stand.count("expires_at")),
        fields.get("script_hash", ""),
        stand.count("bytes"),
        stand.report,
    )


def as_time(milliseconds: int) -> str:
    """Milliseconds since 1970 as ISO 8601 text in UTC."""
    moment = dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
