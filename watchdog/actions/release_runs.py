"""What the actions that take back a release's migrations have in common: which runs, and why not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from watchdog.actions.facts import complaints, fill
from watchdog.migrations.release_run import ReleaseRun
from watchdog.ports.actions import StepContext
from watchdog.ports.errors import StepError

_SETTLED = frozenset({"settled", "settling"})


@dataclass(frozen=True, kw_only=True)
class ReleaseOptions:
    """Which migrations.

    Attributes:
        do: What to do with them.
        release: The release that they were applied for.
        names: Only the migrations of these names; all of the release without it.
    """

    do: Literal["rollback"] = "rollback"
    release: str = "{release}"
    names: tuple[str, ...] = ()


R = TypeVar("R", bound=ReleaseRun)


def release_of(options: ReleaseOptions, context: StepContext) -> str:
    """The release that is being taken back."""
    return fill(options.release, context)


def left(every: Iterable[R], options: ReleaseOptions, context: StepContext, target: str) -> list[R]:
    """The runs of the release that are to be taken back, the last one first.

    Raises:
        StepError: There is none in a release that is not being applied any more, one is settled, or one is not the
            script that was rehearsed.
    """
    release = release_of(options, context)
    wanted = (run for run in every if run.release == release and (not options.names or run.name in options.names))
    found = sorted(wanted, key=lambda run: run.run, reverse=True)
    if not found and context.facts.get("release_state") != "applying":
        named = f" named {', '.join(options.names)}" if options.names else ""
        raise StepError(
            f"No migration{named} of release {release} was applied to {target} by `watchdog migration apply`;"
            " nothing was done."
        )
    if settled := [run for run in found if run.state in _SETTLED]:
        raise StepError(f"{names(settled)}: settled, the archives are gone; nothing was done.")
    standing = [run for run in found if run.state != "rolled back"]
    rehearsed = context.facts.get("rehearsed_scripts")
    if other := [run for run in standing if rehearsed is not None and run.script_hash not in rehearsed.split(",")]:
        raise StepError(
            f"{names(other)} of release {release}: not the script that was rehearsed; nothing was done. Rehearse what"
            " was applied, or take it back by `watchdog migration rollback`."
        )
    return standing


def name(run: ReleaseRun) -> str:
    """What people call a run."""
    return run.name or f"run {run.run}"


def names(runs: Sequence[ReleaseRun]) -> str:
    """Several of them."""
    return ", ".join(map(name, runs)) or "nothing, as all is rolled back"


def complaints_of(options: ReleaseOptions) -> Iterator[str]:
    """What is wrong with the options."""
    for complaint in complaints(options.release):
        yield f"release: {complaint}"
    if not options.release:
        yield "release: is empty; write {release} for the one that is being taken back."
