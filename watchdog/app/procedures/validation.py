"""`watchdog validate`: what should be known of a service after its migration went out."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.app.procedures.checks import Said, check_part, check_values, judge_once, rules_part
from watchdog.app.procedures.compare import Limits, indexes_part, rows_part, statements_part
from watchdog.app.procedures.health import health_part
from watchdog.app.procedures.keys import foreign_keys
from watchdog.app.procedures.parts import Outcome, Part
from watchdog.app.procedures.place import Place, place
from watchdog.app.procedures.snapshot import Snapshot
from watchdog.app.procedures.usage import usage
from watchdog.model.signals import Missing
from watchdog.model.time import MINUTE, SECOND, Span
from watchdog.ports.clock import Clock
from watchdog.ports.errors import TargetError, WatchdogError
from watchdog.targets.postgres import PostgresTarget
from watchdog.web.moments import iso


class UncountedError(WatchdogError):
    """A snapshot would not be whole."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for.

    Attributes:
        before: The snapshot to compare with.
        rules: What a running daemon says of the rules; None to judge them ourselves.
        judge_for: How long we read for that.
        patience: For each statement.
    """

    before: Snapshot | None = None
    limits: Limits = field(default_factory=Limits)
    rules: Sequence[Said] | None = None
    judge_for: Span = 10 * SECOND
    patience: Span = MINUTE


async def remember(path: Path, guard: str, clock: Clock, patience: Span = MINUTE) -> Snapshot:
    """What a later validation compares with.

    Raises:
        ConfigError: The configuration has mistakes.
        NoGuardError: There is no such guard.
        PostgresError: A database cannot be reached.
        UncountedError: A table cannot be counted.
    """
    async with place(path, guard, clock) as where:
        # First: what the checks scan is of before the snapshot, too.
        values = await check_values(where)
        databases = {}
        for target in where.used(PostgresTarget).values():
            found, unseen = await usage(target, patience, counted_before=True)
            if unseen:
                raise UncountedError(
                    f"{target.place}: {'; '.join(unseen)}; give the user SELECT on it, or more --timeout"
                )
            databases[target.name] = found
        checks = {name: value for name, value in values.items() if not isinstance(value, Missing)}
        return Snapshot(guard, iso(clock.now()) or "", databases, checks)


async def validate(path: Path, guard: str, wanted: Wanted, clock: Clock) -> AsyncIterator[Part]:
    """One part after the other, as each is done.

    Raises:
        ConfigError: The configuration has mistakes.
        NoGuardError: There is no such guard.
    """
    before = wanted.before
    async with place(path, guard, clock) as where:
        databases = where.used(PostgresTarget)
        for role, target in databases.items():
            async for part in _database(role, target, wanted):
                yield part
        if not databases:
            yield Part("data", Outcome.NOT_RUN, "the guard has no PostgreSQL target")
        yield await health_part(where)
        yield check_part("checks", where.guard.settings, await check_values(where), before.checks if before else None)
        yield await _rules(where, wanted)


async def _database(role: str, target: PostgresTarget, wanted: Wanted) -> AsyncIterator[Part]:
    before = wanted.before.databases.get(target.name) if wanted.before else None
    try:
        now, unseen = await usage(target, wanted.patience, counted_before=False)
    except TargetError as error:
        yield Part(f"{role}: rows", Outcome.FAILED, str(error))
        return
    yield rows_part(f"{role}: rows", before, now, unseen, wanted.limits)
    yield await foreign_keys(f"{role}: foreign keys", target, wanted.patience)
    yield indexes_part(f"{role}: indexes", before, now, wanted.limits)
    yield statements_part(f"{role}: query times", before, now, wanted.limits)


async def _rules(where: Place, wanted: Wanted) -> Part:
    if wanted.rules is not None:
        return rules_part("rules", wanted.rules, "as the daemon has judged them")
    return rules_part("rules", await judge_once(where, wanted.judge_for), "judged once, without a baseline")
