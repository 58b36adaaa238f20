"""Runs a SQL script, having kept what it destroys."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from psycopg import sql

from watchdog.actions.sql_losses import before, now, unkept
from watchdog.migrations.coverage import check, check_query
from watchdog.migrations.sql import Statement, Table, parse
from watchdog.model.time import SECOND
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepError
from watchdog.ports.kinds import ActionKind, Duration, Resources, Script
from watchdog.targets.archive import Archive, Kept, keep, lock
from watchdog.targets.fence import run_fenced, run_fenced_session, verify_fenced
from watchdog.targets.postgres import Connection, PostgresTarget

_LOCK_TIMEOUT = Duration(2 * SECOND)

# As far as deletes go on deleting; where a key is only blanked, they end.
_ALSO_DELETED = """
    WITH RECURSIVE gone (oid) AS (
        SELECT to_regclass(%s)::oid
        UNION
        SELECT conrelid FROM pg_constraint JOIN gone ON confrelid = gone.oid
        WHERE contype = 'f' AND confdeltype = 'c' AND conparentid = 0
    )
    SELECT conname, nspname, relname
    FROM gone
    JOIN pg_constraint ON confrelid = gone.oid
    JOIN pg_class ON pg_class.oid = conrelid
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE contype = 'f' AND confdeltype IN ('c', 'n', 'd') AND conparentid = 0
    ORDER BY conname
"""


@dataclass(frozen=True, kw_only=True)
class SqlOptions:
    """A script and what it must keep.

    Attributes:
        script: Plain SQL, without transaction control. It may read `watchdog.archive_<name>`.
        archive: What to keep before the script runs, in the same transaction.
        transactional: Whether script and receipt share one transaction; false for CONCURRENTLY and VACUUM.
        verify: A SELECT that returns true when the effect is there; needed when not transactional.
        schema: What unqualified names mean, in the script and in `archive`.
        lock_timeout: How long each statement waits for a lock; a few retries follow.
    """

    script: Script
    archive: tuple[Archive, ...] = ()
    transactional: bool = True
    verify: Script | None = None
    schema: str = "public"
    lock_timeout: Duration = _LOCK_TIMEOUT


class SqlAction:
    """One script on one database."""

    def __init__(self, target: PostgresTarget, options: SqlOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Runs the script once; see `Action.execute`."""
        problems = list(_complaints(self._options))
        if problems:
            raise StepError(f"{self._options.script.source or 'The script'} was not run: {' '.join(problems)}")
        statements = parse(self._options.script.text, self._options.schema)

        async def transact(connection: Connection) -> str:
            return await self._transact(connection, context, statements)

        async def one_by_one(connection: Connection) -> str:
            await connection.execute(self._search_path("SESSION"))
            for statement in statements:
                await connection.execute(statement.text.encode())
            return _sentence(statements, ())

        run, effect = (run_fenced, transact) if self._options.transactional else (run_fenced_session, one_by_one)
        return await run(self._target, context, effect, lock_timeout=self._options.lock_timeout)

    async def verify(self, context: StepContext) -> Verification:
        """Asks for the receipt, then the verify query; see `Action.verify`."""
        return await verify_fenced(self._target, context, None if self._options.transactional else self._look)

    async def preview(self, context: StepContext) -> str:
        """Counts what would be kept."""
        del context
        statements = parse(self._options.script.text, self._options.schema)
        counted = []
        async with self._target.observe() as connection:
            for archive in self._options.archive:
                source = archive.source(self._options.schema)
                # The columns are named, so that one which is gone already shows here.
                names: list[sql.Composable] = [sql.Identifier(name) for name in (*archive.columns, *archive.key)]
                cursor = await connection.execute(
                    sql.SQL("SELECT count(*) FROM (SELECT {} FROM {}{}) AS kept").format(
                        sql.SQL(", ").join(names or [sql.SQL("*")]), sql.Identifier(*source), _where(archive)
                    )
                )
                row = await cursor.fetchone()
                counted.append(f"{row[0] if row else 0} rows of {'.'.join(source)} as watchdog.{archive.relation}")
        kept = f" after keeping {', '.join(counted)}" if counted else ""
        return f"would run {_count(statements)} on {self._target.name}{kept}"

    async def _transact(self, connection: Connection, context: StepContext, statements: Sequence[Statement]) -> str:
        schema, archives = self._options.schema, self._options.archive
        await connection.execute(self._search_path("LOCAL"))
        await _refuse_unseen_deletes(connection, statements, {archive.source(schema) for archive in archives})
        await lock(connection, archives, {table for statement in statements for table in statement.locks}, schema)
        kept = [await keep(connection, context, archive, schema) for archive in archives]
        then = await before(connection, archives, schema)
        for statement in statements:
            await connection.execute(statement.text.encode())
        await connection.execute(b"SET CONSTRAINTS ALL IMMEDIATE")  # triggers that wait for the commit run now
        await connection.execute(b"RESET ROLE")  # the receipt is ours to write
        after = await now(connection, then)
        rewritten = frozenset(table for statement in statements for table in statement.locks)
        if problems := list(unkept(then, after, rewritten)):
            raise StepError(f"{' '.join(problems)} Nothing was changed.")
        for each in kept:
            if each.archive.where:
                await _prove_kept(connection, each, schema, then.deleted(each.archive, after))
        return _sentence(statements, kept)

    async def _look(self, connection: Connection) -> Verification:
        query = self._options.verify
        if query is None:
            return Verification(Applied.CANNOT_TELL, "the step has no verify query")
        await connection.execute(self._search_path("LOCAL"))
        row = await (await connection.execute(query.text.encode())).fetchone()
        match row:
            case (True,):
                return Verification(Applied.YES, "the verify query says so")
            case (False,):
                return Verification(Applied.NO, "the verify query says so")
        return Verification(Applied.CANNOT_TELL, "the verify query did not return one row with true or false")

    def _search_path(self, scope: str) -> sql.Composed:
        return sql.SQL(f"SET {scope} search_path = {{}}, public").format(sql.Identifier(self._options.schema))


