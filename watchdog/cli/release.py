"""`watchdog release`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from watchdog.cli.answers import show_answer
from watchdog.cli.client import Daemon
from watchdog.cli.lazy import new_app
from watchdog.cli.options import DEFAULT_CONFIG, Config, Guard, Json, Socket
from watchdog.cli.output import say
from watchdog.model.releases import Protection
from watchdog.ports.errors import WatchdogError

app = new_app("Say when a release starts, is out, and is done with.")


class ReleaseFileError(WatchdogError):
    """A file of a release cannot be used."""

    exit_status = 2


@app.command()
def start(
    *,
    guard: Guard,
    release: Annotated[str | None, typer.Option("--id", help="The release's name.")] = None,
    migration: Annotated[list[str] | None, typer.Option("--migration", help="A migration; repeat in order.")] = None,
    flag: Annotated[list[str] | None, typer.Option("--flag", help="A feature flag of the release; repeat.")] = None,
    old_version: Annotated[str | None, typer.Option("--old-version", help="The last known good version.")] = None,
    new_version: Annotated[str | None, typer.Option("--new-version", help="The version that goes out.")] = None,
    protection: Annotated[Protection | None, typer.Option("--protection", help="Whose way back it is.")] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="From `watchdog playbook rehearse`.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="All of this as YAML or JSON; options go first.")] = None,
    config: Config = DEFAULT_CONFIG,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Say that a release starts: T-0 is now, before its first change.

    Freezes the baseline; from here on every rule is watched, and reversal is armed.
    """
    given = {
        "id": release,
        "migrations": migration or None,
        "flags": flag or None,
        "old_version": old_version,
        "new_version": new_version,
        "protection": protection,
        "certificate": _mapping(certificate) if certificate else None,
    }
    body = _mapping(file) if file else {}
    body |= {key: value for key, value in given.items() if value is not None}
    if "id" not in body:
        raise typer.BadParameter("name the release with --id, or in --file", param_hint="--id")
    with Daemon.of(config, socket) as daemon:
        show_answer(daemon.post(guard, "release", body), as_json=as_json)


@app.command()
def arm(guard: Guard, config: Config = DEFAULT_CONFIG, socket: Socket = None, as_json: Json = False) -> None:
    """Say that every change is out: the bake begins."""
    with Daemon.of(config, socket) as daemon:
        show_answer(daemon.post(guard, "arm"), as_json=as_json)


@app.command()
def settle(guard: Guard, config: Config = DEFAULT_CONFIG, socket: Socket = None, as_json: Json = False) -> None:
    """Say that the way back is not needed any more: archives may go."""
    with Daemon.of(config, socket) as daemon:
        show_answer(daemon.post(guard, "settle"), as_json=as_json)
    if not as_json:
        say("its archives are still there: watchdog migration settle --release ID drops them, also what was put off")


@app.command()
def disarm(
    guard: Guard,
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    config: Config = DEFAULT_CONFIG,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Watch this release no longer."""
    with Daemon.of(config, socket) as daemon:
        show_answer(daemon.post(guard, "disarm", {"reason": reason}), as_json=as_json)


def _mapping(path: Path) -> dict[str, Any]:
    """What a YAML or JSON file says; YAML's own dates become the text that they were."""
    try:
        said = yaml.load(path.read_text(encoding="utf-8"), Loader=_Plain)  # noqa: S506  # it is the safe loader, without dates
        json.dumps(said)
    except OSError as error:
        raise ReleaseFileError(f"{path} cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise ReleaseFileError(f"{path} is neither YAML nor JSON: {str(error).splitlines()[0]}") from error
    if not isinstance(said, dict):
        raise ReleaseFileError(f"{path} must be a mapping: `id: …` first")
    return said


class _Plain(yaml.SafeLoader):
    """YAML without dates."""


_Plain.yaml_implicit_resolvers = {
    mark: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for mark, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
