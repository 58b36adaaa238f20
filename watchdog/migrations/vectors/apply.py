"""Applies a migration of vectors: beside the old, measured, and switched only if it finds no less."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from watchdog.migrations.releases import refuse_closed
from watchdog.migrations.session import RefusedError, connected
from watchdog.migrations.shape import Connection
from watchdog.migrations.vectors.beside import add_column, build_index, take_away
from watchdog.migrations.vectors.file import Index, VectorMigration, read_migration
from watchdog.migrations.vectors.fill import fill_new
from watchdog.migrations.vectors.plan import Plan, plan, quoted
from watchdog.migrations.vectors.recall import Query, Space, measure, queries, uses
from watchdog.migrations.vectors.runs import begin, held, next_run, note, prepare, read_stand, see_types, spoken
from watchdog.migrations.vectors.switch import note_snapshot, switch
from watchdog.migrations.yaml_file import read_text
from watchdog.ports.errors import WatchdogError

_ROUNDS = 5
_OPEN = """
    SELECT run, state FROM watchdog.vector_runs WHERE state IN ('applying', 'rolling back')
    AND to_regclass(format('%%I.%%I', plan ->> 'schema', plan ->> 'table')) = to_regclass(%s)
"""
_SAME = """
    SELECT run FROM watchdog.vector_runs WHERE state = 'applying' AND script_hash = %s AND release = %s
    ORDER BY run DESC LIMIT 1
"""


class WorseError(WatchdogError):
    """The new finds less than the old, and everything beside the old was removed.

    Attributes:
        before: The share of true neighbours that the old finds.
        after: What the new finds.
    """

    def __init__(self, run: int, before: float, after: float, recall_by: float) -> None:
        super().__init__(
            f"Run {run} was not switched: recall was {before:.4f} and would be {after:.4f}, which is worse by more than"
            f" {recall_by}. Everything beside the old is removed; build a better index, or allow more."
        )
        self.before, self.after = before, after


@dataclass(frozen=True)
class Applied:
    """A migration that was applied.

    Attributes:
        filled: Rows that had no new vector when it began.
        recall_before: Share of the true nearest neighbours that searches find today; None when nothing was measured.
        recall_after: What they find by the new.
        switched: Whether the new column has the old one's name now.
        kept: What the old column is called now, or the old indexes are; they stay until the run is settled.
    """

    run: int
    filled: int
    recall_before: float | None
    recall_after: float | None
    switched: bool
    kept: tuple[str, ...]


async def apply(url: str, source: Path | str, *, release: str = "", name: str = "") -> Applied:
    """Applies a migration; one of the same file that stopped half way goes on.

    Args:
        source: The file, or its text.

    Raises:
        FileError: The file is wrong.
        RefusedError: It cannot be done on this table; nothing was changed.
        WorseError: The new finds less; everything beside the old was removed.
        WatchdogError: It failed; the run stands as `applying`: apply again to go on, or roll it back.
    """
    file, text = read_text(source)
    migration = read_migration(text, file)
    async with connected(url) as connection:
        with spoken("The migration cannot begin"):
            await prepare(connection)
            run = await _begun(connection, migration, name, release)
        async with held(connection, run):
            with spoken(f"Run {run} stopped half way; apply again to go on, or roll it back"):
                return await _go_on(connection, url, run)


async def _begun(connection: Connection, migration: VectorMigration, name: str, release: str) -> int:
    hashed = hashlib.sha256(migration.text.encode()).hexdigest()
    async with connection.transaction():
        await refuse_closed(connection, release)
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('watchdog.vector_runs'))")
        row = await (await connection.execute(_SAME, (hashed, release))).fetchone()
        if row:
            return int(row[0])
        for other, state in await (await connection.execute(_OPEN, (quoted(migration.table),))).fetchall():
            raise RefusedError((f"run {other} on this table is still {state}; apply its file again, or take it back",))
        run = await next_run(connection)
        decided = await plan(connection, migration, run)
        await begin(connection, run, migration, decided, (name, release, hashed))
    return run


async def _go_on(connection: Connection, url: str, run: int) -> Applied:
    stand = await read_stand(connection, run)
    if stand.state != "applying":
        raise RefusedError((f"run {run} is {stand.state} now; somebody else worked on it",))
    migration, decided = stand.migration, stand.plan
    # Nothing here holds a lock that others wait for, so it may take its time.
    await connection.execute(
        "SET statement_timeout = 0; SET lock_timeout = 0; SET client_connection_check_interval = '1s'"
    )
    await see_types(connection, decided)
    filled, before, after = 0, stand.recall_before, stand.recall_after
    if decided.has_column:
        await add_column(connection, decided, run, migration.fill)
        filled = await fill_new(connection, url, decided, migration.fill)
    if migration.index:
        looked = await queries(connection, decided, migration.recall)
        if before is None:
            before = await _measured_before(connection, decided, migration, looked)
            await note(connection, run, recall_before=before)
        await build_index(connection, decided, migration.index)
        after = await _measured_after(connection, decided, migration, migration.index, looked)
        await note(connection, run, recall_after=after)
        if after < before - migration.recall.not_worse_by - 1e-9:
            await take_away(connection, decided, run)
            await note(connection, run, state="rolled back", report={"worse": True})
            raise WorseError(run, before, after, migration.recall.not_worse_by)
    await _finished(connection, url, run, decided, migration)
    kept = (decided.kept,) if decided.rename else decided.old_indexes if not decided.has_column else ()
    return Applied(run, filled, before, after, decided.rename, kept)


async def _finished(connection: Connection, url: str, run: int, decided: Plan, migration: VectorMigration) -> None:
    if not decided.rename:
        async with connection.transaction():
            await note_snapshot(connection, run)
            await note(connection, run, state="applied")
        return
    for _ in range(_ROUNDS):
        if await switch(connection, decided, run):
            return
        await fill_new(connection, url, decided, migration.fill)
    raise WatchdogError(
        f"Run {run} was not switched: rows come without new vector faster than fill gives them one;"
        f" let the application write {decided.new}, and apply again to go on, or roll it back."
    )


async def _measured_before(
    connection: Connection, decided: Plan, migration: VectorMigration, looked: list[Query]
) -> float:
    """What searches find today; all there is, where they have no index."""
    if not decided.old_indexes or not decided.old_distance:
        return 1.0
    kind = migration.index.operators.split("_")[0] if migration.index and not decided.has_column else ""
    space = Space(decided.column, kind or await _type_of(connection, decided), decided.old_distance)
    return await measure(connection, decided, migration.recall, space, [(one.key, one.old) for one in looked])


async def _measured_after(
    connection: Connection, decided: Plan, migration: VectorMigration, index: Index, looked: list[Query]
) -> float:
    space = Space(decided.new, index.operators.split("_")[0], index.distance, (), decided.index)
    if not decided.has_column and not await uses(connection, decided, migration.recall, space, looked[0].new):
        space = Space(space.column, space.type, space.distance, decided.old_indexes, decided.index)
    return await measure(connection, decided, migration.recall, space, [(one.key, one.new) for one in looked])


async def _type_of(connection: Connection, decided: Plan) -> str:
    row = await (
        await connection.execute(
            "SELECT t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
            " WHERE a.attrelid = to_regclass(%s) AND a.attname = %s",
            (decided.relation.as_string(connection), decided.column),
        )
    ).fetchone()
    return str(row[0]) if row else "vector"
