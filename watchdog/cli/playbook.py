"""`watchdog playbook`."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from watchdog.app.compose import find_guard
from watchdog.app.registries import registries
from watchdog.app.rehearse import certify
from watchdog.cli.lazy import new_app
from watchdog.cli.options import DEFAULT_CONFIG, Config, Guard, Json
from watchdog.cli.output import emit, say, word
from watchdog.cli.playbook_run import run
from watchdog.cli.render import length
from watchdog.cli.writes import read_writes
from watchdog.config import load
from watchdog.model.playbooks import Playbook, Rung
from watchdog.model.time import say_span
from watchdog.web.moments import seconds
from watchdog.web.views import certificate_view

app = new_app("See, try and rehearse what would be done.")


app.command("run")(run)


@app.command()
def show(guard: Guard, config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Show a guard's ladder: its rungs, what each may do by itself, and their steps."""
    playbook = find_guard(load(config, registries()), guard).settings.playbook
    if as_json:
        emit(_playbook(playbook))
        return
    say(f"{playbook.name}, {say_span(playbook.budget)} of budget, sha256 {playbook.hash[:12]}…")
    for rung in playbook.rungs:
        say(f"rung {rung.kind}: {rung.autonomy}, about {say_span(rung.predicted)}")
        for step in rung.steps:
            on = f" on {step.target}" if step.target else ""
            kept = ", one transaction with its receipt" if step.transactional else ""
            say(f"  {step.name}: {step.kind}{on}, at most {say_span(step.timeout)}{kept}")


def _playbook(playbook: Playbook) -> dict[str, Any]:
    return {
        "playbook": playbook.name,
        "hash": playbook.hash,
        "budget_seconds": seconds(playbook.budget),
        "rungs": [_rung(rung) for rung in playbook.rungs],
    }


def _rung(rung: Rung) -> dict[str, Any]:
    return {
        "rung": rung.kind,
        "autonomy": rung.autonomy,
        "predicted_seconds": seconds(rung.predicted),
        "steps": [
            {
                "name": step.name,
                "kind": step.kind,
                "target": step.target,
                "timeout_seconds": seconds(step.timeout),
                "transactional": step.transactional,
            }
            for step in rung.steps
        ],
    }


@app.command()
def rehearse(
    *,
    guard: Guard,
    command: Annotated[list[str], typer.Argument(help="Behind `--`: applies the release to the scratch copy.")],
    writes: Annotated[Path | None, typer.Option("--writes", help="Recorded writes of the old version, JSON.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where the certificate goes.")] = None,
    release: Annotated[str, typer.Option("--release", help="The release, as the command names it to apply.")] = "",
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Roll the release back for real on a scratch copy, and write the certificate.

    The configuration's addresses must name the scratch copy. Exit status 1 if schema or data did not come back.
    """
    recorded = read_writes(writes) if writes is not None else []
    certificate = asyncio.run(certify(config, guard, command, recorded, release=release))
    view = certificate_view(certificate)
    if out is not None:
        out.write_text(json.dumps(view, indent=2) + "\n", encoding="utf-8")
    if as_json:
        emit(view)
    else:
        state = "restored" if certificate.restored else "NOT restored"
        say("schema and data ", word(state), f" in {length(view['measured_seconds'])}; old code {certificate.old_code}")
        for finding in certificate.findings:
            say(f"  {finding}")
    if not certificate.restored:
        raise typer.Exit(1)
