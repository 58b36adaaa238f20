# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Whether a rollback has kept what it must: every earlier row that nobody touched, and every later write."""

from dataclasses import dataclass

from watchdog.migrations.images import qualified
from watchdog.migrations.rehearse.snapshots import Snapshot, Snapshots, common, listed, missing, number
from watchdog.migrations.renames import literal
from watchdog.migrations.shape import Connection, Shape, Table


@dataclass(frozen=True)
class Moments:
    """The rows before the script, just after it, after the writes, and after the rollback."""

    before: Snapshots
    after: Snapshots
    later: Snapshots
    back: Snapshots


@dataclass(frozen=True)
class _One:
    """One table at every moment."""

    old: Table
    new: Table
    before: Snapshot
    after: Snapshot
    later: Snapshot
    back: Snapshot

    def changed(self, of: Snapshot, than: Snapshot) -> str:
        """Rows of one moment that another one has not."""
        return f"(SELECT * FROM {of.image} EXCEPT ALL SELECT * FROM {than.image})"


async def losses(connection: Connection, run: int, old: Shape, new: Shape, moments: Moments) -> list[str]:
    """What is not as it must be, as sentences without any value of a row."""
    found: list[str] = []
    for table in old.tables:
        if table.number not in moments.before:
            continue
        before, back = moments.before[table.number], moments.back[table.number]
        now = new.table(table.number)
        if now is None:
            found += await _of_dropped(connection, run, table, before, back)
            continue
        one = _One(table, now, before, moments.after[table.number], moments.later[table.number], back)
        found += await (_by_key if one.after.keyed else _by_rows)(connection, run, one)
    known = {table.number for table in old.tables}
    for table in new.tables:
        if table.kind == "r" and table.number not in known:
            written = await missing(connection, moments.later[table.number], moments.after[table.number])
            found += _say(written - await _kept(connection, run, table), table, "later rows", "not in quarantine")
    return found


def _say(count: int, table: Table, rows: str, what: str) -> list[str]:
    return [f"{count} {rows} of {qualified(table.name)} are {what}"] if count > 0 else []


async def _kept(connection: Connection, run: int, table: Table) -> int:
    return await number(connection, f"SELECT count(*) FROM {_quarantine(run, table)} AS q")


def _quarantine(run: int, table: Table) -> str:
    name = literal(qualified(table.name))
    return f'(SELECT "row" FROM watchdog.migration_quarantine WHERE run = {run} AND "table" = {name})'


async def _of_dropped(connection: Connection, run: int, table: Table, before: Snapshot, back: Snapshot) -> list[str]:
    """A table that the script dropped: nobody can have written it."""
    lost = await missing(connection, before, back) - await _kept(connection, run, table)
    return [
        *_say(lost, table, "earlier rows", "gone or changed"),
        *_say(await missing(connection, back, before), table, "rows", "there that nobody wrote"),
    ]


async def _by_rows(connection: Connection, run: int, one: _One) -> list[str]:
    """Without a key rows are only counted: no more may be gone than users have touched."""
    kept = await _kept(connection, run, one.old)
    touched = await number(connection, f"SELECT count(*) FROM {one.changed(one.after, one.later)} AS t")
    lost = await missing(connection, one.before, one.back) - touched - kept
    columns = listed(common(one.old, one.new))
    found = _say(lost, one.old, "earlier rows", "gone or changed")
    if not columns:
        return found
    later = f"SELECT {columns} FROM {one.later.image} EXCEPT ALL SELECT {columns} FROM {one.after.image}"
    unseen = f"SELECT count(*) FROM (({later}) EXCEPT ALL SELECT {columns} FROM {one.back.image}) AS u"
    found += _say(await number(connection, unseen) - kept, one.old, "later rows", "neither live nor in quarantine")
    extra = (
        f"SELECT count(*) FROM (SELECT {columns} FROM {one.back.image} EXCEPT ALL"
        f" SELECT {columns} FROM {one.before.image} EXCEPT ALL ({later})) AS e"
    )
    return found + _say(await number(connection, extra), one.old, "rows", "there that nobody wrote")


async def _by_key(connection: Connection, run: int, one: _One) -> list[str]:
    key = ", ".join(f'q."row" ->> {literal(name)}' for name in one.old.key)
    columns, back = listed(one.before.columns, "b."), listed(one.before.columns, "r.")
    gone, new = one.changed(one.after, one.later), one.changed(one.later, one.after)
    users = (
        f"WITH aside AS (SELECT ROW({key})::text AS k FROM {_quarantine(run, one.old)} AS q),"
        f" before AS (SELECT * FROM {one.before.image}), back AS (SELECT * FROM {one.back.image}),"
        f" after AS (SELECT * FROM {one.after.image}), written AS {new},"
        f" touched AS (SELECT k FROM {gone} AS g UNION SELECT k FROM written)"
    )
    aside = "NOT EXISTS (SELECT FROM aside WHERE aside.k = {0}.k)".format
    lost = (
        f"{users} SELECT count(*) FROM before AS b WHERE b.k NOT IN (SELECT k FROM touched) AND {aside('b')}"
        f" AND NOT EXISTS (SELECT FROM back AS r WHERE r.k = b.k AND ROW({back}) IS NOT DISTINCT FROM ROW({columns}))"
    )
    # A column that the user left as the script had set it goes back to what it was.
    kept = " AND ".join(
        [
            "r.k = w.k",
            *(
                f"(r.a{n} IS NOT DISTINCT FROM w.a{n} OR (a.k IS NOT NULL AND w.a{n} IS NOT DISTINCT FROM a.a{n}))"
                for n in common(one.old, one.new)
            ),
        ]
    )
    unseen = (
        f"{users} SELECT count(*) FROM written AS w LEFT JOIN after AS a ON a.k = w.k"
        f" WHERE {aside('w')} AND NOT EXISTS (SELECT FROM back AS r WHERE {kept})"
    )
    undead = (
        f"{users} SELECT count(*) FROM back AS r WHERE r.k IN (SELECT k FROM after)"
        f" AND r.k NOT IN (SELECT k FROM {one.later.image})"
    )
    extra = (
        f"{users} SELECT count(*) FROM back AS r WHERE r.k NOT IN (SELECT k FROM before)"
        f" AND r.k NOT IN (SELECT k FROM written)"
    )
    return [
        *_say(await number(connection, lost), one.old, "earlier rows", "gone or changed"),
        *_say(await number(connection, unseen), one.old, "later rows", "neither live nor in quarantine"),
        *_say(await number(connection, undead), one.old, "rows", "there again that users had deleted"),
        *_say(await number(connection, extra), one.old, "rows", "there that nobody wrote"),
    ]
