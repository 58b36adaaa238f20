# ruff: noqa: S608 - the only names in SQL here are those of our own tables
"""Up, writes, down, compare, up again, compare: with the very code that production would run."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import cattrs
import psycopg
from psycopg import sql

from watchdog.migrations.apply import apply
from watchdog.migrations.catalog import catalog
from watchdog.migrations.changelog import TRIGGER
from watchdog.migrations.dump import dump
from watchdog.migrations.images import qualified
from watchdog.migrations.manifest import read
from watchdog.migrations.options import Options
from watchdog.migrations.rehearse.compare import Moments, losses
from watchdog.migrations.rehearse.copies import Copy
from watchdog.migrations.rehearse.errors import plain
from watchdog.migrations.rehearse.old_code import Trial, attempt
from watchdog.migrations.rehearse.snapshots import Snapshots, listed, number, take, take_back
from watchdog.migrations.rehearse.values import Given, Statement, Written
from watchdog.migrations.rehearse.writes import write
from watchdog.migrations.rollback import rollback
from watchdog.migrations.runs import archives
from watchdog.migrations.session import connected
from watchdog.migrations.shape import Connection, Shape, look
from watchdog.migrations.table_plans import TablePlan
from watchdog.migrations.toc import Entry, differences
from watchdog.model.time import Span
from watchdog.ports.clock import Clock
from watchdog.ports.errors import WatchdogError

SHOWN: Final = 3
_INVALID: Final = """
    SELECT format('%s.%s', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'i' AND NOT i.indisvalid
"""
_UNVALIDATED: Final = """
    SELECT format('%s on %s.%s', k.conname, n.nspname, c.relname) FROM pg_constraint k
      JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT k.convalidated
"""


@dataclass
class Proof:
    """What the cycle has shown.

    Attributes:
        wrong: What does not hold; empty when the rollback restores.
        notes: What else is to be known.
        unrepeatable: Why the script could not be applied again; empty when it could.
        plan: What the rollback does with each table.
        plan_hash: SHA-256 of the whole rollback.
        earlier: Rows before.
        recorded: Recorded writes that the new schema took.
    """

    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    measured: Span = 0
    unrepeatable: str = ""
    plan: tuple[TablePlan, ...] = ()
    plan_hash: str = ""
    earlier: int = 0
    written: Written = field(default_factory=Written)
    recorded: int = 0
    quarantined: int = 0
    old: Trial = field(default_factory=Trial)
    new: Trial = field(default_factory=Trial)


@dataclass(frozen=True)
class _Schema:
    """A schema by every means that we have to tell two apart."""

    lines: tuple[str, ...]
    entries: tuple[Entry, ...]
    shape: Shape

    def other(self, now: "_Schema", when: str) -> list[str]:
        """Where another one differs, up to three."""
        lines = sorted(set(self.lines) ^ set(now.lines))
        found = [*differences(self.entries, now.entries), *(_named(line) for line in lines)]
        return [f"{when} the schema is another one: {line}" for line in dict.fromkeys(found)][:SHOWN]


def _named(line: str) -> str:
    """What a catalog line is about; its whole text may be a function."""
    return " ".join(line.split()[:3])


async def prove(copy: Copy, given: Given, statements: Sequence[Statement], scratch_url: str, clock: Clock) -> Proof:
    """Goes the whole cycle on a copy.

    Raises:
        RefusedError: The script cannot be taken back.
        WatchdogError: The script fails.
    """
    async with connected(copy.url) as connection:
        cycle = _Cycle(connection, copy, given, statements, scratch_url, clock)
        await cycle.go()
        return cycle.proof


class _Cycle:
    def __init__(
        self,
        connection: Connection,
        copy: Copy,
        given: Given,
        statements: Sequence[Statement],
        scratch_url: str,
        clock: Clock,
    ) -> None:
        self.proof = Proof()
        self._connection = connection
        self._copy = copy
        self._given = given
        self._statements = statements
        self._scratch_url = scratch_url
        self._clock = clock

    async def go(self) -> None:
        await self._connection.execute(
            sql.SQL("CREATE SCHEMA IF NOT EXISTS watchdog AUTHORIZATION {}").format(sql.Identifier(self._copy.role))
        )
        old = await self._schema()
        before = await take(self._connection, "before", old.shape)
        self.proof.earlier = sum(
            [await number(self._connection, f"SELECT count(*) FROM {one.image}") for one in before.values()]
        )
        self.proof.old = await attempt(self._connection, self._given.writes, self._statements, keep=False)
        weak = await self._weak()
        run = await self._first()
        await self._read(run)
        archived = await self._archived(run, old.shape, before)
        self._check(weak, await self._weak())
        new = await self._schema()
        after = await take(self._connection, "after", new.shape, old.shape)
        self.proof.new = await attempt(self._connection, self._given.writes, self._statements, keep=True)
        self.proof.recorded = len(self._given.writes) - len(self.proof.new.writes)
        if self._given.generated:
            self.proof.written = await write(self._connection)
        later = await take(self._connection, "later", new.shape, old.shape)
        if not await self._down(run):
            return
        back = await self._schema()
        self.proof.wrong += old.other(back, "after the rollback")
        kept, gone = await take_back(self._connection, "back", old.shape, back.shape)
        self.proof.wrong += gone
        if not gone:
            moments = Moments(before, after, later, kept)
            self.proof.wrong += await losses(self._connection, run, old.shape, new.shape, moments)
        await self._again(archived, old.shape, new, kept)

    async def _schema(self) -> _Schema:
        async with self._connection.transaction():
            shape, lines = await look(self._connection), await catalog(self._connection)
        # What logs the writes since a run belongs to the run, not to the schema.
        entries = [each for each in await dump(self._copy.url) if each.kind != "TRIGGER" or TRIGGER not in each.tag]
        return _Schema(lines, tuple(entries), shape)

    async def _weak(self) -> tuple[set[str], set[str]]:
        """Indexes that are not valid, and constraints that are not validated."""
        indexes = await (await self._connection.execute(_INVALID)).fetchall()
        constraints = await (await self._connection.execute(_UNVALIDATED)).fetchall()
        return {name for (name,) in indexes}, {name for (name,) in constraints}

    def _check(self, before: tuple[set[str], set[str]], now: tuple[set[str], set[str]]) -> None:
        self.proof.wrong += [f"index {name} is not valid after the script" for name in sorted(now[0] - before[0])]
        # A script may well leave that to the next one.
        self.proof.notes += [f"constraint {name} is not validated by the script" for name in sorted(now[1] - before[1])]

    async def _first(self) -> int:
        try:
            return await self._up()
        except WatchdogError as error:
            if not isinstance(error.__cause__, psycopg.Error):
                raise
            raise WatchdogError(f"The script fails on the copy: {plain(error)}.") from error

    async def _up(self) -> int:
        options = Options(role=self._copy.role)
        applied = await apply(
            self._copy.url, self._given.script, down=self._given.down, scratch_url=self._scratch_url, options=options
        )
        return applied.run

    async def _read(self, run: int) -> None:
        async with self._connection.transaction():
            _, manifest = await read(self._connection, run)
        plan = json.dumps(cattrs.unstructure(manifest.plan), sort_keys=True)
        self.proof.plan = manifest.plan.tables
        self.proof.plan_hash = hashlib.sha256(plan.encode()).hexdigest()

    async def _down(self, run: int) -> bool:
        began = self._clock.now()
        try:
            report = await rollback(self._copy.url, run)
        except WatchdogError as error:
            self.proof.wrong.append(f"the rollback does not go through: {plain(error)}")
            return False
        self.proof.measured = self._clock.now() - began
        self.proof.quarantined = report.quarantined
        kept = await number(self._connection, f"SELECT count(*) FROM watchdog.migration_quarantine WHERE run = {run}")
        if kept != report.quarantined:
            self.proof.wrong.append(f"the rollback counts {report.quarantined} rows in quarantine, {kept} are there")
        return True

    async def _again(self, first: set[str], old: Shape, new: _Schema, kept: Snapshots) -> None:
        """The script once more, on what the rollback has left."""
        try:
            second = await self._up()
        except WatchdogError as error:
            self.proof.unrepeatable = plain(error)
            return
        self.proof.wrong += new.other(await self._schema(), "applied again,")
        if await self._archived(second, old, kept) != first:
            self.proof.wrong.append("applied again, it archives other tables")

    async def _archived(self, run: int, old: Shape, rows: Snapshots) -> set[str]:
        """The tables that a run has archived; each archive must hold what the table held."""
        names = {qualified(table.name): table.number for table in old.tables}
        found: set[str] = set()
        for one in await archives(self._connection, run):
            if not one.name.endswith("_before"):
                continue
            found.add(one.table)
            if (there := rows.get(names.get(one.table, 0))) is None:
                continue
            columns = ", ".join(f"c{n}" for n in range(len(there.columns)))
            sides = f"SELECT {columns} FROM {one.name}", f"SELECT {listed(there.columns)} FROM {there.image}"
            query = "SELECT count(*) FROM (({}) EXCEPT ALL ({})) AS m".format
            if other := max([await number(self._connection, query(*each)) for each in (sides, sides[::-1])]):
                self.proof.wrong.append(f"the archive of {one.table} has {other} other rows than the table had")
        return found
