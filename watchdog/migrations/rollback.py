"""Takes an applied migration back from its manifest alone, in one transaction that is checked before it commits."""

import asyncio
import contextlib
import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from watchdog.migrations.catalog import catalog
from watchdog.migrations.changelog import stop
from watchdog.migrations.conflicts import keep_losers, losers
from watchdog.migrations.folded import forget as forget_rounds
from watchdog.migrations.folded import whole_added
from watchdog.migrations.images import (
    archive_live,
    counts,
    image,
    key_is_unique,
    merge,
    not_restored,
    not_restored_by_key,
    qualified,
    quarantine_new,
    refill,
)
from watchdog.migrations.indexes import take_indexes_back
from watchdog.migrations.limits import prepare_later, recorded, stand_in, without_log
from watchdog.migrations.manifest import Manifest, read
from watchdog.migrations.merge_large import put_in, read_written
from watchdog.migrations.misfits import quarantine_incomplete, refill_one_by_one
from watchdog.migrations.online import forget
from watchdog.migrations.orphans import set_aside, settle_orphans
from watchdog.migrations.plain import plain
from watchdog.migrations.policies import Policies, Policy, insist_on_tables, policy_of
from watchdog.migrations.renames import quote
from watchdog.migrations.runs import close, damaged
from watchdog.migrations.session import RefusedError, connected, plain_text, sequence_positions
from watchdog.migrations.shadow import build, built, clear, drop, swaps
from watchdog.migrations.shape import Connection, Name
from watchdog.migrations.table_plans import TablePlan
from watchdog.migrations.tools.begun import refuse_unfinished
from watchdog.migrations.tools.finish import resume
from watchdog.migrations.undo import Plan
from watchdog.ports.errors import WatchdogError


@dataclass
class Report:
    """What a rollback did, in rows.

    Attributes:
        earlier: Rows put back as they were.
        changed: Earlier rows that users changed since; their values stay.
        deleted: Earlier rows that users deleted since; they stay deleted.
        later: Rows written since that stay live.
        quarantined: Rows that do not fit the old schema, in `watchdog.migration_quarantine`.
        kept_columns: Tables in schema `watchdog` that hold the values of columns that were taken away.
        conflicts: Rows in which users changed what the script had changed: one side lost, and is kept.
        kept_losers: Tables in schema `watchdog` that hold them; those of the policy `quarantine` are in quarantine.
        by_archive: Tables whose log was ended early, so that all their rows were compared with the archive instead.
    """

    run: int
    earlier: int = 0
    changed: int = 0
    deleted: int = 0
    later: int = 0
    quarantined: int = 0
    kept_columns: list[str] = field(default_factory=list)
    conflicts: int = 0
    kept_losers: list[str] = field(default_factory=list)
    by_archive: list[str] = field(default_factory=list)


async def rollback(url: str, run: int, policies: Policies | None = None) -> Report:
    """Takes a run back.

    Args:
        policies: What wins in a conflict, by table, before what was said when the run was applied.

    Raises:
        RefusedError: It would not restore schema and rows; nothing was changed.
        WatchdogError: There is no such run, or it failed; nothing was changed.
    """
    await resume(url, run)
    plan: Plan | None = None
    async with connected(url) as production:
        try:
            async with production.transaction():
                state, manifest = await read(production, run)
            if state == "preparing":
                await _abandon(production, run)
                return Report(run)
            plan = manifest.plan
            insist_on_tables(policies or {}, await _tables(production, plan))
            await make_ready(production, run, policies)
            if await built(production, run, plan):
                with contextlib.suppress(RefusedError, psycopg.errors.DatabaseError):
                    async with production.transaction():
                        return await take_back(production, run, policies)
                # What was made beside stood in the way; without it only the lock lasts longer.
                await clear(production, run, plan)
            async with production.transaction():
                return await take_back(production, run, policies)
        except psycopg.Error as error:
            raise WatchdogError(f"Run {run} was not rolled back, nothing was changed: {plain(error)}.") from error
        finally:
            if plan is not None and not production.closed:
                await asyncio.shield(clear(production, run, plan))


