"""Applies one migration so that it can be taken back: learnt on a clone, archived, checked, in one transaction."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from watchdog.migrations.aside import ASIDE
from watchdog.migrations.budget import Prediction, check, predict, say_prediction
from watchdog.migrations.catalog import catalog
from watchdog.migrations.clone import (
    Clone,
    ScriptFailsError,
    before_deferral,
    clone,
    learn,
    prove,
    schema_after,
    scratch,
)
from watchdog.migrations.concurrent import concurrent
from watchdog.migrations.defer import defer
from watchdog.migrations.dump import dump
from watchdog.migrations.images import archive_after, archive_before, image, qualified
from watchdog.migrations.indexes import build
from watchdog.migrations.limits import Limits, Recorded, prepare_later, record_log
from watchdog.migrations.manifest import Manifest, begin, finished, record
from watchdog.migrations.online import catch_up, end_earlier_logs, end_log, forget, large, log_from_now, prepare
from watchdog.migrations.options import Options
from watchdog.migrations.paced import Hear, unheard
from watchdog.migrations.plain import plain
from watchdog.migrations.policies import insist_on_tables
from watchdog.migrations.refusals import refusals, written
from watchdog.migrations.runs import prepare as prepare_schema
from watchdog.migrations.runs import published, register, seal
from watchdog.migrations.session import RefusedError, connected, plain_text, sequence_positions
from watchdog.migrations.shape import Connection, Name, Shape, load_query, look
from watchdog.migrations.toc import Entry, differences
from watchdog.migrations.undo import Learnt, Plan, plan
from watchdog.ports.errors import WatchdogError

_DEFAULTS = Options()
_TRIES = 5
_LOCK_TRIES = 10
_LOCK_PAUSE_S = 0.5
# What a clone holds: rows a table, and whether foreign keys hold. The first one on which the script runs is taken.
_LEVELS = ((0, True), (1_000, True), (1_000, False))


class _SurpriseError(Exception):
    def __init__(self, tables: frozenset[Name]) -> None:
        super().__init__()
        self.tables = tables


class _OtherSchemaError(Exception):
    pass


@dataclass(frozen=True)
class Applied:
    """A migration that was applied.

    Attributes:
        archives: Rows kept of each table, before the script.
        quarantines: What a rollback would keep apart: tables and columns that the script made.
        moved: What was moved aside instead of dropped.
    """

    run: int
    archives: dict[str, int]
    quarantines: tuple[str, ...]
    moved: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Job:
    """A script, and all that it is applied with.

    Attributes:
        production: Where.
        source: The script as it was given; `script` is what runs, where destruction is deferred.
        admin: The scratch server, as superuser.
        entries: The schema before.
    """

    production: Connection
    admin: str
    entries: tuple[Entry, ...]
    source: str
    script: str
    down: str | None
    options: Options
    hear: Hear
    drops: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


_PUBLISHED = (
    "publication {} publishes all tables, those of schema watchdog too: its subscribers need the archives' tables, or"
    " stop; name the tables of a publication, or its schemas"
)


async def apply(
    url: str, script: str, *, down: str | None = None, scratch_url: str | None = None, options: Options = _DEFAULTS,
    hear: Hear = unheard,
) -> Applied:  # fmt: skip
    """Applies a script, with everything archived that it destroys.

    Args:
        down: The author's own way back, kept with the run.
        scratch_url: A scratch server, as superuser; without it one of our own is started.
        hear: Hears what archives and rollback are predicted to take, and what is waited for.

    Raises:
        RefusedError: It cannot be taken back, or it surprised us; nothing was changed.
        WatchdogError: It failed; nothing was changed.
    """
    indexes = concurrent(script)
    plain = indexes.plain if indexes else script
    if reasons := refusals(plain):
        raise RefusedError(reasons)
    async with connected(url, options.role) as production:
        await prepare_schema(production)
        await prepare_later(production)
        if not options.archive:
            return await _without_archive(production, script, options)
        for name in await published(production):
            hear(_PUBLISHED.format(name))
        entries = await dump(url, options.role)
        async with scratch(production.info.server_version // 10_000, scratch_url) as admin:
            job = _Job(production, admin, entries, script, plain, down, options, hear)
            if indexes:
                learnt, undo, _ = await _study(job, frozenset(), 0)
                return Applied(await build(production, script, indexes, learnt, undo, options), {}, ())
            applied = await _on_clone(await _put_off(job) if options.defer else job)
        await seal(production, applied.run)
        return applied


async def _without_archive(production: Connection, script: str, options: Options) -> Applied:
    """For lawful deletion: nothing is kept, and there is no way back."""
    try:
        async with production.transaction():
            run = await begin(production, script, options)
            await production.execute("SET LOCAL lock_timeout = '5s'")
            await production.execute(script.encode())
            await production.execute("SET CONSTRAINTS ALL IMMEDIATE")
            await production.execute("RESET ROLE")
            await finished(production, run)
    except psycopg.Error as error:
        raise WatchdogError(f"The script failed, and nothing was changed: {plain(error)}.") from error
    return Applied(run, {}, ())


async def _put_off(job: _Job) -> _Job:
    """The job with destruction deferred, as far as that is possible; proves that it ends in the very same schema."""
    role = job.options.role
    async with clone(job.admin, job.production, job.entries, role=role) as pair:
        shape, bound = await before_deferral(pair)
        deferred = defer(job.script, shape, bound)
        if not deferred.drops:
            return job
        wanted = await schema_after(pair, job.script)
    async with clone(job.admin, job.production, job.entries, role=role) as pair:
        there = any(one.group == "schema" and one.name == ASIDE for one in shape.names)
        emptied = () if there else (f"DROP SCHEMA IF EXISTS {ASIDE}",)
        settled = await schema_after(pair, ";\n".join((deferred.script, *deferred.drops, *emptied)))
    if other := differences(wanted, settled):
        reasons = (f"deferred, it would end in another schema: {line}; leave out --defer" for line in other[:3])
        raise RefusedError(tuple(reasons))
    return replace(job, script=deferred.script, drops=tuple(deferred.drops), moved=tuple(deferred.moved))


async def _on_clone(job: _Job) -> Applied:
    archived = frozenset[Name]()
    level = 0
    waited = 0
    for _ in range(_TRIES + _LOCK_TRIES):
        learnt, undo, level = await _study(job, archived, level)
        insist_on_tables(job.options.policies, (table.name for table in learnt.shape_before.tables))
        undo = await large(job.production, undo, learnt.shape_before, job.options.online_rows)
        prediction = await predict(job.production, undo.tables)
        if too_much := check(prediction, job.options.budget_bytes, within=job.options.rollback_within):
            raise RefusedError((too_much,))
        job.hear(say_prediction(prediction))
        try:
            return await _prepared(job, learnt, undo, prediction)
        except _SurpriseError as surprise:
            archived |= surprise.tables
        except _OtherSchemaError as other:
            if level == len(_LEVELS) - 1:
                raise RefusedError((str(other),)) from None
            level += 1
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            waited += 1
            if waited == _LOCK_TRIES:
                raise WatchdogError(f"Somebody holds a lock, and nothing was changed: {plain(error)}.") from error
            await asyncio.sleep(_LOCK_PAUSE_S)
        except psycopg.Error as error:
            raise WatchdogError(f"The script failed, and nothing was changed: {plain(error)}.") from error
    raise RefusedError((f"it writes other tables each time: {', '.join(map('.'.join, sorted(archived)))}",))


async def _prepared(job: _Job, learnt: Learnt, undo: Plan, prediction: Prediction) -> Applied:
    """One try, large tables first; what was prepared for nothing is taken away again."""
    production = job.production
    if not any(table.online for table in undo.tables):
        return await _try(job, learnt, undo, prediction)
    run = await prepare(production, job.source, job.options, undo, prediction.rollback_seconds, job.hear)
    try:
        return await _try(job, learnt, undo, prediction, run)
    except BaseException:
        await asyncio.shield(forget(production, run))
        raise


async def _study(job: _Job, archived: frozenset[Name], level: int) -> tuple[Learnt, Plan, int]:
    """What the script does on a clone, how it is undone, and how much the clone had to hold for that."""
    while True:
        rows, foreign_keys = _LEVELS[level]
        try:
            async with clone(job.admin, job.production, job.entries, rows=rows, role=job.options.role) as pair:
                learnt = await learn(pair, job.script, foreign_keys=foreign_keys)
                kept = archived | learnt.destroyed() | _named(learnt.shape_before, job.script)
                undo = await _proven(pair, learnt, kept)
        except ScriptFailsError as error:
            level += 1
            if not error.needs_rows or level == len(_LEVELS) or (not _LEVELS[level][1] and not error.foreign_key):
                raise
        else:
            return learnt, _of_production(undo, learnt, job.entries), level


async def _proven(pair: Clone, learnt: Learnt, archived: frozenset[Name]) -> Plan:
    undo = plan(learnt, archived)
    wrong = await prove(pair, learnt, undo)
    if wrong:
        raise RefusedError(tuple(f"cannot be undone: {line}" for line in wrong[:5]))
    return undo


def _of_production(undo: Plan, learnt: Learnt, entries: tuple[Entry, ...]) -> Plan:
    """The same plan with production's own wording: a definition drifts a little when it is restored on a clone."""
    own = {entry.name: entry.definition for entry in entries}
    words = {e.definition: own[e.name] for e in learnt.before if e.name in own and own[e.name] != e.definition}
    if not words:
        return undo
    return replace(
        undo,
        makes=tuple(words.get(text, text) for text in undo.makes),
        constrains=tuple(words.get(text, text) for text in undo.constrains),
        finishes=tuple(words.get(text, text) for text in undo.finishes),
    )


