"""Applies a plan over its stores, and takes it back.

The journal of a plan is what its stores say: a run is written there together with its effect, under the plan's release
and the migration's name. So a plan that was killed anywhere goes on, or back, from what is really there.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from watchdog.migrations.plans.file import Entry, Plan
from watchdog.migrations.plans.stores import Stand, Store
from watchdog.migrations.session import RefusedError
from watchdog.ports.errors import WatchdogError

Stores = Mapping[tuple[str, str], Store]
"""The store of each place and kind of script that a plan needs."""

Hear = Callable[[str], None]


class PlanFailedError(WatchdogError):
    """A plan was not applied as a whole.

    Attributes:
        left: Migrations that are still applied.
    """

    def __init__(self, message: str, left: tuple[str, ...]) -> None:
        super().__init__(message)
        self.left = left


@dataclass(frozen=True)
class Line:
    """One migration of a plan as it stands; `state` is `not applied` where there is no run."""

    name: str
    place: str
    state: str
    run: int | None = None


@dataclass
class Done:
    """What was done, in order: names of migrations."""

    applied: list[str] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)


async def status(plan: Plan, stores: Stores) -> tuple[Line, ...]:
    """How each migration stands, in the order in which they are applied.

    Raises:
        WatchdogError: A store does not answer.
    """
    lines: list[Line] = []
    for entry in plan.entries:
        stand = await _last(plan, entry, stores)
        state, run = (stand.state, stand.run) if stand else ("not applied", None)
        lines.append(Line(entry.name, entry.place, state, run))
    return tuple(lines)


async def apply(plan: Plan, stores: Stores, hear: Hear, *, keep: Sequence[str] = ()) -> Done:
    """Applies what is not applied yet; when one fails, takes back all that is, in reverse.

    Args:
        hear: Is told what is done.
        keep: Names whose failure leaves what was applied before them: the other tenants after a canary.

    Raises:
        PlanFailedError: One failed; says why, and what is still applied.
        RefusedError: Another script was applied under a name of the plan; nothing was changed.
        WatchdogError: A store does not answer; nothing was changed.
    """
    done = Done()
    await _refuse_others(plan, stores)
    for entry in plan.entries:
        store = _store(entry, stores)
        try:
            if await _is_there(plan, entry, stores, hear):
                done.there.append(entry.name)
                continue
            run = await store.apply(entry, plan.release)
        except WatchdogError as error:
            if entry.name in keep:
                raise _stopped(entry, error, done) from error
            raise await asyncio.shield(_compensated(plan, stores, hear, entry, error)) from error
        done.applied.append(entry.name)
        hear(f"applied {entry.name} to {entry.place}: run {run}")
    return done


async def take_back(plan: Plan, stores: Stores, hear: Hear) -> Done:
    """Takes back what is applied, the last one first; a second call goes on where the first one stopped.

    Raises:
        PlanFailedError: One cannot be taken back; what came after it is back, it and what came before it is not.
        WatchdogError: A store does not answer.
    """
    done = Done()
    stands = [(entry, await _last(plan, entry, stores)) for entry in plan.entries]
    wanted = [(entry, stand) for entry, stand in reversed(stands) if stand and stand.state != "rolled back"]
    for place, (entry, stand) in enumerate(wanted):
        try:
            await _store(entry, stores).take_back(stand.run)
        except WatchdogError as error:
            left = tuple(one.name for one, _ in wanted[place:])
            raise PlanFailedError(
                f"{entry.name} on {entry.place} was not taken back: {error} Still applied: {', '.join(left)}. Mend"
                " the cause and take the plan back again: it goes on from there.",
                left,
            ) from error
        done.taken_back.append(entry.name)
        hear(f"took back {entry.name} on {entry.place}")
    return done


async def _compensated(plan: Plan, stores: Stores, hear: Hear, entry: Entry, cause: WatchdogError) -> PlanFailedError:
    """What is to be said after a failure, when all that was applied is taken back."""
    hear(f"{entry.name} failed on {entry.place}; what was applied before it is taken back")
    try:
        back = await take_back(plan, stores, hear)
    except WatchdogError as error:
        left = error.left if isinstance(error, PlanFailedError) else ()
        return PlanFailedError(f"{entry.name} on {entry.place} failed: {cause} And {error}", left)
    before = f"Taken back: {', '.join(back.taken_back)}." if back.taken_back else "Nothing had been applied before it."
    return PlanFailedError(f"{entry.name} on {entry.place} failed: {cause} {before}", ())


def _stopped(entry: Entry, error: WatchdogError, done: Done) -> PlanFailedError:
    left = (*done.there, *done.applied)
    return PlanFailedError(
        f"{entry.name} on {entry.place} failed: {error} {len(left)} migrations before it stay applied. Apply the plan"
        " again to go on, or take it back.",
        left,
    )


async def _refuse_others(plan: Plan, stores: Stores) -> None:
    """Before anything is changed: whether every store answers, and every name stands for this plan's script."""
    wrong: list[str] = []
    for entry in plan.entries:
        stand = await _last(plan, entry, stores)
        if stand and stand.state == "settled":
            wrong.append(f"{entry.name} of release {plan.release} is settled")
        elif stand and stand.state != "rolled back" and stand.script_hash != _digest(entry):
            wrong.append(f"{entry.name} of release {plan.release} was applied with another script, as run {stand.run}")
    if wrong:
        raise RefusedError(tuple(wrong))


async def _is_there(plan: Plan, entry: Entry, stores: Stores, hear: Hear) -> bool:
    """Whether it is applied; one that stopped half way is taken back, to be applied anew."""
    stand = await _last(plan, entry, stores)
    if stand is None or stand.state == "rolled back":
        return False
    if stand.state == "applied":
        return True
    if entry.store in {"redis", "vectors"} and stand.state == "applying":
        return False  # these go on where they stopped
    await _store(entry, stores).take_back(stand.run)
    hear(f"took back {entry.name} on {entry.place}, which had stopped half way")
    return False


async def _last(plan: Plan, entry: Entry, stores: Stores) -> Stand | None:
    found = await _store(entry, stores).runs(plan.release)
    return next((stand for stand in reversed(found) if stand.name == entry.name), None)


def _store(entry: Entry, stores: Stores) -> Store:
    return stores[entry.place, entry.store]


def _digest(entry: Entry) -> str:
    return hashlib.sha256(entry.text.encode()).hexdigest()


def needed(plan: Plan) -> Iterator[tuple[str, str]]:
    """The places and kinds of scripts of a plan."""
    yield from dict.fromkeys((entry.place, entry.store) for entry in plan.entries)
