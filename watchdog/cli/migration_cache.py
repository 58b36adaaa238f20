"""`watchdog migration` where the address names a Redis database: `--database redis://user:password@host:6379/0`."""

import asyncio
from dataclasses import asdict
from pathlib import Path

from watchdog.cli.output import emit, say
from watchdog.migrations.budget import say_bytes
from watchdog.migrations.cache.apply import apply
from watchdog.migrations.cache.rollback import rollback
from watchdog.migrations.cache.runs import runs, settle
from watchdog.ports.errors import WatchdogError

_SCHEMES = ("redis", "rediss")


class CacheError(WatchdogError):
    """An option that a cache has no use for."""

    exit_status = 2


def is_cache(url: str) -> bool:
    """Whether an address names a Redis database."""
    return url.partition(":")[0] in _SCHEMES


def apply_to_cache(url: str, file: Path, *, name: str, release: str, as_json: bool) -> None:
    """Applies a migration of keys and says so."""
    done = asyncio.run(apply(url, file, release=release, name=name))
    if as_json:
        emit(asdict(done))
        return
    say(f"run {done.run} is applied; watchdog migration rollback --database … {done.run} takes it back")
    say(f"  {done.touched:,} keys changed, {done.archived:,} values archived ({say_bytes(done.bytes)})")
    if done.dropped:
        say(f"  {done.dropped:,} keys deleted for ever, as the file says")
    if done.there:
        say(f"  {done.there:,} keys stood under the new prefix before; they stay")
    if done.protected:
        say(f"  {done.protected:,} protected keys left alone")


def take_back_from_cache(url: str, run: int, *, as_json: bool) -> None:
    """Takes a run back and says what became of it."""
    report = asyncio.run(rollback(url, run))
    if as_json:
        emit(asdict(report))
        return
    say(f"run {run} is rolled back")
    say(f"  {report.restored:,} keys as before, {report.removed:,} copies gone, {report.expired:,} past their time")
    say(
        f"  written since: {report.kept:,} stay, {report.carried:,} brought back under the old name,"
        f" {report.deleted:,} deleted by users stay away"
    )
    if report.archived:
        say(f"  {report.archived:,} earlier values are only in the archive, until it is settled or ends")
    if report.not_archived:
        say(f"  {report.not_archived:,} keys were deleted without archive and are gone")


def show_runs_of_cache(url: str, *, as_json: bool) -> None:
    """Every run of the database."""
    found = asyncio.run(runs(url))
    if as_json:
        emit([asdict(one) for one in found])
        return
    for one in found:
        said = " ".join(part for part in (one.name, one.release and f"({one.release})") if part)
        kept = f"{say_bytes(one.bytes_kept)} archived until {one.expires_at}"
        say(f"run {one.run}: {one.state}, began {one.began_at}, {kept}{f', {said}' if said else ''}")
    if not found:
        say("no runs")


def settle_on_cache(url: str, run: int, *, as_json: bool) -> None:
    """Drops what is kept for a run."""
    done = asyncio.run(settle(url, run))
    if as_json:
        emit(asdict(done))
        return
    say(f"run {run} is {done.state}; {done.dropped:,} values of its archive are dropped")
    if done.removed or done.kept:
        say(f"  {done.removed:,} old keys of copies are gone, {done.kept:,} stay, as users wrote them since")


def refuse_options(**given: object) -> None:
    """Refuses options that mean nothing for a cache, by their names."""
    if wrong := [f"--{name.replace('_', '-')}" for name, value in given.items() if value]:
        raise CacheError(f"{', '.join(wrong)}: only for PostgreSQL; leave it out for Redis.")
