"""`watchdog playbook run`."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from watchdog.app.preview import Preview, dry_run
from watchdog.cli.answers import show_answer
from watchdog.cli.client import AnswerError, Daemon, DaemonDownError
from watchdog.cli.options import DEFAULT_CONFIG, Config, Guard, Json, Socket
from watchdog.cli.output import complain, emit, say
from watchdog.model.rules import RungKind


def run(
    *,
    guard: Guard,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only say what each step would do to its target now.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; needed without --dry-run.")] = "",
    rung: Annotated[RungKind | None, typer.Option("--rung", help="Only this rung.")] = None,
    old_version: Annotated[str, typer.Option("--old-version", help="For the dry run: another last known good.")] = "",
    new_version: Annotated[str, typer.Option("--new-version", help="For the dry run: another code version.")] = "",
    flag: Annotated[list[str] | None, typer.Option("--flag", help="For the dry run: other flags.")] = None,
    config: Config = DEFAULT_CONFIG,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Run a guard's playbook by hand, through the daemon; with --dry-run look at what it would do.

    The dry run asks the daemon for the release under watch; without a daemon it says that the release is unknown, and
    the options may tell it. Exit status 1 if a step of the dry run could not run now.
    """
    if dry:
        known = _known(config, socket, guard)
        said = {"old_version": old_version, "new_version": new_version, "flags": ",".join(flag or [])}
        _look(config, guard, known, {name: value for name, value in said.items() if value}, rung, as_json=as_json)
        return
    if not reason.strip():
        complain("a run by hand needs --reason; to look first, use --dry-run")
        raise typer.Exit(2)
    with Daemon.of(config, socket) as daemon:
        show_answer(daemon.post(guard, "trigger", {"reason": reason, "rung": rung}), as_json=as_json)


@dataclass(frozen=True)
class Known:
    """What is known of the release.

    Attributes:
        release: Its name; None when there is none, or nobody who knows.
        sentence: For people.
        facts: As steps get them; see `StepContext.facts`.
    """

    release: str | None
    sentence: str
    facts: Mapping[str, str]


def _known(config: Path, socket: Path | None, guard: str) -> Known:
    """What the daemon says; a look at the targets does without."""
    try:
        with Daemon.of(config, socket) as daemon:
            release = daemon.get(guard)["release"]
    except (DaemonDownError, AnswerError) as error:
        return Known(None, f"the release is unknown: {error}", {})
    if release is None:
        return Known(None, "no release is under watch", {})
    facts = {
        "release": str(release["id"]),
        "old_version": str(release["old_version"]),
        "new_version": str(release["new_version"]),
        "flags": ",".join(release["flags"]),
        "t0": str(release["t0"]),
    }
    return Known(str(release["id"]), f"release {release['id']}, {release['state']}", facts)


def _look(
    config: Path, guard: str, known: Known, said: Mapping[str, str], rung: RungKind | None, *, as_json: bool
) -> None:
    async def look() -> list[Preview]:
        return [one async for one in dry_run(config, guard, {**known.facts, **said}, rung)]

    found = asyncio.run(look())
    if as_json:
        emit({"guard": guard, "release": known.release, "steps": [_view(one) for one in found]})
    else:
        say(known.sentence)
        for one in found:
            say(f"rung {one.rung}: {one.step.name}: {'' if one.possible else 'NOT POSSIBLE: '}{one.would}")
    if not all(one.possible for one in found):
        raise typer.Exit(1)


def _view(one: Preview) -> dict[str, Any]:
    return {
        "rung": one.rung,
        "step": one.step.name,
        "kind": one.step.kind,
        "possible": one.possible,
        "would": one.would,
    }