async def _tables(production: Connection, plan: Plan) -> list[Name]:
    """Tables that a policy may be for: those of now, and those of the run by their names before."""
    rows = await (await production.execute("SELECT schemaname::text, tablename::text FROM pg_tables")).fetchall()
    return [*((schema, name) for schema, name in rows), *(table.name for table in plan.tables)]


async def _abandon(production: Connection, run: int) -> None:
    """Takes away what a run left that never came to its script."""
    async with production.transaction():
        await _nobody_builds(production, run)
    await forget(production, run)


async def make_ready(production: Connection, run: int, policies: Policies | None = None) -> None:
    """Makes beside what `take_back` then only has to put in place; users notice nothing. Outside a transaction."""
    async with production.transaction():
        _, manifest = await read(production, run)
        said = await recorded(production, run)
    if not said.ended:
        await build(production, run, manifest, {**(said.policies or {}), **(policies or {})})


async def take_back(production: Connection, run: int, policies: Policies | None = None) -> Report:
    """Takes a run back in the transaction of the connection, as the role that applied it.

    Args:
        policies: As in `rollback`; the same that `make_ready` was given.

    Raises:
        RefusedError: It would not restore schema and rows.
        WatchdogError: There is no such run, or it is not to be taken back.
        psycopg.Error: It failed. In every case the transaction must be rolled back.
    """
    await plain_text(production)
    state, manifest = await read(production, run)
    if manifest.role:
        await production.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(manifest.role)))
    await prepare_later(production)
    report = Report(run)
    if state == "preparing":
        raise WatchdogError(f"Run {run} was never applied; `watchdog migration rollback` takes its archives away.")
    if state == "applying":
        await _nobody_builds(production, run)
        await refuse_unfinished(production, run)
        await take_indexes_back(production, manifest)
    elif wrong := await damaged(production, run):
        raise RefusedError(wrong)
    else:
        recorded_policies = (await recorded(production, run)).policies or {}
        await _undo(production, manifest, report, {**recorded_policies, **(policies or {})})
    await _finish(production, run, report)
    await production.execute("SET LOCAL ROLE NONE")
    return report


async def _undo(production: Connection, manifest: Manifest, report: Report, policies: Policies) -> None:
    run = report.run
    logged, manifest = manifest, await without_log(production, run, manifest)
    plan = manifest.plan
    beside = await built(production, run, plan)
    instead = {old: new for index in beside for old, new in swaps(plan, run, index).items()}
    positions = await sequence_positions(production)
    since = await _made_since(production, manifest)
    await production.execute("SELECT set_config('check_function_bodies', 'off', true)")
    for statement in plan.renames:
        await production.execute(statement.encode())
    for table in plan.tables:
        if table.kind != "gone":
            await production.execute(f"LOCK TABLE ONLY {qualified(table.name)} IN ACCESS EXCLUSIVE MODE".encode())
    if logged != manifest:
        report.by_archive = await stand_in(production, run, logged, manifest)
    for index, table in enumerate(plan.tables):
        policy = policy_of(policies, table.name)
        await _read_live(production, run, index, table, report, beside=index in beside, policy=policy)
    for statement in (*plan.drops, *(instead.get(text, text) for text in plan.makes)):
        await production.execute(statement.encode())
    await drop(production, run, logged.plan)
    await _positions(production, manifest, positions)
    for index, table in enumerate(plan.tables):
        await _earlier(production, run, index, table, report, beside=index in beside)
    for statement in (instead.get(text, text) for text in plan.constrains):
        if statement:
            await production.execute(statement.encode())
    for index, table in enumerate(plan.tables):
        if table.kind == "rebuilt":
            await _since(production, run, index, table, report)
    orphans = await settle_orphans(production, run, plan.foreign_keys)
    for statement in plan.finishes:
        await production.execute(statement.encode())
    await production.execute("SET CONSTRAINTS ALL IMMEDIATE")
    await _verify(production, run, manifest, orphans, since)
    await _tidy(production, run, manifest, report)


