"""Applies one migration so that it can be taken back: learnt on a clone, archived, checked, in one transaction."""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any

import cattrs
import psycopg
from psycopg.types.json import Jsonb

from watchdog.migrations.catalog import catalog
from watchdog.migrations.clone import Clone, ScriptFailsError, clone, learn, prove, scratch
from watchdog.migrations.concurrent import Concurrent, concurrent
from watchdog.migrations.dump import dump
from watchdog.migrations.images import archive_after, archive_before, qualified
from watchdog.migrations.refusals import refusals, written
from watchdog.migrations.session import RefusedError, connected, plain_text, sequence_positions
from watchdog.migrations.shape import Connection, Name, Shape, load_query, look
from watchdog.migrations.toc import Entry
from watchdog.migrations.undo import Learnt, Plan, plan
from watchdog.ports.errors import WatchdogError

_TRIES = 5
# What a clone holds: rows a table, and whether foreign keys hold. The first one on which the script runs is taken.
_LEVELS = ((0, True), (1_000, True), (1_000, False))


class _SurpriseError(Exception):
    def __init__(self, tables: frozenset[Name]) -> None:
        super().__init__()
        self.tables = tables


class _OtherSchemaError(Exception):
    pass


@dataclass(frozen=True)
class Manifest:
    """All that a rollback needs.

    Attributes:
        catalog: Lines of the catalog before.
        forward: Hash of the catalog just after the script.
        positions: Sequences before and just after the script: last value, and whether it was given out.
    """

    plan: Plan
    catalog: tuple[str, ...]
    forward: str
    positions: dict[str, tuple[int, bool]]
    positions_after: dict[str, tuple[int, bool]]
    down: str | None = None


@dataclass(frozen=True)
class Applied:
    """A migration that was applied.

    Attributes:
        archives: Rows kept of each table, before the script.
        quarantines: What a rollback would keep apart: tables and columns that the script made.
    """

    run: int
    archives: dict[str, int]
    quarantines: tuple[str, ...]


