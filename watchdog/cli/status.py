"""`watchdog status`."""

from typing import Annotated

import typer

from watchdog.cli.client import Daemon
from watchdog.cli.options import DEFAULT_CONFIG, Config, Json, Socket
from watchdog.cli.output import emit, say
from watchdog.cli.render import guard_lines


def status(
    guard: Annotated[str | None, typer.Option("--guard", help="Only this guard.")] = None,
    config: Config = DEFAULT_CONFIG,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Show every guard: release, rules, incident, notices."""
    with Daemon.of(config, socket) as daemon:
        if guard is not None:
            view = daemon.get(guard)
            if as_json:
                emit(view)
            else:
                guard_lines(view)
            return
        everything = daemon.status()
    if as_json:
        emit(everything)
        return
    if not everything["ready"]:
        say(f"not ready: {everything['reason']}", style="yellow")
    for view in everything["guards"]:
        guard_lines(view)