async def _nobody_builds(production: Connection, run: int) -> None:
    """Refuses while somebody still builds indexes for this run."""
    row = await (
        await production.execute(
            "SELECT pg_try_advisory_xact_lock(hashtext('watchdog.migration_runs'), %s::int)", (run,)
        )
    ).fetchone()
    if not (row and row[0]):
        raise WatchdogError(f"Run {run} is still being applied; wait for it, or stop it first.")


async def _made_since(production: Connection, manifest: Manifest) -> tuple[str, ...]:
    """Lines of the catalog that came after the run: partitions, say, that the application makes as it goes.

    They must all be there when the run is taken back. Raises RefusedError when anything else was changed.
    """
    own = await (await production.execute("SELECT current_setting('search_path')")).fetchone()
    await production.execute("SELECT set_config('search_path', '', true)")
    lines = await catalog(production)
    await production.execute("SELECT set_config('search_path', %s, true)", own)
    same = hashlib.sha256("\n".join(lines).encode()).hexdigest() == manifest.forward
    if same or not manifest.forward:
        return ()
    if not manifest.after or Counter(manifest.after) - Counter(lines):
        raise RefusedError(("the schema was changed after this run; take the later changes back first",))
    return tuple((Counter(lines) - Counter(manifest.after)).elements())


async def _read_live(
    production: Connection, run: int, index: int, table: TablePlan, report: Report, *, beside: bool, policy: Policy
) -> None:
    if table.kind == "gone":
        return
    for column in table.required:
        empty = f"c.{quote(column)} IS NULL"
        reason = f"it was written while {column} was moved aside, and has no value for it"
        await set_aside(production, run, qualified(table.name), empty, reason)
    if table.kind == "shrunk" and not table.added:
        return
    if table.online:
        kept = await read_written(production, run, index, table, beside=beside, policy=policy)
        report.conflicts += kept if policy is Policy.QUARANTINE else 0
        report.kept_columns += [image(run, index, "live")] if table.added else []
        return
    cursor = await production.execute(archive_live(run, index, table).encode())
    await close(production, image(run, index, "live"))
    if table.kind == "rebuilt":
        by_key = bool(table.key)
        if by_key:
            row = await (await production.execute(key_is_unique(run, index, table).encode())).fetchone()
            by_key = bool(row and row[0])
        await production.execute(merge(run, index, table, by_key=by_key, policy=policy).encode())
        kept = await keep_losers(production, run, index, table, policy)
        report.conflicts += kept if policy is Policy.QUARANTINE else 0
    elif table.kind == "new":
        await production.execute(quarantine_new(run, index, table).encode())
    elif not cursor.rowcount:
        await production.execute(f"DROP TABLE {image(run, index, 'live')}".encode())
        return
    if table.kind != "new" and table.added:
        report.kept_columns.append(image(run, index, "live"))


async def _earlier(
    production: Connection, run: int, index: int, table: TablePlan, report: Report, *, beside: bool
) -> None:
    if table.online:
        for what, count in (await put_in(production, run, index, table, beside=beside)).items():
            setattr(report, what, getattr(report, what) + count)
    elif table.kind == "gone":
        cursor = await production.execute(refill(run, index, table, "before").encode())
        report.earlier += cursor.rowcount
    elif table.kind == "rebuilt":
        cursor = await production.execute(refill(run, index, table, where="earlier").encode())
        report.earlier += cursor.rowcount
        found: dict[str, int] = dict(await (await production.execute(counts(run, index).encode())).fetchall())
        report.changed += found.get("changed", 0)
        report.later += found.get("later", 0)
        query = f"SELECT count(*) FROM {image(run, index, 'before')}"  # noqa: S608 - a name of ours
        before = await (await production.execute(query.encode())).fetchone()
        report.deleted += (before[0] if before else 0) - found.get("earlier", 0) - found.get("changed", 0)