async def apply(url: str, script: str, *, down: str | None = None, scratch_url: str | None = None) -> Applied:
    """Applies a script, with everything archived that it destroys.

    Args:
        scratch_url: A scratch server, as superuser; without it one of our own is started.

    Raises:
        RefusedError: It cannot be taken back, or it surprised us; nothing was changed.
        WatchdogError: It failed; nothing was changed.
    """
    indexes = concurrent(script)
    plain = indexes.plain if indexes else script
    if reasons := refusals(plain):
        raise RefusedError(reasons)
    async with connected(url) as production:
        entries = await dump(url)
        async with scratch(production.info.server_version // 10_000, scratch_url) as admin:
            if indexes:
                return await _build_indexes(production, admin, entries, script, indexes)
            return await _on_clone(production, admin, entries, script, down)


async def _build_indexes(
    production: Connection, admin: str, entries: tuple[Entry, ...], script: str, indexes: Concurrent
) -> Applied:
    """Statement by statement outside a transaction: the run stands in the database before the first one."""
    async with clone(admin, production, entries) as pair:
        learnt = await learn(pair, indexes.plain)
        undo = _of_production(await _proven(pair, learnt, learnt.destroyed()), learnt, entries)
    if any(table.kind != "shrunk" for table in undo.tables):
        raise RefusedError(("it drops a unique index: later rows may break it, so drop it without CONCURRENTLY",))
    await production.execute(load_query("runs.sql"))
    async with production.transaction():
        if (await look(production)).outline() != learnt.shape_before.outline():
            raise RefusedError(("the schema changed while the script was tried on a copy; try again",))
        positions = await sequence_positions(production)
        manifest = Manifest(undo, await catalog(production), "", positions, positions)
        run = await _begin(production, script)
        await _record(production, run, manifest)
    try:
        # Held while it works, so that nobody takes an unfinished run back under it.
        await production.execute("SELECT pg_advisory_lock(hashtext('watchdog.migration_runs'), %s::int)", (run,))
        await production.execute("SET lock_timeout = '5s'")
        for statement in indexes.statements:
            await production.execute(statement.encode())
        await production.execute("UPDATE watchdog.migration_runs SET state = 'applied' WHERE id = %s", (run,))
    except psycopg.Error as error:
        await take_indexes_back(production, manifest)
        await production.execute("DELETE FROM watchdog.migration_runs WHERE id = %s", (run,))
        raise WatchdogError(f"The script failed and was taken back: {str(error).strip()}") from error
    return Applied(run, {}, ())


async def take_indexes_back(production: Connection, manifest: Manifest) -> None:
    """Takes back what there is of a script of indexes that stopped half way, INVALID ones too; raises RefusedError."""
    undo = manifest.plan
    async with production.transaction():
        for statement in undo.drops:
            await production.execute(statement.replace("DROP INDEX ", "DROP INDEX IF EXISTS ", 1).encode())
        for statement in (*undo.makes, *undo.constrains, *undo.finishes):
            again = re.sub(r"^(CREATE (?:UNIQUE )?INDEX) ", r"\1 IF NOT EXISTS ", statement.lstrip())
            await production.execute(again.encode())
        await production.execute("SELECT set_config('search_path', '', true)")
        if await catalog(production) != manifest.catalog:
            raise RefusedError(("indexes stopped half way and what is left is not as before; look at them by hand",))


async def _on_clone(
    production: Connection, admin: str, entries: tuple[Entry, ...], script: str, down: str | None
) -> Applied:
    archived = frozenset[Name]()
    level = 0
    for _ in range(_TRIES):
        learnt, undo, level = await _study(production, admin, entries, script, archived, level)
        await production.execute(load_query("runs.sql"))
        try:
            return await _try(production, learnt, undo, script, down)
        except _SurpriseError as surprise:
            archived |= surprise.tables
        except _OtherSchemaError as other:
            if level == len(_LEVELS) - 1:
                raise RefusedError((str(other),)) from None
            level += 1
        except psycopg.Error as error:
            raise WatchdogError(f"The script failed, and nothing was changed: {str(error).strip()}") from error
    raise RefusedError((f"it writes other tables each time: {', '.join(map('.'.join, sorted(archived)))}",))


async def _study(
    production: Connection,
    admin: str,
    entries: tuple[Entry, ...],
    script: str,
    archived: frozenset[Name],
    level: int,
) -> tuple[Learnt, Plan, int]:
    """What the script does on a clone, how it is undone, and how much the clone had to hold for that."""
    while True:
        rows, foreign_keys = _LEVELS[level]
        try:
            async with clone(admin, production, entries, rows=rows) as pair:
                learnt = await learn(pair, script, foreign_keys=foreign_keys)
                kept = archived | learnt.destroyed() | _named(learnt.shape_before, script)
                undo = await _proven(pair, learnt, kept)
        except ScriptFailsError as error:
            level += 1
            if not error.needs_rows or level == len(_LEVELS) or (not _LEVELS[level][1] and not error.foreign_key):
                raise
        else:
            return learnt, _of_production(undo, learnt, entries), level


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
    said = written(script)
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
    found = {table.name for table in shape.tables if table.name in said or ("", table.name[1]) in said}
    while more := {k.child for k in shape.foreign_keys if k.parent in found and k.on_delete in "cnd"} - found:
        found |= more
    return frozenset(found)


async def _try(production: Connection, learnt: Learnt, undo: Plan, script: str, down: str | None) -> Applied:
    async with production.transaction():
        await plain_text(production)
        before = await look(production)
        if before.outline() != learnt.shape_before.outline():
            raise RefusedError(("the schema changed while the script was tried on a copy; try again",))
        lines = await catalog(production)
        outside = await _outside(production)
        run = await _begin(production, script)
        positions = await sequence_positions(production)
        archives = await _archive(production, run, undo)
        await plain_text(production, on=False)
        await production.execute("RESET search_path")
        await production.execute(script.encode())
        await production.execute("SET CONSTRAINTS ALL IMMEDIATE")
        await production.execute("RESET ROLE")
        await plain_text(production)
        forward = await look(production)
        if await _outside(production) != outside:
            raise RefusedError(("it changes what lies outside the schema: large objects, roles or settings",))
        if forward.outline() != learnt.shape_forward.outline():
            raise _OtherSchemaError("on the real rows it makes another schema than on a copy")
        await _surprises(production, before, forward, undo)
        for index, table in enumerate(undo.tables):
            if table.kind in {"rebuilt", "new"}:
                await production.execute(archive_after(run, index, table).encode())
        after = hashlib.sha256("\n".join(await catalog(production)).encode()).hexdigest()
        manifest = Manifest(undo, lines, after, positions, await sequence_positions(production), down)
        await _record(production, run, manifest)
        await production.execute("UPDATE watchdog.migration_runs SET state = 'applied' WHERE id = %s", (run,))
    made = [f"table {qualified(t.forward or t.name)}" for t in undo.tables if t.kind == "new"]
    made += [f"columns of {qualified(t.name)}" for t in undo.tables if t.added and t.kind != "new"]
    return Applied(run, archives, tuple(made))


async def _record(production: Connection, run: int, manifest: Manifest) -> None:
    await production.execute(
        "UPDATE watchdog.migration_runs SET manifest = %s WHERE id = %s", (Jsonb(cattrs.unstructure(manifest)), run)
    )


async def _begin(production: Connection, script: str) -> int:
    digest = hashlib.sha256(script.encode()).hexdigest()
    row = await (
        await production.execute(
            "INSERT INTO watchdog.migration_runs (state, script, script_hash, manifest)"
            " VALUES ('applying', %s, %s, '{}') RETURNING id",
            (script, digest),
        )
    ).fetchone()
    assert row is not None  # noqa: S101 - RETURNING answers
    return int(row[0])


async def _archive(production: Connection, run: int, undo: Plan) -> dict[str, int]:
    kept: dict[str, int] = {}
    for index, table in enumerate(undo.tables):
        if table.kind not in {"rebuilt", "gone"}:
            continue
        # Nobody writes between the image before and the script.
        await production.execute(f"LOCK TABLE ONLY {qualified(table.name)} IN SHARE ROW EXCLUSIVE MODE".encode())
        cursor = await production.execute(archive_before(run, index, table).encode())
        kept[".".join(table.name)] = cursor.rowcount
    return kept


async def _outside(connection: Connection) -> str:
    """A hash of what lies outside the schema and would not come back."""
    row = await (await connection.execute(load_query("outside.sql"))).fetchone()
    return json.dumps(row)


async def _surprises(connection: Connection, before: Shape, forward: Shape, undo: Plan) -> None:
    """Raises when the script wrote a table of before that is not archived."""
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
    surprises = {old[number].name for number in touched if number in old and old[number].kind == "r"} - kept
    if surprises:
        raise _SurpriseError(frozenset(surprises))
