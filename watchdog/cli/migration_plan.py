"""`watchdog migration plan`: the migrations of a release over several stores, applied and taken back as one."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from watchdog.cli.lazy import new_app
from watchdog.cli.migration_graph import graph_of
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.config.secrets import resolve
from watchdog.migrations.plans.file import Plan, read_plan
from watchdog.migrations.plans.run import Done, Hear, Line, Stores, needed, take_back
from watchdog.migrations.plans.run import apply as apply_plan
from watchdog.migrations.plans.run import status as status_of
from watchdog.migrations.plans.stores import CacheStore, GraphStore, SqlStore, Store, VectorStore
from watchdog.migrations.plans.tenants import spread
from watchdog.ports.errors import WatchdogError

T = TypeVar("T")

app = new_app("The migrations of a release over several stores, applied in order and taken back in reverse.")

File = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan, a YAML file; its scripts lie beside it.")]
At = Annotated[
    list[str],
    typer.Option("--at", help="Where a target of the plan is: NAME=URL; the URL may say ${env:NAME} or ${file:PATH}."),
]
Scratch = Annotated[str | None, typer.Option("--scratch", help="A scratch server's URL for PostgreSQL, as superuser.")]


class PlaceError(WatchdogError):
    """A target of the plan has no address, or one that is none."""

    exit_status = 2


@app.command()
def apply(plan: File, at: At, *, scratch: Scratch = None, as_json: Json = False) -> None:
    """Apply what is not applied yet; when one migration fails, take back all that is, in reverse."""

    async def work(read: Plan, stores: Stores, lenient: tuple[str, ...], hear: Hear) -> Done:
        return await apply_plan(read, stores, hear, keep=lenient)

    done = _with(plan, at, scratch, work, as_json=as_json)
    if as_json:
        emit(asdict(done))
        return
    say(f"{len(done.applied)} migrations applied, {len(done.there)} were there; all of the plan is applied")


@app.command()
def rollback(plan: File, at: At, *, as_json: Json = False) -> None:
    """Take back what is applied, the last one first; said again, it goes on where it stopped."""

    async def work(read: Plan, stores: Stores, _lenient: tuple[str, ...], hear: Hear) -> Done:
        return await take_back(read, stores, hear)

    done = _with(plan, at, None, work, as_json=as_json)
    if as_json:
        emit(asdict(done))
        return
    say(f"{len(done.taken_back)} migrations taken back; nothing of the plan is applied")


@app.command()
def status(plan: File, at: At, *, as_json: Json = False) -> None:
    """How each migration of a plan stands, as its store says."""

    async def work(read: Plan, stores: Stores, _lenient: tuple[str, ...], _hear: Hear) -> tuple[Line, ...]:
        return await status_of(read, stores)

    lines = _with(plan, at, None, work, as_json=as_json)
    if as_json:
        emit([asdict(line) for line in lines])
        return
    width = max(len(line.name) for line in lines)
    for line in lines:
        run = f", run {line.run}" if line.run is not None else ""
        say(f"{line.name:{width}}  {line.place}: {line.state}{run}")


def _with(
    path: Path,
    at: list[str],
    scratch: str | None,
    work: Callable[[Plan, Stores, tuple[str, ...], Hear], Awaitable[T]],
    *,
    as_json: bool,
) -> T:
    read = read_plan(path)
    urls = _urls(at, read)

    async def run() -> T:
        async with AsyncExitStack() as ending:
            spread_out, lenient = await spread(read, urls)
            stores = {key: await _store(key[1], urls[key[0]], scratch, ending) for key in needed(spread_out)}
            return await work(spread_out, stores, lenient, _silent if as_json else say)

    return asyncio.run(run())


def _silent(_: str) -> None:
    """Nobody listens."""


def _urls(at: list[str], plan: Plan) -> dict[str, str]:
    urls: dict[str, str] = {}
    for said in at:
        name, equals, url = said.partition("=")
        if not equals or not url:
            raise PlaceError("--at needs NAME=URL, where NAME is a target of the plan.")
        urls[name] = resolve(url, os.environ)
    if missing := [place for place in plan.places if place not in urls]:
        raise PlaceError(f"Where is {', '.join(missing)}? Say --at {missing[0]}=URL.")
    if unknown := [place for place in urls if place not in plan.places]:
        raise PlaceError(f"The plan has no target {', '.join(unknown)}; it has {', '.join(plan.places)}.")
    return urls


async def _store(kind: str, url: str, scratch: str | None, ending: AsyncExitStack) -> Store:
    match kind:
        case "sql":
            return SqlStore(url, scratch)
        case "vectors":
            return VectorStore(url)
        case "redis":
            return CacheStore(url)
        case _:
            graph = graph_of(url)
            ending.push_async_callback(graph.close)
            return GraphStore(graph)
