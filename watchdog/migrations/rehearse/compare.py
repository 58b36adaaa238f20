# ruff: noqa: S608 - SQL made of names is what this is for; each is quoted by `quote` or `literal`
"""Whether a rollback has kept what it must: every earlier row that nobody touched, and every later write."""

from dataclasses import dataclass

from watchdog.migrations.images import qualified
from watchdog.migrations.rehearse.snapshots import Snapshot, Snapshots, common, listed, missing, number, relabelled
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
    """One table at every moment.

    Attributes:
        loosened: Columns of foreign keys with ON DELETE SET NULL that the script dropped: when such a key comes back,
            it does what it would have done.
        common: Columns that can be compared over all moments.
    """

    old: Table
    new: Table
    before: Snapshot
    after: Snapshot
    later: Snapshot
    back: Snapshot
    loosened: frozenset[int]
    common: tuple[int, ...]

    def changed(self, of: Snapshot, than: Snapshot) -> str:
        """Rows of one moment that another one has not."""
        return f"(SELECT * FROM {of.image} EXCEPT ALL SELECT * FROM {than.image})"


async def losses(connection: Connection, run: int, old: Shape, new: Shape, moments: Moments) -> list[str]:
    """What is not as it must be, as sentences without any value of a row."""
    found: list[str] = []
    other = relabelled(old, new)
    for table in old.tables:
        if table.number not in moments.before:
            continue
        before, back = moments.before[table.number], moments.back[table.number]
        now = new.table(table.number)
        if now is None:
            found += await _of_dropped(connection, run, table, before, back)
            continue
        after, later = moments.after[table.number], moments.later[table.number]
        loosened, comparable = _loosened(old, new, table), common(table, now, other)
        one = _One(table, now, before, after, later, back, loosened, comparable)
        found += await (_by_key if one.after.keyed else _by_rows)(connection, run, one)
    known = {table.number for table in old.tables}
    for table in new.tables:
        if table.kind == "r" and table.number not in known:
            written = await missing(connection, moments.later[table.number], moments.after[table.number])
            found += _say(written - await _kept(connection, run, table), table, "later rows", "not in quarantine")
    return found


def _loosened(old: Shape, new: Shape, table: Table) -> frozenset[int]:
    names = {
        column
        for key in old.foreign_keys
        if key.child == table.name and key.on_delete == "n" and key not in new.foreign_keys
        for column in key.columns
    }
    return frozenset(column.number for column in table.columns if column.name in names)


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
    columns = listed(one.common)
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
    users = (
        f"WITH aside AS (SELECT ROW({key})::text AS k FROM {_quarantine(run, one.old)} AS q),"
        f" before AS (SELECT * FROM {one.before.image}), back AS (SELECT * FROM {one.back.image}),"
        f" after AS (SELECT * FROM {one.after.image}), later AS (SELECT * FROM {one.later.image}),"
        f" written AS {one.changed(one.later, one.after)},"
        f" touched AS (SELECT k FROM {one.changed(one.after, one.later)} AS g UNION SELECT k FROM written)"
    )
    questions = {
        ("earlier rows", "gone or changed"): f"before AS r WHERE {_no('touched')} AND {_no('aside')}"
        f" AND NOT EXISTS (SELECT FROM back AS b WHERE {_same(one)})",
        ("later rows", "neither live nor in quarantine"): "written AS r LEFT JOIN after AS a ON a.k = r.k"
        f" WHERE {_no('aside')} AND NOT EXISTS (SELECT FROM back AS b WHERE {_kept_by_users(one)})",
        ("rows", "there again that users had deleted"): f"back AS r WHERE NOT {_no('after')} AND {_no('later')}",
        ("rows", "there that nobody wrote"): f"back AS r WHERE {_no('before')} AND {_no('written')}",
    }
    found: list[str] = []
    for (rows, what), question in questions.items():
        found += _say(await number(connection, f"{users} SELECT count(*) FROM {question}"), one.old, rows, what)
    return found


def _no(others: str) -> str:
    return f"NOT EXISTS (SELECT FROM {others} AS o WHERE o.k = r.k)"


def _same(one: _One) -> str:
    """That a row is back as it was."""
    return " AND ".join(
        [
            "b.k = r.k",
            *(f"(b.a{n} IS NOT DISTINCT FROM r.a{n}{_or_null(one, n)})" for n in one.before.columns),
        ]
    )


def _or_null(one: _One, column: int) -> str:
    return f" OR b.a{column} IS NULL" if column in one.loosened else ""


def _kept_by_users(one: _One) -> str:
    """That a written row is back; a column that the user left as the script had set it goes back to what it was."""
    return " AND ".join(
        [
            "b.k = r.k",
            *(
                f"(b.a{n} IS NOT DISTINCT FROM r.a{n} OR (a.k IS NOT NULL AND r.a{n} IS NOT DISTINCT FROM a.a{n})"
                f"{_or_null(one, n)})"
                for n in one.common
            ),
        ]
    )
