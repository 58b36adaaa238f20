"""`watchdog playbook run`."""

import asyncio
from typing import Annotated, Any

import typer

from watchdog.app.preview import dry_run
from watchdog.cli.answers import show_answer
from watchdog.cli.client import Daemon
from watchdog.cli.options import DEFAULT_CONFIG, Config, Guard, Json, Socket
from watchdog.cli.output import complain, emit, say
from watchdog.model.rules import RungKind


def run(
    *,
    guard: Guard,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only say what each step would do to its target now.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; needed without --dry-run.")] = "",
    rung: Annotated[RungKind | None, typer.Option("--rung", help="Only this rung.")] = None,
    old_version: Annotated[str, typer.Option("--old-version", help="For the dry run: the last known good.")] = "",
    new_version: Annotated[str, typer.Option("--new-version", help="For the dry run: the release's code.")] = "",
    flag: Annotated[list[str] | None, typer.Option("--flag", help="For the dry run: a flag of the release.")] = None,
    config: Config = DEFAULT_CONFIG,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Run a guard's playbook by hand, through the daemon; with --dry-run look at what it would do, without one.

    Exit status 1 if a step of the dry run could not run now.
    """
    if not dry:
        if not reason.strip():
            complain("a run by hand needs --reason; to look first, use --dry-run")
            raise typer.Exit(2)
        with Daemon.of(config, socket) as daemon:
            show_answer(daemon.post(guard, "trigger", {"reason": reason, "rung": rung}), as_json=as_json)
        return
    facts = {"old_version": old_version, "new_version": new_version, "flags": ",".join(flag or [])}

    async def look() -> list[dict[str, Any]]:
        return [
            {
                "rung": one.rung,
                "step": one.step.name,
                "kind": one.step.kind,
                "possible": one.possible,
                "would": one.would,
            }
            async for one in dry_run(config, guard, facts, rung)
        ]

    found = asyncio.run(look())
    if as_json:
        emit({"guard": guard, "steps": found})
    else:
        for one in found:
            say(f"rung {one['rung']}: {one['step']}: {'' if one['possible'] else 'NOT POSSIBLE: '}{one['would']}")
    if not all(one["possible"] for one in found):
        raise typer.Exit(1)
