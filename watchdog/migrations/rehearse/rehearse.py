"""Rehearses one migration on throw-away copies; production is read, and nothing stays there."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace

import psycopg

from watchdog.migrations.budget import Prediction, predict
from watchdog.migrations.catalog import surroundings
from watchdog.migrations.clone import scratch
from watchdog.migrations.dump import dump
from watchdog.migrations.images import qualified
from watchdog.migrations.rehearse.author import try_down
from watchdog.migrations.rehearse.copies import Copies, copies
from watchdog.migrations.rehearse.cycle import Proof, prove
from watchdog.migrations.rehearse.errors import plain
from watchdog.migrations.rehearse.hold import script_hash
from watchdog.migrations.rehearse.old_code import from_statistics, judge
from watchdog.migrations.rehearse.trace import trace
from watchdog.migrations.rehearse.values import Data, Down, DownOutcome, Given, Rehearsal, Trace
from watchdog.migrations.sample import Loaded
from watchdog.migrations.session import connected
from watchdog.migrations.shape import Connection
from watchdog.migrations.table_plans import TablePlan
from watchdog.model.releases import Certificate, Compatibility, Surroundings
from watchdog.model.time import Time, say_span, span
from watchdog.ports.clock import Clock
from watchdog.ports.errors import WatchdogError


async def rehearse(url: str, given: Given, clock: Clock, *, scratch_url: str | None = None) -> Rehearsal:
    """Applies a script to a copy of a database, writes there, takes it back, and says whether all was restored.

    Args:
        url: Production; it is read, and what is measured there is rolled back.
        scratch_url: A scratch server, as superuser; without it one of our own is started.

    Raises:
        RefusedError: The script cannot be taken back, or a rehearsal on that server would prove nothing.
        WatchdogError: The script fails on the copy, or a server cannot be used.
    """
    try:
        return await _rehearse(url, given, clock, scratch_url)
    except psycopg.Error as error:
        raise WatchdogError(f"The rehearsal failed: {plain(error)}.") from error


async def _rehearse(url: str, given: Given, clock: Clock, scratch_url: str | None) -> Rehearsal:
    async with connected(url) as production:
        here = await surroundings(production)
        statements = (*given.statements, *(await from_statistics(production) if given.statistics else ()))
        entries = await dump(url)
        async with (
            scratch(int(here.server), scratch_url) as admin,
            copies(admin, production, entries, here, given) as made,
        ):
            async with made.fresh() as copy:
                proof = await prove(copy, given, statements, admin, clock)
            await _repeat(made, given, proof, admin, clock)
            if given.data is Data.NONE and await _holds_rows(production):
                proof.wrong.append("no row was loaded, so nothing is proven about rows; use --data sample or full")
            proof.wrong += _unproven(made.loaded, proof)
            seen = await _trace(made, production, given.script)
            down = await _down(made, given) if given.down is not None else None
        prediction, unknown = await _predicted(production, proof.plan)
    verdict, reasons = judge(proof.old, proof.new, given.writes, statements)
    findings = (
        *(proof.wrong or _proven(proof)),
        *proof.notes,
        _loaded(given, made.loaded, proof.earlier),
        unknown if prediction is None else f"predicted at production's size: back in {say_span(span(prediction))}",
        *reasons,
        *(_said_of(down) if down else ()),
        *_said_of_locks(seen),
    )
    certificate = _certificate(given, proof, here, clock.now(), verdict, findings)
    loaded = {".".join(name): count for name, count in made.loaded.rows.items()}
    return Rehearsal(certificate, loaded, proof.written, proof.quarantined, prediction, reasons, seen, down)


def _certificate(
    given: Given, proof: Proof, here: Surroundings, at: Time, old_code: Compatibility, findings: tuple[str, ...]
) -> Certificate:
    digest = hashlib.sha256(json.dumps([proof.plan_hash, here.schema_hash, at]).encode()).hexdigest()
    return Certificate(
        id=f"cert-{digest[:12]}",
        issued_at=at,
        surroundings=here,
        rollback_hash=proof.plan_hash,
        restored=not proof.wrong,
        old_code=old_code,
        measured=proof.measured,
        findings=findings,
        scripts=(script_hash(given.script),),
    )


async def _repeat(made: Copies, given: Given, proof: Proof, admin: str, clock: Clock) -> None:
    """Where the script cannot be applied again, finds out whether that is for the rows that were written since."""
    if not proof.unrepeatable:
        return
    async with made.fresh() as copy:
        alone = await prove(copy, replace(given, writes=(), generated=False), (), admin, clock)
    proof.wrong += alone.wrong
    if alone.unrepeatable:
        proof.wrong.append(f"the script cannot be applied again: {alone.unrepeatable}")
    else:
        proof.notes.append(f"rows that were written since are in the way of the script: {proof.unrepeatable}")


async def _trace(made: Copies, production: Connection, script: str) -> Trace:
    async with made.fresh() as copy:
        return await trace(copy, production, script)


async def _down(made: Copies, given: Given) -> Down:
    async with made.fresh() as copy:
        try:
            return await try_down(copy, given.script, given.down or "")
        except psycopg.Error as error:
            return Down(DownOutcome.FAILS, (f"the script itself fails without us: {plain(error)}",))


async def _predicted(production: Connection, plan: Iterable[TablePlan]) -> tuple[float | None, str]:
    """The rollback's seconds at production's size; what is written to know them is rolled back."""
    try:
        async with production.transaction(force_rollback=True):
            prediction: Prediction = await predict(production, plan)
    except WatchdogError as error:
        return None, f"how long the rollback takes in production cannot be predicted: {plain(error)}"
    return prediction.rollback_seconds, ""


async def _holds_rows(production: Connection) -> bool:
    """Whether any table of production has rows."""
    query = """
        SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'watchdog')
           AND n.nspname !~ '^pg_'
    """
    for (name,) in await (await production.execute(query)).fetchall():
        row = await (await production.execute(f"SELECT EXISTS (SELECT FROM {name})".encode())).fetchone()  # noqa: S608 - quoted by the server itself
        if row and row[0]:
            return True
    return False


def _unproven(loaded: Loaded, proof: Proof) -> list[str]:
    """Tables that the script changes and of which no row could be loaded."""
    return [
        f"no row of {qualified(table.name)} could be loaded masked, so nothing is proven about its rows; add --unmasked"
        for table in proof.plan
        if table.name in loaded.empty
    ]


def _proven(proof: Proof) -> tuple[str, ...]:
    done = proof.written
    written = f"{done.inserted + done.updated + done.deleted:,} generated and {proof.recorded:,} recorded"
    without = " without them" if proof.unrepeatable else ""
    return (
        f"schema and earlier rows were as before after {say_span(proof.measured)}, {proof.earlier:,} rows compared",
        f"{written} later writes were kept, {proof.quarantined} rows of them in quarantine",
        f"applied again{without}, it made the same schema and the same archives",
    )


def _loaded(given: Given, loaded: Loaded, rows: int) -> str:
    masked = "masked" if given.masked else "not masked"
    said = {
        Data.NONE: "rehearsed without rows",
        Data.SAMPLE: f"rehearsed on {rows:,} rows, up to {given.rows:,} a table with their parents, {masked}",
        Data.FULL: f"rehearsed on all {rows:,} rows, {masked}",
    }[given.data]
    empty = ", ".join(qualified(name) for name in loaded.empty)
    return f"{said}; without those of {empty}, which break a constraint when masked" if empty else said


def _said_of(down: Down) -> tuple[str, ...]:
    why = f": {'; '.join(down.findings)}" if down.findings else ""
    return (f"the author's own way back: {down.outcome}{why}; production uses ours",)


def _said_of_locks(seen: Trace) -> tuple[str, ...]:
    said = [f"locks were not traced to the end: {seen.untraced}"] if seen.untraced else []
    return (*said, *(f"locks: {line}" for line in seen.differences))
