"""Lets a tool migrate a database so that it can be taken back: learnt on a copy, archived, watched while it works."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, NoReturn

import psycopg

from watchdog.migrations.budget import Prediction, check, predict, say_prediction
from watchdog.migrations.catalog import catalog
from watchdog.migrations.clone import scratch
from watchdog.migrations.dump import dump
from watchdog.migrations.images import image, qualified
from watchdog.migrations.limits import Limits, Recorded, prepare_later
from watchdog.migrations.manifest import Manifest, begin, record
from watchdog.migrations.online import large
from watchdog.migrations.options import Options, OptionsError
from watchdog.migrations.paced import archive
from watchdog.migrations.plain import plain
from watchdog.migrations.policies import insist_on_tables
from watchdog.migrations.releases import refuse_closed
from watchdog.migrations.rollback import rollback
from watchdog.migrations.runs import archives as archives_of
from watchdog.migrations.runs import images_of, named, prepare, register, seal
from watchdog.migrations.session import RefusedError, connected, plain_text, sequence_positions
from watchdog.migrations.shape import Connection, Shape, look
from watchdog.migrations.toc import Entry
from watchdog.migrations.tools import capture, later
from watchdog.migrations.tools.address import Address, Command, ToolError
from watchdog.migrations.tools.begun import Begun, alone, drop, load, save, sweep
from watchdog.migrations.tools.correct import tokens
from watchdog.migrations.tools.finish import Finished, finish, is_applying, nobody_works
from watchdog.migrations.tools.process import ByCommand, Ended, Hear, Work
from watchdog.migrations.tools.remains import drop_invalid
from watchdog.migrations.tools.study import Study, heeds_its_address, study, tables_with_rows, what_lies_outside
from watchdog.migrations.undo import Plan
from watchdog.ports.errors import WatchdogError

_DEFAULTS: Final = Options()
_NOTHING: Final = Plan((), (), (), (), (), (), (), ())
_STOPPED: Final = "it was stopped"
_LOCK: Final = "hashtext('watchdog.migration_runs'), %s::int"


@dataclass(frozen=True)
class ToolApplied:
    """What a tool did.

    Attributes:
        archives: Rows kept of each table, as they were before.
        quarantines: What a rollback would keep apart: tables and columns that the tool made.
        lowered: Why not everything can be taken back, or what is not certain, as sentences.
        reversible: Whether `rollback` takes it back.
    """

    run: int
    archives: dict[str, int]
    quarantines: tuple[str, ...]
    lowered: tuple[str, ...] = ()
    reversible: bool = True


@dataclass(frozen=True)
class _Job:
    production: Connection
    url: str
    work: Work
    entries: tuple[Entry, ...]
    options: Options
    study: Study


def _unheard(_: str) -> None:
    pass


def _said(error: BaseException) -> str:
    return plain(error) if isinstance(error, psycopg.Error) else str(error).strip()


async def apply_tool(
    url: str, command: Command, *, scratch_url: str | None = None, options: Options = _DEFAULTS,
    hear: Hear = _unheard,
) -> ToolApplied | None:  # fmt: skip
    """Runs a migration tool, with everything archived that it destroys; None when it has nothing to do.

    Args:
        scratch_url: A scratch server, as superuser; without it one of our own is started.
        hear: Hears what the tool says in production.

    Raises:
        RefusedError: It cannot be taken back, or not be watched; nothing was changed.
        WatchdogError: It failed; the message says whether anything was changed.
    """
    if not options.archive or options.defer:
        raise OptionsError("--no-archive and --defer are for scripts; a tool runs its own statements: leave them out.")
    if command.kind.graph:
        raise ToolError(f"--tool {command.tool}: {command.tool} migrates a graph; its address begins with bolt://.")
    await heeds_its_address(url, command)
    return await apply_work(url, ByCommand(command), scratch_url=scratch_url, options=options, hear=hear)


async def apply_work(
    url: str, work: Work, *, scratch_url: str | None = None, options: Options = _DEFAULTS, hear: Hear = _unheard
) -> ToolApplied | None:
    """Lets something work that commits more than once, as `apply_tool` does with a tool; raises as that does."""
    async with connected(url, options.role) as production:
        await prepare(production)
        await prepare_later(production)
        await sweep(production)
        entries = await dump(url, options.role)
        async with scratch(production.info.server_version // 10_000, scratch_url) as admin:
            found = await study(production, admin, entries, work, options.role)
        if found.does_nothing:
            return None
        return await _carry_out(_Job(production, url, work, entries, options, found), hear)


async def _carry_out(job: _Job, hear: Hear) -> ToolApplied:
    production = job.production
    shape = job.study.learnt.shape_before
    insist_on_tables(job.options.policies, (table.name for table in shape.tables))
    with named("The tables cannot be looked at"):
        undo = await large(production, job.study.plan, shape, job.options.online_rows)
    job = replace(job, study=replace(job.study, plan=undo))
    prediction = await predict(production, undo.tables)
    if too_much := check(prediction, job.options.budget_bytes, within=job.options.rollback_within):
        raise RefusedError((too_much,))
    hear(say_prediction(prediction))
    run, begun = await _begin(job, prediction)
    await production.execute(f"SELECT pg_advisory_lock({_LOCK})".encode(), (run,))
    try:
        archives, notes = await _make_ready(job, run, begun, hear)
        done = await _work(production, job.url, (run, begun), job.work, hear)
    finally:
        await production.execute(f"SELECT pg_advisory_unlock({_LOCK})".encode(), (run,))
    await seal(production, run)
    lowered = (*job.study.notes, *notes, *done.lowered)
    return ToolApplied(run, archives, done.made, lowered, done.reversible)


async def go_on(url: str, run: int, work: Work, hear: Hear = _unheard) -> ToolApplied:
    """Lets the work of a run go on whose process died; `work` knows what is left.

    Raises:
        WatchdogError: There is nothing to go on with, it is still at work, or it failed and was taken back.
    """
    async with connected(url) as first:
        begun = await load(first, run)
    if begun is None:
        raise WatchdogError(f"Run {run} is none that stopped half way; see `watchdog migration status`.")
    async with connected(url, begun.role) as production:
        await nobody_works(production, run)
        if not await is_applying(production, run):
            raise WatchdogError(
                f"Run {run} stopped before its first step: take it back by `watchdog migration rollback`,"
                " and apply again."
            )
        done = await _work(production, url, (run, begun), work, hear)
        await seal(production, run)
        kept = {one.table: one.rows for one in await archives_of(production, run) if one.name.endswith("_before")}
    return ToolApplied(run, kept, done.made, done.lowered, done.reversible)


async def _work(production: Connection, url: str, what: tuple[int, Begun], work: Work, hear: Hear) -> Finished:
    run, begun = what
    ended = await _run(url, begun.role, run, work, hear)
    if ended.status:
        await _failed(production, url, what, f"{work.called} failed with status {ended.status}:\n{ended.said}\n")
    done = await _settled(production, url, run, begun)
    await _not_too_late(production, url, run)
    return done


async def _not_too_late(production: Connection, url: str, run: int) -> None:
    """Takes a run back whose release was taken back while the tool worked; raises WatchdogError that says so."""
    query = "SELECT coalesce(release, '') FROM watchdog.migration_runs WHERE id = %s"
    try:
        async with production.transaction():
            row = await (await production.execute(query, (run,))).fetchone()
            await refuse_closed(production, row[0] if row else "")
    except RefusedError as late:
        why = "; ".join(late.reasons)
        try:
            await rollback(url, run)
        except (psycopg.Error, WatchdogError) as error:
            raise WatchdogError(
                f"{why}; run {run} came too late and could not be taken back: {_said(error)}"
            ) from error
        raise WatchdogError(f"{why}. Run {run} came too late and was taken back.") from None


async def _begin(job: _Job, prediction: Prediction) -> tuple[int, Begun]:
    """The run stands in the database before anything else does."""
    production = job.production
    async with production.transaction():
        await alone(production)
        await plain_text(production)
        shape = await look(production)
        if shape.outline() != job.study.learnt.shape_before.outline():
            raise RefusedError(("the schema changed while the tool was tried on a copy; try again",))
        lines = await catalog(production)
        positions = await sequence_positions(production)
        kept = {table.number for table in shape.tables if table.name in job.study.archived and table.kind == "r"}
        columns = {number: await tokens(production, number) for number in kept}
        outside = await what_lies_outside(production)
        run = await begin(production, job.work.text, job.options, prediction.rollback_seconds, state="preparing")
        # A plan of nothing: until the tool has ended nobody knows what there is to take back.
        await record(production, run, Manifest(_NOTHING, lines, "", positions, positions, role=job.options.role))
        begun = Begun(
            job.entries, shape, lines, positions, columns, outside,
            job.study.plan, job.study.learnt.shape_forward.outline(), job.study.archived, job.study.made,
            job.work.version_tables, job.options.role, _said_of_log(job.options, prediction),
        )  # fmt: skip
        await save(production, run, begun)
        return run, begun


def _said_of_log(options: Options, prediction: Prediction) -> Recorded:
    limits = Limits(options.log_bytes, options.wal_bytes, options.lag_seconds)
    return Recorded(limits, options.policies, dict(prediction.speed))


async def _make_ready(job: _Job, run: int, begun: Begun, hear: Hear) -> tuple[dict[str, int], tuple[str, ...]]:
    """Watches the tables and archives them; takes everything away again when that fails."""
    production = job.production
    try:
        archived = {table.name for table in begun.shape.tables if table.number in begun.columns}
        others = [name for name in tables_with_rows(begun.shape) if name not in archived]
        held = await capture.install(production, run, sorted(archived), others)
        kept = await _archive(production, run, job.study, hear)
        await production.execute("UPDATE watchdog.migration_runs SET state = 'applying' WHERE id = %s", (run,))
    except (asyncio.CancelledError, psycopg.Error, WatchdogError) as error:
        await _forget(production, run)
        why = _said(error) or _STOPPED
        raise WatchdogError(f"{job.work.called} was not started, and nothing was changed: {why}") from error
    return kept, tuple(f"somebody held {qualified(name)}: a write of the tool there is not seen" for name in held)


async def _archive(production: Connection, run: int, study: Study, hear: Hear) -> dict[str, int]:
    """The images before, all of one moment; what the log has of earlier ones is in them."""
    kept: dict[str, int] = {}
    async with production.transaction():
        await production.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await plain_text(production)
        await production.execute("SELECT set_config('search_path', '', true)")
        await capture.forget(production, run)
        for index, table in enumerate(study.plan.tables):
            if table.kind in {"rebuilt", "gone"}:
                rows = await archive(production, run, index, table, hear)
                await register(production, run, image(run, index, "before"), qualified(table.name), rows)
                kept[".".join(table.name)] = rows
        await later.end_earlier(production, run, study.learnt, study.plan)
    return kept


async def _run(url: str, role: str, run: int, work: Work, hear: Hear) -> Ended:
    address = Address.of(url, run, role=role)
    try:
        return await work.run(address, run, hear)
    except (asyncio.CancelledError, WatchdogError) as error:
        # What it committed so far is taken back all the same, and then said.
        return Ended(-1, str(error) or _STOPPED)


async def _forget(production: Connection, run: int) -> None:
    """Nothing was done: the run and all of it go."""
    await capture.abandon(production, run)
    await later.end_all(production, run)
    await drop(production, run)
    for name in await images_of(production, run):
        await production.execute(f"DROP TABLE {name}".encode())
    await production.execute("DELETE FROM watchdog.migration_runs WHERE id = %s", (run,))


async def _settled(production: Connection, url: str, run: int, begun: Begun) -> Finished:
    try:
        return await finish(production, url, run, begun)
    except (psycopg.Error, WatchdogError) as error:
        raise WatchdogError(
            f"The tool is done, but run {run} could not be finished and stays `applying`, so it cannot be taken back:"
            f" {_said(error)}; the rows of before are in watchdog.run_{run}_…, later writes in"
            f" {capture.log(run)}."
        ) from error


async def _failed(production: Connection, url: str, what: tuple[int, Begun], how: str) -> NoReturn:
    """Takes back what was committed before the failure; raises WatchdogError that says how that went."""
    run, begun = what
    with suppress(WatchdogError, psycopg.Error):
        await drop_invalid(production, begun)
    if not await _changed(production, run, begun):
        await _forget(production, run)
        raise WatchdogError(f"{how}Nothing was changed.")
    try:
        done = await finish(production, url, run, begun)
        if not done.reversible:
            await production.execute("UPDATE watchdog.migration_runs SET state = 'applying' WHERE id = %s", (run,))
            raise RefusedError(done.lowered)
        await rollback(url, run)
    except (psycopg.Error, WatchdogError) as error:
        raise WatchdogError(
            f"{how}What it had committed stays, as it cannot be taken back: {_said(error)}; repair what stopped"
            f" the tool and run it again, or look at run {run} and its rows of before in watchdog.run_{run}_… by hand."
        ) from error
    raise WatchdogError(f"{how}What it had committed was taken back: run {run} is rolled back.")


async def _changed(production: Connection, run: int, begun: Begun) -> bool:
    async with production.transaction():
        now: Shape = await look(production)
        lines = tuple(line for line in await catalog(production) if not capture.is_ours(line))
        rewritten = {t.number: t.storage for t in now.tables} != {t.number: t.storage for t in begun.shape.tables}
        return rewritten or lines != begun.catalog or bool(await capture.written(production, run, tool=True))
