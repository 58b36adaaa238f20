"""Runs a Cypher script on Neo4j."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import neo4j

from watchdog.migrations.cypher import Statement, check, parse
from watchdog.model.time import in_seconds
from watchdog.ports.actions import Applied, StepContext, Verification
from watchdog.ports.errors import StepError
from watchdog.ports.kinds import ActionKind, Resources, Script
from watchdog.targets.graph_fence import run_fenced, run_fenced_session, verify_fenced
from watchdog.targets.neo4j import Neo4jTarget
from watchdog.targets.retries import time_left


@dataclass(frozen=True, kw_only=True)
class CypherOptions:
    """A script and its safety net.

    Attributes:
        script: Statements, each ended by `;` at the end of a line.
        backup: The id of the backup point that holds what the script deletes; it must be there, or nothing is done.
        backup_label: The label of backup points, found by their property `id`.
        transactional: Whether script and receipt share one transaction; false for indexes, constraints and
            IN TRANSACTIONS.
        verify: A query that returns true when the effect is there; needed when not transactional.
    """

    script: Script
    backup: str = ""
    backup_label: str = "MigrationBackup"
    transactional: bool = True
    verify: Script | None = None


class CypherAction:
    """One script on one graph."""

    def __init__(self, target: Neo4jTarget, options: CypherOptions) -> None:
        self._target = target
        self._options = options

    async def execute(self, context: StepContext) -> str:
        """Runs the script once; see `Action.execute`."""
        problems = list(_complaints(self._options))
        if problems:
            raise StepError(f"{self._options.script.source or 'The script'} was not run: {' '.join(problems)}")
        statements = parse(self._options.script.text)

        async def transact(transaction: neo4j.AsyncTransaction) -> str:
            await self._require_backup(transaction)
            counters = [await _run(transaction, statement.text) for statement in statements]
            await self._require_backup(transaction)  # still, now that the script has run
            return _sentence(counters)

        async def one_by_one(session: neo4j.AsyncSession) -> str:
            await self._require_backup(session)
            timeout = in_seconds(time_left(context))
            return _sentence([await _run(session, neo4j.Query(each.text, timeout=timeout)) for each in statements])

        if self._options.transactional:
            return await run_fenced(self._target, context, transact)
        return await run_fenced_session(self._target, context, one_by_one)

    async def verify(self, context: StepContext) -> Verification:
        """Asks for the receipt, then the verify query; see `Action.verify`."""
        return await verify_fenced(self._target, context, None if self._options.transactional else self._look)

    async def preview(self, context: StepContext) -> str:
        """Says what would run."""
        del context
        statements = parse(self._options.script.text)
        kept = f"; what it deletes is kept under backup point {self._options.backup}" if self._options.backup else ""
        return f"would run {_count(statements)} on {self._target.place}{kept}"

    async def _require_backup(self, runner: neo4j.AsyncSession | neo4j.AsyncTransaction) -> None:
        if not self._options.backup:
            return
        label = self._options.backup_label.replace("`", "``")
        query = f"MATCH (b:`{label}` {{id: $id}}) RETURN count(b) > 0 AS found"
        record = await (await runner.run(query, id=self._options.backup)).single()
        if record is None or not record["found"]:
            raise StepError(
                f"{self._target.place} has no backup point (:{self._options.backup_label} {{id: "
                f"'{self._options.backup}'}}), so nothing was deleted; make the backup first, or correct backup."
            )

    async def _look(self, transaction: neo4j.AsyncTransaction) -> Verification:
        query = self._options.verify
        if query is None:
            return Verification(Applied.CANNOT_TELL, "the step has no verify query")
        rows = await (await transaction.run(query.text.strip().removesuffix(";"))).fetch(2)
        match [list(row.values()) for row in rows]:
            case [[True]]:
                return Verification(Applied.YES, "the verify query says so")
            case [[False]]:
                return Verification(Applied.NO, "the verify query says so")
        return Verification(Applied.CANNOT_TELL, "the verify query did not return one row with true or false")


async def _run(runner: neo4j.AsyncSession | neo4j.AsyncTransaction, statement: Any) -> neo4j.SummaryCounters:
    return (await (await runner.run(statement)).consume()).counters


_COUNTED = (
    "nodes_created",
    "nodes_deleted",
    "relationships_created",
    "relationships_deleted",
    "properties_set",
    "labels_added",
    "labels_removed",
    "indexes_added",
    "indexes_removed",
    "constraints_added",
    "constraints_removed",
)


def _sentence(counters: list[neo4j.SummaryCounters]) -> str:
    sums = {name: sum(int(getattr(each, name)) for each in counters) for name in _COUNTED}
    counted = [f"{number} {name.replace('_', ' ')}" for name, number in sums.items() if number]
    return f"ran {len(counters)} statement{'s' * (len(counters) != 1)}: {', '.join(counted) or 'nothing changed'}"


def _count(statements: tuple[Statement, ...]) -> str:
    return "1 statement" if len(statements) == 1 else f"{len(statements)} statements"


def _complaints(options: CypherOptions) -> Iterator[str]:
    yield from check(
        options.script.text,
        transactional=options.transactional,
        backup=options.backup,
        backup_label=options.backup_label,
    )
    if not options.transactional and options.verify is None:
        yield "transactional: false needs verify: a query that returns true when the effect is there."
    if options.verify is not None:
        for statement in parse(options.verify.text):
            if statement.loses or statement.schema:
                yield "verify must only read."


def _build(role: str, options: CypherOptions, resources: Resources) -> CypherAction:
    return CypherAction(cast("Neo4jTarget", resources.target(role)), options)


KIND: ActionKind[CypherOptions] = ActionKind(
    name="cypher",
    options=CypherOptions,
    targets=("neo4j",),
    transactional=lambda options: options.transactional,
    build=_build,
    complaints=_complaints,
    destroys=lambda options: any(each.loses for each in parse(options.script.text)),
)
