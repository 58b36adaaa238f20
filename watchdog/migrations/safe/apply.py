"""Applies a script in safe forms so that it can be taken back; as it was written where that means something else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import psycopg

from watchdog.migrations.apply import Applied
from watchdog.migrations.apply import apply as apply_plain
from watchdog.migrations.clone import ScriptFailsError, scratch
from watchdog.migrations.concurrent import concurrent
from watchdog.migrations.dump import dump
from watchdog.migrations.options import Options, OptionsError
from watchdog.migrations.refusals import refusals
from watchdog.migrations.runs import prepare
from watchdog.migrations.safe.equal import otherwise
from watchdog.migrations.safe.facts import facts_about
from watchdog.migrations.safe.forms import safe_forms, without_concurrently
from watchdog.migrations.safe.journal import forget_positions
from watchdog.migrations.safe.limits import Limits
from watchdog.migrations.safe.progress import Tell
from watchdog.migrations.safe.run import DEFAULTS, unheard
from watchdog.migrations.safe.values import Forms, Step
from watchdog.migrations.safe.work import BySteps
from watchdog.migrations.session import RefusedError, connected
from watchdog.migrations.tools.apply import ToolApplied, apply_work, go_on
from watchdog.ports.errors import WatchdogError

_OPTIONS: Final = Options()


@dataclass(frozen=True)
class SafelyApplied:
    """A migration that was applied.

    Attributes:
        archives: Rows kept of each table, as they were before.
        quarantines: What a rollback would keep apart: tables and columns that the script made.
        steps: What it was done in; nothing when it was done as it was written, in one transaction.
        kept: What was not done in a safe form, as sentences.
        lowered: Why not everything can be taken back, or what is not certain, as sentences.
        reversible: Whether `rollback` takes it back.
    """

    run: int
    archives: dict[str, int]
    quarantines: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    kept: tuple[str, ...] = ()
    lowered: tuple[str, ...] = ()
    reversible: bool = True


@dataclass(frozen=True)
class Chosen:
    """How a script will be applied: in steps, or, without any, as it was written; `kept` says what is not safe."""

    forms: Forms | None
    kept: tuple[str, ...]


async def apply_safe(
    url: str, script: str, *, down: str | None = None, scratch_url: str | None = None, options: Options = _OPTIONS,
    limits: Limits = DEFAULTS, tell: Tell = unheard,
) -> SafelyApplied:  # fmt: skip
    """Applies a script in safe forms, with everything archived that it destroys.

    Args:
        down: The author's own way back, kept with the run.
        scratch_url: A scratch server, as superuser; without it one of our own is started.
        limits: How hard it may press on the database.
        tell: Hears how far it is.

    Raises:
        RefusedError: It cannot be taken back; nothing was changed.
        WatchdogError: It failed; the message says whether anything was changed, and what was taken back.
    """
    if not options.archive or options.defer:
        raise OptionsError("--safe keeps archives and defers nothing: leave out --no-archive and --defer, or --safe.")
    async with connected(url, options.role) as production:
        version = production.info.server_version // 10_000
    async with scratch(version, scratch_url) as admin:
        chosen = await choose(url, script, admin, options)
        done = None
        if chosen.forms is not None:
            work = BySteps(script, chosen.forms, limits, tell)
            async with _tidied(url, options.role):
                done = await apply_work(url, work, scratch_url=admin, options=options)
        if done is None:
            applied = await apply_plain(url, script, down=down, scratch_url=admin, options=options)
            return _plainly(applied, chosen.kept)
    if down is not None:
        await _keep(url, options.role, done.run, down)
    return _in_steps(done, chosen.forms, chosen.kept)


async def choose(url: str, script: str, admin: str, options: Options = _OPTIONS) -> Chosen:
    """Finds a script's safe forms, and proves on copies that they end where it ends.

    Args:
        admin: A scratch server, as superuser.

    Raises:
        RefusedError: It cannot be taken back.
        WatchdogError: It cannot be read, or not be tried.
    """
    async with connected(url, options.role) as production:
        if concurrent(script) is not None:
            return Chosen(None, ())
        if reasons := refusals(without_concurrently(script)):
            raise RefusedError(reasons)
        await prepare(production)
        forms = safe_forms(script, await facts_about(production, script))
        kept = tuple(f"line {one.line} stays as it is: {one.reason}" for one in forms.kept)
        if not forms.changed:
            return Chosen(None, kept)
        entries = await dump(url, options.role)
        try:
            why = await otherwise(production, admin, entries, script, forms, options.role)
        except ScriptFailsError:
            # Applied as it was written it says so itself, or is tried on other copies.
            return Chosen(None, kept)
        if why:
            return Chosen(None, (*kept, f"the script stays as it is: {why}"))
        return Chosen(forms, kept)


async def resume_safe(url: str, run: int, *, limits: Limits = DEFAULTS, tell: Tell = unheard) -> SafelyApplied:
    """Goes on with a run in steps whose process died.

    Raises:
        WatchdogError: There is nothing to go on with, it is still at work, or it failed and was taken back.
    """
    async with _tidied(url, ""):
        done = await go_on(url, run, BySteps("", None, limits, tell))
    return _in_steps(done, None, ())


@asynccontextmanager
async def _tidied(url: str, role: str) -> AsyncIterator[None]:
    """Leaves no key of a row in the journal of a run that is over."""
    try:
        yield
    finally:
        with suppress(WatchdogError, psycopg.Error):
            async with connected(url, role) as production:
                await forget_positions(production)


async def _keep(url: str, role: str, run: int, down: str) -> None:
    async with connected(url, role) as production:
        await production.execute(
            "UPDATE watchdog.migration_runs SET manifest = jsonb_set(manifest, '{down}', to_jsonb(%s::text))"
            " WHERE id = %s",
            (down, run),
        )


def _in_steps(done: ToolApplied, forms: Forms | None, kept: tuple[str, ...]) -> SafelyApplied:
    steps = forms.steps if forms is not None else ()
    return SafelyApplied(done.run, done.archives, done.quarantines, steps, kept, done.lowered, done.reversible)


def _plainly(done: Applied, kept: tuple[str, ...]) -> SafelyApplied:
    return SafelyApplied(done.run, done.archives, done.quarantines, kept=kept)
