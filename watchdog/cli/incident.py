"""`watchdog incident`."""

from typing import Annotated, Any

import typer

from watchdog.cli.answers import show_answer
from watchdog.cli.client import Daemon
from watchdog.cli.lazy import new_app
from watchdog.cli.options import DEFAULT_CONFIG, Config, Json, Socket
from watchdog.cli.output import emit, say, word
from watchdog.cli.render import event_lines, incident_lines

app = new_app("See incidents, and answer them.")

Incident = Annotated[str, typer.Argument(metavar="ID", help="As `watchdog incident list` shows it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]


@app.command("list")
def list_incidents(config: Config = DEFAULT_CONFIG, socket: Socket = None, as_json: Json = False) -> None:
    """List incidents, newest first; the last 50 of each guard."""
    with Daemon.of(config, socket) as daemon:
        guards = daemon.status()["guards"]
    found = [incident for guard in guards for incident in _incidents(guard)]
    found.sort(key=lambda incident: str(incident["opened_at"]), reverse=True)
    if as_json:
        emit({"incidents": found})
        return
    for incident in found:
        state = "incident" if incident["open"] else "resolved"
        say(f"{incident['id']}  {incident['opened_at']}  ", word(state, 10), incident["status"])
    if not found:
        say("no incident")


def _incidents(guard: dict[str, Any]) -> list[dict[str, Any]]:
    latest = guard["incident"]
    found = [
        {**closed, "guard": guard["guard"], "open": False, "status": closed["outcome"]}
        for closed in guard["closed"]
        if latest is None or closed["id"] != latest["id"]
    ]
    if latest is not None:
        keys = ("id", "opened_at", "resolved_at", "outcome", "open", "status")
        found.append({"guard": guard["guard"], **{key: latest[key] for key in keys}})
    return found


@app.command()
def show(incident: Incident, config: Config = DEFAULT_CONFIG, socket: Socket = None, as_json: Json = False) -> None:
    """Show an incident with everything that happened."""
    with Daemon.of(config, socket) as daemon:
        view = daemon.get(_guard(incident), f"incidents/{incident}")
    if as_json:
        emit(view)
        return
    incident_lines(view)
    event_lines(view["events"])


@app.command()
def ack(incident: Incident, config: Config = DEFAULT_CONFIG, socket: Socket = None, as_json: Json = False) -> None:
    """Say that you have it."""
    with Daemon.of(config, socket) as daemon:
        _say(daemon, incident, "ack", as_json=as_json)


@app.command()
def approve(incident: Incident, config: Config = DEFAULT_CONFIG, socket: Socket = None, as_json: Json = False) -> None:
    """Say yes to the rung that is proposed."""
    with Daemon.of(config, socket) as daemon:
        _say(daemon, incident, "approve", as_json=as_json)


@app.command()
def deny(incident: Incident, config: Config = DEFAULT_CONFIG, socket: Socket = None, as_json: Json = False) -> None:
    """Say no to the rung that is proposed: it is passed over."""
    with Daemon.of(config, socket) as daemon:
        _say(daemon, incident, "deny", as_json=as_json)


@app.command()
def hold(
    incident: Incident,
    reason: Reason,
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.001, help="Without it, until released.")] = None,
    config: Config = DEFAULT_CONFIG,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Begin nothing new in this incident; a step under way ends."""
    with Daemon.of(config, socket) as daemon:
        _say(daemon, incident, "hold", as_json=as_json, reason=reason, seconds=seconds)


@app.command()
def release(incident: Incident, config: Config = DEFAULT_CONFIG, socket: Socket = None, as_json: Json = False) -> None:
    """Release the hold: it goes on."""
    with Daemon.of(config, socket) as daemon:
        _say(daemon, incident, "unhold", as_json=as_json)


@app.command()
def abort(
    incident: Incident, reason: Reason, config: Config = DEFAULT_CONFIG, socket: Socket = None, as_json: Json = False
) -> None:
    """End the climb where it stands; what was done stays done."""
    with Daemon.of(config, socket) as daemon:
        _say(daemon, incident, "abort", as_json=as_json, reason=reason)


@app.command()
def resolve(
    incident: Incident,
    reason: Reason = "",
    config: Config = DEFAULT_CONFIG,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Say that the incident is over."""
    with Daemon.of(config, socket) as daemon:
        _say(daemon, incident, "resolve", as_json=as_json, reason=reason)


def _say(daemon: Daemon, incident: str, verb: str, *, as_json: bool, **body: Any) -> None:
    show_answer(daemon.post(_guard(incident), verb, {"incident": incident, **body}), as_json=as_json)


def _guard(incident: str) -> str:
    """The guard whose incident it is: the name before the last hyphen."""
    guard, _, number = incident.rpartition("-")
    if not guard or not number.isdecimal():
        raise typer.BadParameter("is no incident: it is a guard's name, a hyphen and a number", param_hint="ID")
    return guard
