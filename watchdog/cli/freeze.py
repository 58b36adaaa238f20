"""`watchdog freeze` and `watchdog unfreeze`: they write the brake's file, so no daemon is needed."""

from pathlib import Path
from typing import Annotated

import typer

from watchdog.app.freeze import switch
from watchdog.cli.client import who
from watchdog.cli.options import DEFAULT_CONFIG, Config, Json
from watchdog.cli.output import emit, say
from watchdog.cli.places import places
from watchdog.ports.errors import WatchdogError

OneOrAll = Annotated[str | None, typer.Option("--guard", help="Only this guard; without it, all.")]
State = Annotated[
    Path | None, typer.Option("--state", help="The daemon's state directory, if the configuration is not at hand.")
]


def freeze(
    reason: Annotated[str, typer.Option("--reason", help="Why; everybody who is told will read it.")],
    guard: OneOrAll = None,
    config: Config = DEFAULT_CONFIG,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Stop acting, for one guard or all; works without the daemon.

    Watching and telling go on; a step that is under way ends. Nothing new begins until `watchdog unfreeze`.
    """
    if not reason.strip():
        raise typer.BadParameter("must not be empty", param_hint="--reason")
    switch(_state(config, state, guard)).freeze(guard, who(), reason)
    if as_json:
        emit({"frozen": guard or "all", "who": who(), "reason": reason})
    else:
        say(f"{_name(guard)} frozen: nothing acts until `watchdog unfreeze`")


def unfreeze(
    guard: OneOrAll = None, config: Config = DEFAULT_CONFIG, state: State = None, as_json: Json = False
) -> None:
    """Allow acting again.

    A guard that was frozen by its name stays frozen when all are thawed, and the other way round. Exit status 1 if
    the named guard is frozen still.
    """
    brake = switch(_state(config, state, guard))
    was = brake.unfreeze(guard, who())
    still = brake.frozen(guard) if guard is not None else None
    if as_json:
        emit({"unfrozen": guard or "all", "was_frozen": was, "still_frozen_by": still[0] if still else None})
    else:
        say(f"{_name(guard)} allowed to act again" if was else f"{_name(guard)} not frozen by that name")
    if still is not None:
        raise WatchdogError(
            f"guard {guard} is frozen still, with all others, by {still[0]} ({still[1]}): "
            "`watchdog unfreeze` without --guard thaws them"
        )


def _name(guard: str | None) -> str:
    return f"guard {guard} is" if guard else "all guards are"


def _state(config: Path, state: Path | None, guard: str | None) -> Path:
    """The state directory; a guard that is not configured is refused, since braking it would brake nothing."""
    if state is not None:
        return state
    found = places(config)
    if guard is not None and found.guards and guard not in found.guards:
        raise WatchdogError(f"no guard {guard!r} in {config}; there are: {', '.join(found.guards)}")
    return found.state