async def _since(production: Connection, run: int, index: int, table: TablePlan, report: Report) -> None:
    """Puts in what users wrote since: all at once, and if something does not fit, row by row."""
    waiting = await _waiting(production, run)
    for origin in ("changed", "later"):
        try:
            async with production.transaction():
                await production.execute(refill(run, index, table, where=origin).encode())
        except psycopg.Error:
            if origin == "later":
                await quarantine_incomplete(production, run, index, table)
            await production.execute(refill_one_by_one(run, index, table, origin).encode())
            now = await _waiting(production, run)
            setattr(report, origin, getattr(report, origin) - (now - waiting))
            report.earlier += now - waiting if origin == "changed" else 0
            waiting = now


async def _waiting(production: Connection, run: int) -> int:
    query = "SELECT count(*) FROM watchdog.migration_quarantine WHERE run = %s"
    row = await (await production.execute(query, (run,))).fetchone()
    return int(row[0]) if row else 0


async def _positions(production: Connection, manifest: Manifest, live: dict[str, tuple[int, bool]]) -> None:
    """Sequences go on where they are, but never behind where they were before the script."""
    for name, (value, called) in (await sequence_positions(production)).items():
        candidates = [p for p in (manifest.positions.get(name), live.get(name)) if p is not None]
        best = max(candidates, default=(value, called))
        if best != (value, called):
            await production.execute("SELECT setval(%s::regclass, %s, %s)", (name, best[0], best[1]))


async def _verify(
    production: Connection, run: int, manifest: Manifest, orphans: Counter[str], since: tuple[str, ...]
) -> None:
    """The last look before the commit."""
    await production.execute("SELECT set_config('search_path', '', true)")
    lines, wanted = Counter(await catalog(production)), Counter((*manifest.catalog, *since))
    if lines != wanted:
        changed = sorted((lines - wanted) + (wanted - lines))
        why = "the schema was changed after this run; take the later changes back first" if since else "it would differ"
        raise RefusedError(tuple(f"the schema would not be as before ({why}): {line}" for line in changed[:3]))
    for index, table in enumerate(manifest.plan.tables):
        if table.online and table.kind == "rebuilt":
            query = not_restored_by_key(run, index, table)
        elif table.kind in {"gone", "rebuilt"} and not table.online:
            query = not_restored(run, index, table)
        else:
            continue
        row = await (await production.execute(query.encode())).fetchone()
        if row and row[0] > orphans[qualified(table.name)]:
            raise RefusedError((f"{row[0]} earlier rows of {qualified(table.name)} would not be as before",))


async def _tidy(production: Connection, run: int, manifest: Manifest, report: Report) -> None:
    """Drops what only the merge needed; the archives stay until the run is settled."""
    await stop(production, run)
    for index, table in enumerate(manifest.plan.tables):
        needed = {"rebuilt": ("live", "result"), "new": ("live",)}.get(table.kind, ())
        if found := await losers(production, run, index):
            report.conflicts += found
            report.kept_losers.append(image(run, index, "conflicts"))
        if table.online and table.kind == "rebuilt":
            await whole_added(production, run, index, table)
            await forget_rounds(production, run, index)
            needed = (*needed, "after", "log")
        for name in (image(run, index, which) for which in needed):
            if name not in report.kept_columns:
                await production.execute(f"DROP TABLE IF EXISTS {name}".encode())


async def _finish(production: Connection, run: int, report: Report) -> None:
    report.quarantined = await _waiting(production, run)
    await production.execute(
        "UPDATE watchdog.migration_runs SET state = 'rolled back', ended_at = clock_timestamp(), report = %s"
        " WHERE id = %s",
        (Jsonb(asdict(report)), run),
    )
