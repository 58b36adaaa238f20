"""`watchdog playbook rehearse`: the data rung's store steps, for real, on the scratch copy that the targets name."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from watchdog.actions.cypher import KIND as CYPHER
from watchdog.app.compose import GuardResources, action_builder, find_guard, targets
from watchdog.app.registries import registries
from watchdog.app.vouch import STORE_STEPS
from watchdog.config import GuardConfiguration, load, step_options
from watchdog.migrations.cache.runs import runs_of as cache_runs
from watchdog.migrations.cache.store import Store
from watchdog.migrations.graph.runs import runs_graph
from watchdog.migrations.graph_state import BackupPoint, GraphCopy
from watchdog.migrations.rehearsal import RecordedWrite, Scratch, rehearse
from watchdog.migrations.vectors.runs import runs_of as vector_runs
from watchdog.model.playbooks import Rung, Step
from watchdog.model.releases import Certificate
from watchdog.model.rules import RungKind
from watchdog.model.time import MINUTE, Span
from watchdog.ports.actions import StepContext
from watchdog.ports.errors import WatchdogError
from watchdog.runtime.clock import SystemClock
from watchdog.runtime.ids import rehearsal
from watchdog.targets.fence import leave_receipt, prepare
from watchdog.targets.neo4j import Neo4jTarget
from watchdog.targets.postgres import PostgresTarget
from watchdog.targets.redis import RedisTarget

_APPLIED = "SELECT script_hash FROM watchdog.migration_runs WHERE release = %s ORDER BY id"
_REHEARSED = "SELECT count(*) FROM watchdog.receipts WHERE run_id LIKE 'rehearsal%'"
_REHEARSED_GRAPH = "MATCH (r:WatchdogReceipt) WHERE r.run_id STARTS WITH 'rehearsal' RETURN count(r)"


class RehearsalError(WatchdogError):
    """A rehearsal cannot be held, and why."""


async def certify(
    path: Path, guard_name: str, up: Sequence[str], writes: Sequence[RecordedWrite], *, release: str = ""
) -> Certificate:
    """Rehearses the data rung of a guard against the targets of a configuration whose addresses name a scratch copy.

    Args:
        up: The command that applies the release to the scratch copy; no shell.
        writes: Recorded writes of the old version.
        release: The name that `up` gives to `watchdog migration apply`.

    Raises:
        NoGuardError: There is no such guard.
        RehearsalError: Its data rung or database is not there, the scratch copy was used before, or `up` failed.
        WatchdogError: A step failed.
    """
    kinds = registries()
    configuration = load(path, kinds)
    guard = find_guard(configuration, guard_name)
    clock = SystemClock()
    built, rung = targets(configuration, kinds), _data_rung(guard)
    resources = GuardResources(clock, built, guard.roles)
    steps = [step for step in rung.steps if step.kind in STORE_STEPS]
    build = action_builder(resources, kinds)
    run_id, scratch = rehearsal(), _scratch(steps, resources)

    def context(step_id: str, timeout: Span) -> StepContext:
        deadline = clock.now() + timeout
        return StepContext(guard_name, run_id, step_id, 1, deadline, clock, {"release": release} if release else {})

    async def apply() -> None:
        await _run(up)
        await _mark(scratch.database, context(f"{run_id}/began", MINUTE))

    async def take_back() -> None:
        for step in steps:
            await build(step).execute(context(f"{run_id}/{rung.kind}/{step.name}", step.timeout))

    try:
        await _refuse_used(scratch)
        certificate = await rehearse(scratch, apply, take_back, writes, guard.settings.playbook.hash, clock)
        caches = _caches(steps, resources)
        unseen = tuple(f"{cache.name}: what was done to its keys was taken back, and not compared" for cache in caches)
        scripts = await _scripts(scratch, caches, release)
        return replace(certificate, scripts=scripts, findings=(*certificate.findings, *unseen))
    finally:
        for target in built.values():
            await target.close()


def _data_rung(guard: GuardConfiguration) -> Rung:
    for rung in guard.settings.playbook.rungs:
        if rung.kind is RungKind.DATA:
            return rung
    raise RehearsalError(f"playbook {guard.settings.playbook.name} has no data rung, so nothing is to be rehearsed")


def _scratch(steps: Sequence[Step], resources: GuardResources) -> Scratch:
    """The first database of these steps, and all their graphs."""
    databases: list[PostgresTarget] = []
    backups: dict[str, list[BackupPoint]] = {}
    graphs: dict[str, Neo4jTarget] = {}
    for step in steps:
        target = resources.target(step.target)
        if isinstance(target, PostgresTarget):
            databases.append(target)
        elif isinstance(target, Neo4jTarget):
            graphs[target.name] = target
            backups.setdefault(target.name, []).extend(_backup(step))
    if not databases:
        raise RehearsalError("the data rung has no sql step, so there is no database to compare")
    copies = (GraphCopy(target, tuple(backups[name])) for name, target in graphs.items())
    return Scratch(databases[0], tuple(copies))


def _backup(step: Step) -> tuple[BackupPoint, ...]:
    if step.kind != CYPHER.name:
        return ()
    options = step_options(CYPHER, step.options)
    return (BackupPoint(options.backup_label, options.backup),) if options.backup else ()


async def _refuse_used(scratch: Scratch) -> None:
    async with scratch.database.observe() as connection:
        there = await (await connection.execute("SELECT to_regclass('watchdog.receipts') IS NOT NULL")).fetchone()
        row = await (await connection.execute(_REHEARSED)).fetchone() if there and there[0] else None
        if row and row[0]:
            raise _used(scratch.database.place)
    for graph in scratch.graphs:
        with graph.target.translated():
            async with graph.target.session() as session:
                record = await (await session.run(_REHEARSED_GRAPH)).single()
        if record and record[0]:
            raise _used(graph.target.place)


async def _mark(database: PostgresTarget, context: StepContext) -> None:
    """Leaves the sign that a rehearsal has begun. Not before the release: it may make our schema itself."""
    async with database.act() as connection:
        await prepare(connection, context.guard)
        await leave_receipt(connection, context, "a rehearsal began")


def _caches(steps: Sequence[Step], resources: GuardResources) -> tuple[RedisTarget, ...]:
    found = (resources.target(step.target) for step in steps)
    return tuple({target.name: target for target in found if isinstance(target, RedisTarget)}.values())


async def _scripts(scratch: Scratch, caches: Sequence[RedisTarget], release: str) -> tuple[str, ...]:
    """What was applied through us; a step takes back nothing else."""
    if not release:
        return ()
    async with scratch.database.observe() as connection:
        there = await (await connection.execute("SELECT to_regclass('watchdog.migration_runs') IS NOT NULL")).fetchone()
        rows = await (await connection.execute(_APPLIED, (release,))).fetchall() if there and there[0] else []
        found = [str(digest) for (digest,) in rows]
        found += [run.script_hash for run in await vector_runs(connection) if run.release == release]
    for graph in scratch.graphs:
        found += [run.script_hash for run in await runs_graph(graph.target) if run.release == release]
    for cache in caches:
        found += [run.script_hash for run in await cache_runs(Store(cache)) if run.release == release]
    return tuple(found)


def _used(place: str) -> RehearsalError:
    return RehearsalError(
        f"{place} is no clean copy: a rehearsal has changed it before, so another one would prove nothing; make it anew"
    )


async def _run(command: Sequence[str]) -> None:
    # Its errors go to the terminal as they are: they may hold an address, so they stand in no message of ours.
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        await process.wait()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise RehearsalError(f"{command[0]} ended with status {process.returncode}; what it said stands above")