async def _refuse_unseen_deletes(connection: Connection, statements: Sequence[Statement], kept: set[Table]) -> None:
    """A foreign key may delete or blank rows of other tables along with those of the script."""
    for table in sorted({table for statement in statements for table in statement.deleting}):
        found = await connection.execute(_ALSO_DELETED, (sql.Identifier(*table).as_string(connection),))
        for constraint, schema, name in await found.fetchall():
            if (schema, name) not in kept:
                raise StepError(
                    f"Deleting from {'.'.join(table)} also changes {schema}.{name} through foreign key {constraint}; "
                    f"add an archive of {schema}.{name}."
                )


async def _prove_kept(connection: Connection, kept: Kept, schema: str, deleted: int) -> None:
    """Whether every row that is gone or changed is in an archive that took only some rows."""
    name, source = kept.archive.name, kept.archive.source(schema)
    if not kept.key:
        raise StepError(f"Archive {name}: {'.'.join(source)} has no primary key, so `where` needs `key` columns.")
    same = sql.SQL(" AND ").join(
        sql.SQL("now.{}::text IS NOT DISTINCT FROM kept.{}::text").format(sql.Identifier(key), sql.Identifier(key))
        for key in kept.key
    )
    tables = {"now": sql.Identifier(*source), "kept": sql.Identifier("watchdog", kept.archive.relation), "same": same}
    gone = await _number(
        connection,
        sql.SQL("SELECT count(*) FROM {kept} AS kept WHERE NOT EXISTS (SELECT FROM {now} AS now WHERE {same})"),
        tables,
    )
    changed = await _number(
        connection,
        sql.SQL(
            "SELECT count(*) FROM {now} AS now WHERE now.xmin = pg_current_xact_id()::xid"
            " AND NOT EXISTS (SELECT FROM {kept} AS kept WHERE {same})"
        ),
        tables,
    )
    lost = deleted - gone + changed
    if lost:
        raise StepError(
            f"{lost} rows of {'.'.join(source)} would be deleted or changed that archive {name} does not hold; "
            "widen its where, or leave it out. Nothing was changed."
        )


async def _number(connection: Connection, query: sql.SQL, parts: dict[str, sql.Composable]) -> int:
    row = await (await connection.execute(query.format(**parts))).fetchone()
    return int(row[0]) if row else 0


def _where(archive: Archive) -> sql.SQL:
    return sql.SQL(f" WHERE {archive.where}" if archive.where else "")


def _count(statements: Sequence[Statement]) -> str:
    return "1 statement" if len(statements) == 1 else f"{len(statements)} statements"


def _sentence(statements: Sequence[Statement], kept: Sequence[Kept]) -> str:
    tables = [f"{each.rows} rows in watchdog.{each.archive.relation} (checksum {each.checksum})" for each in kept]
    return f"ran {_count(statements)}" + (f"; kept {', '.join(tables)}" if tables else "")


def _complaints(options: SqlOptions) -> Iterator[str]:
    yield from check(options.script.text, options.archive, transactional=options.transactional, schema=options.schema)
    if options.verify is not None:
        yield from check_query(options.verify.text)
    if options.transactional:
        return
    if options.archive:
        yield "archive needs transactional: true; put what destroys data in a step of its own."
    if options.verify is None:
        yield "transactional: false needs verify: a SELECT that returns true when the effect is there."


def _build(role: str, options: SqlOptions, resources: Resources) -> SqlAction:
    return SqlAction(cast("PostgresTarget", resources.target(role)), options)


KIND: ActionKind[SqlOptions] = ActionKind(
    name="sql",
    options=SqlOptions,
    targets=("postgres",),
    transactional=lambda options: options.transactional,
    build=_build,
    complaints=_complaints,
    destroys=lambda options: any(each.losses for each in parse(options.script.text, options.schema)),
)