def _named(shape: Shape, script: str) -> frozenset[Name]:
    """Tables that the script names as written, and those that a delete there reaches by foreign keys."""
    said, deleted = written(script)
    foreign = {(one.schema, one.name) for one in shape.names if one.group == "relation" and one.kind == "f"}
    outside = sorted(
        {
            name
            for schema, name in said
            if name.startswith("pg_")
            or schema in {"pg_catalog", "information_schema", "watchdog"}
            or any(name == one[1] and schema in {"", one[0]} for one in foreign)
        }
    )
    if outside:
        raise RefusedError(tuple(f"it writes {name}, of which no archive is kept" for name in outside))
    found = {table.name for table in shape.tables if {table.name, ("", table.name[1])} & said}
    reached = {table.name for table in shape.tables if {table.name, ("", table.name[1])} & deleted}
    while more := {k.child for k in shape.foreign_keys if k.parent in reached and k.on_delete in "cnd"} - reached:
        reached |= more
    return frozenset(found | reached)


async def _try(job: _Job, learnt: Learnt, undo: Plan, prediction: Prediction, run: int | None = None) -> Applied:
    production = job.production
    async with production.transaction():
        await plain_text(production)
        before = await look(production)
        if before.outline() != learnt.shape_before.outline():
            raise RefusedError(("the schema changed while the script was tried on a copy; try again",))
        lines = await catalog(production)
        outside = await _outside(production)
        if run is None:
            run = await begin(production, job.source, job.options, prediction.rollback_seconds)
        positions = await sequence_positions(production)
        await end_earlier_logs(production, run, learnt, undo)
        archives = await _archive(production, run, undo)
        await plain_text(production, on=False)
        await production.execute("RESET search_path")
        await production.execute(job.script.encode())
        await production.execute("SET CONSTRAINTS ALL IMMEDIATE")
        await production.execute("RESET ROLE")
        await plain_text(production)
        forward = await look(production)
        if await _outside(production) != outside:
            raise RefusedError(("it changes what lies outside the schema: large objects, roles or settings",))
        if forward.outline() != learnt.shape_forward.outline():
            raise _OtherSchemaError("on the real rows it makes another schema than on a copy")
        wrote = await _surprises(production, before, forward, undo)
        for index, table in enumerate(undo.tables):
            if table.kind in {"rebuilt", "new"} and not table.online:
                cursor = await production.execute(archive_after(run, index, table).encode())
                name = qualified(table.forward or table.name)
                await register(production, run, image(run, index, "after"), name, cursor.rowcount)
        if any(table.online for table in undo.tables):
            await end_log(production, run, undo)
            await log_from_now(production, run, undo)
        ended = await catalog(production)
        after = hashlib.sha256("\n".join(ended).encode()).hexdigest()
        now = await sequence_positions(production)
        manifest = Manifest(undo, lines, after, positions, now, job.down, job.options.role, job.drops, ended)
        await record(production, run, manifest)
        await record_log(production, run, _said_of_log(job.options, prediction, wrote))
        await finished(production, run)
    made = [f"table {qualified(t.forward or t.name)}" for t in undo.tables if t.kind == "new"]
    made += [f"columns of {qualified(t.name)}" for t in undo.tables if t.added and t.kind != "new"]
    return Applied(run, archives, tuple(made), job.moved)


