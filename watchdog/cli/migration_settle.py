"""`watchdog migration settle`."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from watchdog.cli.migration_graph import is_graph, refuse_options, settle_on_graph
from watchdog.cli.migration_options import Database
from watchdog.cli.migration_stores import settle_elsewhere
from watchdog.cli.options import Json
from watchdog.cli.output import complain, emit, say
from watchdog.migrations.budget import say_bytes
from watchdog.migrations.settle import Settled, Sweep, settle_expired, settle_release
from watchdog.migrations.settle import settle as settle_run
from watchdog.ports.errors import WatchdogError


class SettleError(WatchdogError):
    """It is not said what to settle."""

    exit_status = 2


def settle(
    database: Database,
    run: Annotated[
        int | None, typer.Argument(help="The run's number; leave it out with --expired or --release.")
    ] = None,
    expired: Annotated[bool, typer.Option("--expired", help="Every run past the time given with --expires.")] = False,
    release: Annotated[str | None, typer.Option("--release", help="Every run of this release.")] = None,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Drop the rows in quarantine too; without it they stay.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Drop a run's archives. It can then no longer be taken back."""
    if [run is not None, expired, release is not None].count(True) != 1:
        raise SettleError("Say which run to settle, --expired, or --release, and only one of them.")
    if is_graph(database):
        refuse_options(expired=expired, release=release, quarantine=quarantine)
        assert run is not None  # noqa: S101 - it is none of the others
        settle_on_graph(database, run, as_json=as_json)
        return
    if release is not None:
        done = asyncio.run(settle_release(database, release, quarantine=quarantine))
    elif settle_elsewhere(database, run, as_json=as_json, quarantine=quarantine):
        return
    elif run is None:
        done = asyncio.run(settle_expired(database, quarantine=quarantine))
    else:
        done = Sweep((asyncio.run(settle_run(database, run, quarantine=quarantine)),), {})
    _show(done, as_json=as_json)


def _show(done: Sweep, *, as_json: bool) -> None:
    if as_json:
        emit({"settled": [asdict(one) for one in done.settled], "failed": done.failed})
    else:
        for one in done.settled:
            _lines(one)
        for reason in done.failed.values():
            complain(reason)
        if not done.settled and not done.failed:
            say("no run is past its time")
    if done.failed:
        raise typer.Exit(1)


def _lines(done: Settled) -> None:
    total = say_bytes(sum(done.freed.values()))
    say(f"run {done.run} is {done.state}; {len(done.freed)} archives dropped, {total} free again")
    for name, size in done.freed.items():
        say(f"  {name}: {say_bytes(size)}")
    if done.discarded:
        say(f"  {done.discarded:,} rows dropped from quarantine")
    if done.quarantined:
        say(f"  {done.quarantined:,} rows stay in quarantine; watchdog migration quarantine {done.run} lists them")
