"""`watchdog rules explain`."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from watchdog.app.backtest.recent import Recent, recent
from watchdog.cli.client import Daemon
from watchdog.cli.options import DEFAULT_CONFIG, Config, Guard, Json, Socket
from watchdog.cli.output import emit, say, word
from watchdog.cli.render import length
from watchdog.cli.why import chart_lines, number_lines
from watchdog.model.time import Time
from watchdog.ports.errors import WatchdogError
from watchdog.web.moments import from_datetime


def explain(
    guard: Guard,
    rule: Annotated[str | None, typer.Argument(metavar="[RULE]", help="Only this rule.")] = None,
    incident: Annotated[
        str | None, typer.Option("--incident", help="Why it opened, instead of what rules say now.")
    ] = None,
    config: Config = DEFAULT_CONFIG,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Say why a rule says what it says: one sentence, the numbers to compute it again by, and a small chart.

    The daemon is asked. The chart is drawn from the samples that it keeps, the last hour, if the configuration can be
    read here.
    """
    with Daemon.of(config, socket) as daemon:
        view = daemon.get(guard)
        said = daemon.get(guard, f"incidents/{incident}")["evidence"] if incident else view["rules"]
    name = "rule" if incident else "name"
    chosen = [one for one in said if rule in {None, one[name]}]
    if not chosen:
        known = ", ".join(dict.fromkeys(one[name] for one in said))
        raise typer.BadParameter(f"there is no {rule!r}; there are: {known}", param_hint="RULE")
    if as_json:
        emit({"guard": guard, "incident": incident, "rules": chosen})
        return
    release = view["release"]
    t0 = _moment(release["t0"]) if release else None
    charts, why_not = _charts(config, guard, t0)
    for one in chosen:
        _head(one, incident)
        for line in (*number_lines(_numbers(one["numbers"])), *_chart(one, name, t0, charts)):
            say(f"  {line}")
    if why_not:
        say(f"no chart: {why_not}", style="yellow")


def _head(one: Mapping[str, Any], incident: str | None) -> None:
    if incident:
        say(f"{one['rule']}: ", word("breach"), f" ({one['basis']}) at {one['at']}")
    else:
        basis = f" ({one['basis']})" if one["basis"] else ""
        say(f"{one['name']}: ", word(one["verdict"]), f"{basis}, enters the ladder at {one['enters']}")
    say(f"  {one['sentence']}")
    if not incident and one["pending_seconds"] is not None:
        say(
            f"  in breach for {length(one['pending_seconds'])}; literally it counts after {length(one['hold_seconds'])}"
        )
    if not incident and not one["armed"]:
        say("  not armed: it was in breach before the release, and opens nothing until it has been well once")


def _numbers(numbers: Mapping[str, Any]) -> dict[str, float]:
    """JSON says infinities as text."""
    return {name: float(value) for name, value in numbers.items()}


def _moment(text: str) -> Time:
    return from_datetime(datetime.fromisoformat(text))


def _charts(config: Path, guard: str, t0: Time | None) -> tuple[Recent | None, str]:
    """The figures, or why there are none: an explanation is worth having without a chart."""
    try:
        return asyncio.run(recent(config, guard, t0)), ""
    except WatchdogError as error:
        return None, str(error).splitlines()[0]


def _chart(one: Mapping[str, Any], name: str, t0: Time | None, found: Recent | None) -> Iterator[str]:
    figures = found.figures.get(one[name]) if found else None
    if found is None or figures is None:
        return
    at = one.get("at")
    marked = {} if t0 is None else {"0": t0}
    marked |= {"^": _moment(at)} if at else {}
    inside = {sign: moment for sign, moment in marked.items() if found.times[0] <= moment <= found.times[-1]}
    yield from chart_lines(found.times, figures, inside, found.thresholds.get(one[name]))
    legend = {"0": "0 is T-0", "^": "^ is the breach"}
    if inside:
        yield ", ".join(legend[sign] for sign in inside)
