"""What a run leaves in the database so that a rollback needs nothing else."""

import hashlib
from dataclasses import dataclass
from typing import Any

import cattrs
from psycopg.types.json import Jsonb

from watchdog.migrations.options import Options
from watchdog.migrations.releases import refuse_closed
from watchdog.migrations.runs import describe, not_reversible
from watchdog.migrations.shape import Connection
from watchdog.migrations.undo import Plan
from watchdog.ports.errors import WatchdogError


@dataclass(frozen=True)
class Manifest:
    """All that a rollback needs.

    Attributes:
        catalog: Lines of the catalog before.
        forward: Hash of the catalog just after the script.
        positions: Sequences before and just after the script: last value, and whether it was given out.
        role: Whose rights it ran with; empty for the user's own.
        after: Lines of the catalog just after the script; a run of an early version has none.
        deferred: What `settle` runs: the drops that were put off.
    """

    plan: Plan
    catalog: tuple[str, ...]
    forward: str
    positions: dict[str, tuple[int, bool]]
    positions_after: dict[str, tuple[int, bool]]
    down: str | None = None
    role: str = ""
    deferred: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


_NOTHING = Manifest(Plan((), (), (), (), (), (), (), ()), (), "", {}, {})


async def begin(
    connection: Connection,
    script: str,
    options: Options,
    rollback_seconds: float | None = None,
    *,
    state: str = "applying",
) -> int:
    """Enters a run; answers with its number.

    Args:
        state: `applying`, or `preparing` while only archives are written.
        rollback_seconds: The predicted length of its rollback.

    Raises:
        RefusedError: Its release was taken back.
    """
    await refuse_closed(connection, options.release)
    digest = hashlib.sha256(script.encode()).hexdigest()
    row = await (
        await connection.execute(
            "INSERT INTO watchdog.migration_runs (state, script, script_hash, manifest)"
            " VALUES (%s, %s, %s, '{}') RETURNING id",
            (state, script, digest),
        )
    ).fetchone()
    assert row is not None  # noqa: S101 - RETURNING answers
    run = int(row[0])
    await describe(connection, run, options, rollback_seconds)
    return run


async def record(connection: Connection, run: int, manifest: Manifest) -> None:
    """Keeps what was learnt."""
    await connection.execute(
        "UPDATE watchdog.migration_runs SET manifest = %s WHERE id = %s", (Jsonb(cattrs.unstructure(manifest)), run)
    )


async def finished(connection: Connection, run: int) -> None:
    """The run is applied; raises RefusedError when its release was taken back meanwhile."""
    row = await (
        await connection.execute(
            "UPDATE watchdog.migration_runs SET state = 'applied' WHERE id = %s RETURNING release", (run,)
        )
    ).fetchone()
    await refuse_closed(connection, row[0] if row else "")


async def read(connection: Connection, run: int) -> tuple[str, Manifest]:
    """The state of a run that may be taken back, and its manifest; locks the run to the end of the transaction.

    Raises:
        WatchdogError: There is none, or it cannot be taken back.
    """
    there = await (await connection.execute("SELECT to_regclass('watchdog.migration_runs') IS NOT NULL")).fetchone()
    row: Any = None
    if there and there[0]:
        row = await (
            await connection.execute(
                "SELECT state, manifest, coalesce((to_jsonb(r) ->> 'reversible')::boolean, true)"
                " FROM watchdog.migration_runs r WHERE id = %s FOR UPDATE",
                (run,),
            )
        ).fetchone()
    if row is None:
        raise WatchdogError(f"There is no run {run} in this database; see `watchdog migration status`.")
    state, manifest, reversible = row
    if reason := not_reversible(run, state, reversible=reversible):
        raise WatchdogError(reason)
    if state == "preparing":
        return state, _NOTHING
    return state, cattrs.structure(manifest, Manifest)
