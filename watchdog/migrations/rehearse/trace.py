"""Which locks a script holds, seen on a copy, against what its assessment predicts."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import psycopg

from watchdog.migrations.assess.database import look
from watchdog.migrations.assess.grade import assess
from watchdog.migrations.assess.locks import LockMode
from watchdog.migrations.assess.script import Statement, read
from watchdog.migrations.clone import as_user
from watchdog.migrations.rehearse.copies import Copy
from watchdog.migrations.rehearse.values import HeldLock, Trace
from watchdog.migrations.session import connected
from watchdog.migrations.shape import Connection

_RELATIONS: Final = """
    SELECT c.oid::bigint, format('%s.%s', n.nspname, c.relname)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'watchdog')
       AND n.nspname !~ '^pg_'
"""
_HELD: Final = """
    SELECT relation::bigint, mode FROM pg_locks
     WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
"""
_SIZES: Final = """
    SELECT format('%s.%s', n.nspname, c.relname), nullif(c.reltuples, -1)::bigint,
           CASE WHEN c.relkind IN ('r', 'm', 'p') THEN pg_total_relation_size(c.oid) ELSE 0 END
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""


async def trace(copy: Copy, production: Connection, script: str) -> Trace:
    """Runs the script on a copy, statement by statement in one transaction, and looks at its locks after each.

    Raises:
        SqlSyntaxError: It is no SQL.
    """
    held, untraced = await _held(copy, read(script))
    rows = await (await production.execute(_SIZES)).fetchall()
    sizes = {name: (count, size) for name, count, size in rows}
    locks = tuple(HeldLock(line, name, mode, *sizes.get(name, (None, 0))) for (name, mode), line in held.items())
    predicted = assess(script, await look(production, script))
    expected = [(lock.relation, lock.mode) for finding in predicted.findings for lock in finding.locks]
    differences = () if untraced else _differences(expected, list(held), set(sizes))
    return Trace(locks, untraced, differences)


async def _held(copy: Copy, statements: Iterable[Statement]) -> tuple[dict[tuple[str, LockMode], int], str]:
    """Each lock on what was there before, with the line of the statement that took it."""
    found: dict[tuple[str, LockMode], int] = {}
    async with connected(copy.url) as connection:
        names: dict[int, str] = dict(await (await connection.execute(_RELATIONS)).fetchall())
        await as_user(connection, copy.role)
        try:
            async with connection.transaction(force_rollback=True):
                for statement in statements:
                    if statement.outside:
                        return found, f"line {statement.line} runs in no transaction, so its locks end with it"
                    await connection.execute(statement.text.encode())
                    for number, mode in await (await connection.execute(_HELD)).fetchall():
                        if number in names:
                            found.setdefault((names[number], _mode(mode)), statement.line)
        except psycopg.Error as error:
            return found, f"a statement fails by itself (SQLSTATE {error.sqlstate})"
    return found, ""


def _mode(name: str) -> LockMode:
    """`AccessExclusiveLock` as LockMode."""
    return LockMode(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Lock")).upper())


def _differences(
    predicted: Iterable[tuple[str, LockMode]], held: Iterable[tuple[str, LockMode]], known: set[str]
) -> tuple[str, ...]:
    """Where the strongest lock on a relation is another one; locks for which nobody waits do not count."""
    said, seen = _strongest(predicted), _strongest(held)
    return tuple(
        f"{name}: the assessment says {said.get(name, 'nothing')}, the copy held {seen.get(name, 'nothing')}"
        for name in sorted(said.keys() | seen.keys())
        if name in known and said.get(name) is not seen.get(name)
    )


def _strongest(locks: Iterable[tuple[str, LockMode]]) -> Mapping[str, LockMode]:
    found: dict[str, LockMode] = {}
    for name, mode in locks:
        if mode.rank >= LockMode.SHARE_UPDATE_EXCLUSIVE.rank and (name not in found or found[name].rank < mode.rank):
            found[name] = mode
    return found
