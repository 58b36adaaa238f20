# ruff: noqa: S608 - SQL made of names is what this is for; each is one of ours
"""What is done when a tool has ended: images after, users' writes told from its own, and the plan of what it did."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace

from psycopg.conninfo import make_conninfo

from watchdog.migrations.catalog import catalog
from watchdog.migrations.dump import dump
from watchdog.migrations.images import archive_after, image, qualified
from watchdog.migrations.limits import prepare_later, record_log
from watchdog.migrations.manifest import Manifest, record
from watchdog.migrations.online import index_archive
from watchdog.migrations.renames import literal, quote, renames_back
from watchdog.migrations.runs import named, register
from watchdog.migrations.session import connected, plain_text, sequence_positions
from watchdog.migrations.shape import Connection, Name, Shape, look
from watchdog.migrations.table_plans import TablePlan
from watchdog.migrations.tools import capture, correct, later
from watchdog.migrations.tools.begun import Begun, drop, hold, load, take_away, works_in
from watchdog.migrations.tools.remains import drop_invalid
from watchdog.migrations.tools.study import is_version_table, what_lies_outside
from watchdog.migrations.undo import Learnt, Plan, plan
from watchdog.ports.errors import WatchdogError

_KEPT = frozenset({"rebuilt", "gone"})


@dataclass(frozen=True)
class Finished:
    """A run that is applied.

    Attributes:
        made: Tables and columns that the tool made.
        lowered: Why not everything can be taken back, or what is not certain.
    """

    made: tuple[str, ...]
    lowered: tuple[str, ...]
    reversible: bool


@dataclass(frozen=True)
class _Way:
    """The way back; `plan` is None when there is none."""

    plan: Plan | None
    lowered: tuple[str, ...] = ()


async def resume(url: str, run: int) -> Finished | None:
    """Finishes a run whose process died while the tool worked, so that it can be taken back; None when it is none.

    Raises:
        WatchdogError: It is still being applied, or it cannot be finished.
    """
    async with connected(url) as first:
        begun = await load(first, run)
    if begun is None:
        return None
    async with connected(url, begun.role) as production:
        await nobody_works(production, run)
        with named(f"Run {run} cannot be finished"):
            if not await is_applying(production, run):
                await take_away(production, run)
                return None
            await drop_invalid(production, begun)
            return await finish(production, url, run, begun)


async def resume_beside(connection: Connection, run: int) -> Finished | None:
    """As `resume`, in a connection of its own to the database of another one."""
    info = connection.info
    return await resume(make_conninfo(**(info.get_parameters() | {"password": info.password})), run)


async def nobody_works(production: Connection, run: int) -> None:
    """Holds a run for the connection; raises WatchdogError while somebody else or its tool is at work."""
    if not await hold(production, run):
        raise WatchdogError(f"Run {run} is still being applied; wait for it, or stop it first.")
    if pid := await works_in(production, run):
        raise WatchdogError(
            f"The tool of run {run} still works, in the session with pid {pid}; wait for it, or stop it first."
        )


async def is_applying(production: Connection, run: int) -> bool:
    """Whether its tool was started; before that there is nothing to finish."""
    query = "SELECT FROM watchdog.migration_runs WHERE id = %s AND state = 'applying'"
    return bool((await production.execute(query, (run,))).rowcount)


async def finish(production: Connection, url: str, run: int, begun: Begun) -> Finished:
    """Makes the run `applied`, with all that a rollback needs, and takes the triggers away.

    Raises:
        WatchdogError: Somebody holds a table for too long.
        psycopg.Error: It failed; everything is as it was when the tool ended.
    """
    await prepare_later(production)
    way = await _way(production, url, begun)
    # Only the plan that was rehearsed has large tables.
    async with later.logging(production, run, way.plan) as logs, production.transaction():
        # Images and log are of one moment; what users write from then on is simply later.
        await production.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await plain_text(production)
        return await _finish(production, run, begun, way, logs)


async def _finish(production: Connection, run: int, begun: Begun, way: _Way, logs: frozenset[int]) -> Finished:
    await later.forget_seen(production, run, logs)
    forward = await look(production)
    wrote = await _wrote(production, run, begun, forward)
    lowered = list(way.lowered)
    if surprises := sorted(qualified(name) for number, name in wrote.items() if number not in begun.columns):
        lowered.append(f"the tool wrote {', '.join(surprises)}, of which no rows are kept")
    if await what_lies_outside(production) != begun.outside:
        lowered.append("it changed large objects, roles or settings, which do not come back")
    undo = way.plan
    if undo is not None:
        await _renumber(production, run, begun.plan, undo)
        undo, odd = await _images(production, run, undo, begun, forward, frozenset() if surprises else logs)
        lowered += odd
    await capture.uninstall(production, run)
    unused = {index for index in logs if undo is None or not undo.tables[index].online}
    await later.end(production, run, unused)
    await capture.drop_log(production, run)
    await drop(production, run)
    reversible = undo is not None and not surprises
    await _record(production, run, undo, begun, wrote.values())
    if lowered:
        await production.execute(
            "UPDATE watchdog.migration_runs SET reversible = %s, reason = %s WHERE id = %s",
            (reversible, "; ".join(lowered), run),
        )
    # Also when its release was taken back meanwhile: it has to be taken back, too.
    await production.execute("UPDATE watchdog.migration_runs SET state = 'applied' WHERE id = %s", (run,))
    made = [f"table {qualified(t.forward or t.name)}" for t in (undo.tables if undo else ()) if t.kind == "new"]
    made += [f"columns of {qualified(t.name)}" for t in (undo.tables if undo else ()) if t.added and t.kind != "new"]
    return Finished(tuple(made), tuple(lowered), reversible)


async def _way(production: Connection, url: str, begun: Begun) -> _Way:
    """The plan that was proven on the copy, when the tool did the same here; else one from what is here now."""
    async with production.transaction():
        forward = await look(production)
    if capture.without_triggers(forward) == begun.outline:
        return _Way(begun.plan)
    other = "the tool made another schema than on a copy of it"
    if renames_back(begun.shape, forward):
        return _Way(None, (f"{other}, and renamed what was there, so no way back is known",))
    entries = capture.entries_without_triggers(await dump(url, begun.role))
    learnt = Learnt(begun.entries, entries, begun.shape, forward, forward, ())
    undo = plan(learnt, begun.archived)
    archived = {table.name for table in begun.plan.tables if table.kind in _KEPT}
    if lost := sorted({table.name for table in undo.tables if table.kind in _KEPT} - archived):
        names = ", ".join(map(qualified, lost))
        return _Way(None, (f"{other}, and it destroyed rows of {names}, of which none are kept",))
    return _Way(undo, (f"{other}, so its way back was not rehearsed; it is checked when it is gone",))


async def _wrote(production: Connection, run: int, begun: Begun, forward: Shape) -> dict[int, Name]:
    """Tables of before that the tool wrote or rewrote."""
    old = {table.number: table for table in begun.shape.tables if table.kind == "r"}
    touched = set(await capture.written(production, run, tool=True))
    touched |= {t.number for t in forward.tables if t.number in old and old[t.number].storage != t.storage}
    return {number: old[number].name for number in touched if number in old}


async def _renumber(production: Connection, run: int, was: Plan, now: Plan) -> None:
    """Images are called by their place in the plan."""
    if was.tables == now.tables:
        return
    places = {table.name: index for index, table in enumerate(now.tables) if table.kind in _KEPT}
    moves = [(old, table) for old, table in enumerate(was.tables) if table.kind in _KEPT]
    for old, _ in moves:
        await _rename(production, run, image(run, old, "before"), image(run, old, "moved"))
    for old, table in moves:
        # What the tool did not come to is kept under a name of its own until the run is settled.
        new = image(run, places[table.name], "before") if table.name in places else image(run, old, "unused")
        await _rename(production, run, image(run, old, "moved"), new)


async def _rename(production: Connection, run: int, old: str, new: str) -> None:
    await production.execute(f"ALTER TABLE {old} RENAME TO {new.removeprefix('watchdog.')}".encode())
    await production.execute(
        "UPDATE watchdog.migration_archives SET name = %s WHERE run = %s AND name = %s", (new, run, old)
    )


async def _images(
    production: Connection, run: int, undo: Plan, begun: Begun, forward: Shape, logs: Collection[int]
) -> tuple[Plan, list[str]]:
    """The images after, or the beginning of the log instead, and images before corrected.

    Args:
        logs: Tables with a log, by their place in the plan.

    Returns:
        The plan, in which those tables are large that have all that belongs to it, and what could not be told apart.
    """
    lowered: list[str] = []
    tables: list[TablePlan] = []
    for index, table in enumerate(undo.tables):
        now = table
        if table.kind == "new":
            await _new_table(production, (run, index, table), forward, begun)
            await _count(production, run, image(run, index, "after"), qualified(table.forward or table.name))
        elif table.kind in _KEPT:
            now, odd = await _kept(production, (run, index, table), forward, begun, logged=index in logs)
            if odd:
                lowered.append(f"{odd} writes of users into {qualified(table.name)} came between two of its shapes")
        tables.append(now)
    return replace(undo, tables=tuple(tables)), lowered


async def _kept(
    production: Connection, what: tuple[int, int, TablePlan], forward: Shape, begun: Begun, *, logged: bool
) -> tuple[TablePlan, int]:
    """What is kept of a table of before; answers with its plan, and with the writes that fit nowhere."""
    run, index, table = what
    old = next(one for one in begun.shape.tables if one.name == table.name)
    new = forward.table(old.number) if table.kind == "rebuilt" else None
    watched = await correct.watched(production, what, (old, new), begun.columns[old.number])
    users = await correct.users_wrote(production, watched)
    online = table.online and (new is None or (logged and users.by_key))
    if new is None:
        odd = await correct.correct(production, watched, users)
    elif online:
        odd = await later.enter(production, watched, users)
    else:
        await production.execute(archive_after(run, index, table).encode())
        odd = await correct.correct(production, watched, users)
        await _count(production, run, image(run, index, "after"), qualified(table.forward or table.name))
    await _count(production, run, image(run, index, "before"), qualified(table.name))
    if online:
        await production.execute("SET LOCAL max_parallel_maintenance_workers = 0")
        await index_archive(production, run, index, table)
    return replace(table, online=online), odd


async def _new_table(production: Connection, which: tuple[int, int, TablePlan], forward: Shape, begun: Begun) -> None:
    """Of a table that the tool made, only what it wrote itself is its own; users may have written already."""
    run, index, table = which
    name = table.forward or table.name
    text = archive_after(run, index, table)
    if not is_version_table(begun.version_tables, name):
        number = next(one.number for one in forward.tables if one.name == name)
        rows = await (
            await production.execute(
                "SELECT xmin::text FROM pg_class WHERE oid = %s UNION SELECT xmin::text FROM pg_attribute"
                " WHERE attrelid = %s AND attnum > 0",
                (number, number),
            )
        ).fetchall()
        # Rows of transactions that are known as the tool's, and rows that it wrote on the copy as well.
        own = {xid for (xid,) in rows} | set(await capture.transactions(production, run))
        text += f" WHERE xmin::text IN ({', '.join(map(literal, sorted(own)))})"
        if made := begun.made.get(qualified(name)):
            text += f" OR ROW({quote(name[1])}.*)::text IN ({', '.join(map(literal, made))})"
    await production.execute(text.encode())


async def _count(production: Connection, run: int, name: str, table: str) -> None:
    row = await (await production.execute(f"SELECT count(*) FROM {name}".encode())).fetchone()
    await register(production, run, name, table, row[0] if row else 0)


async def _record(production: Connection, run: int, undo: Plan | None, begun: Begun, wrote: Collection[Name]) -> None:
    """Keeps the plan, with the schema as it is without our triggers, and what is to be said of the log."""
    if undo is None:
        return
    after = hashlib.sha256("\n".join(await catalog(production)).encode()).hexdigest()
    now = await sequence_positions(production)
    manifest = Manifest(undo, begun.catalog, after, begun.positions, now, role=begun.role)
    await record(production, run, manifest)
    await record_log(production, run, replace(begun.log, script_wrote=tuple(sorted(map(".".join, wrote)))))