async def _archive(production: Connection, run: int, undo: Plan) -> dict[str, int]:
    kept: dict[str, int] = {}
    for index, table in enumerate(undo.tables):
        if table.kind not in {"rebuilt", "gone"}:
            continue
        # Nobody writes between the image before and the script.
        await production.execute(f"LOCK TABLE ONLY {qualified(table.name)} IN SHARE ROW EXCLUSIVE MODE".encode())
        if table.online:
            kept[".".join(table.name)] = await catch_up(production, run, index, table)
            continue
        cursor = await production.execute(archive_before(run, index, table).encode())
        await register(production, run, image(run, index, "before"), qualified(table.name), cursor.rowcount)
        kept[".".join(table.name)] = cursor.rowcount
    return kept


async def _outside(connection: Connection) -> str:
    """A hash of what lies outside the schema and would not come back."""
    row = await (await connection.execute(load_query("outside.sql"))).fetchone()
    return json.dumps(row)


def _said_of_log(options: Options, prediction: Prediction, wrote: frozenset[Name]) -> Recorded:
    limits = Limits(options.log_bytes, options.wal_bytes, options.lag_seconds)
    return Recorded(limits, options.policies, dict(prediction.speed), tuple(sorted(map(".".join, wrote))))


async def _surprises(connection: Connection, before: Shape, forward: Shape, undo: Plan) -> frozenset[Name]:
    """Tables of before that the script wrote. Raises when one of them is not archived."""
    touched: set[int] = set()
    rows: list[Any] = await (
        await connection.execute(
            "SELECT relid::bigint FROM pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0"
        )
    ).fetchall()
    touched |= {relid for (relid,) in rows}
    old = {table.number: table for table in before.tables}
    touched |= {t.number for t in forward.tables if t.number in old and old[t.number].storage != t.storage}
    kept = {table.name for table in undo.tables if table.kind in {"rebuilt", "gone"}}
    wrote = {old[number].name for number in touched if number in old and old[number].kind == "r"}
    if surprises := wrote - kept:
        raise _SurpriseError(frozenset(surprises))
    return frozenset(wrote)
