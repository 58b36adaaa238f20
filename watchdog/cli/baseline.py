"""`watchdog baseline`."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from watchdog.cli.client import Daemon
from watchdog.cli.lazy import new_app
from watchdog.cli.options import DEFAULT_CONFIG, Config, Json, Socket
from watchdog.cli.output import complain, emit, say
from watchdog.cli.render import length

app = new_app("See what was usual before T-0, which rules compare with.")

COLUMNS: Final = (
    *("what", "name", "labels", "kind", "samples", "rate", "mean", "low", "high", "p50_seconds", "p95_seconds"),
    *("share", "burstiness"),
)
"""Of the CSV: a line for each series, and one for what is usual for each rule."""


@app.callback()
def baseline() -> None:
    """See what was usual before T-0, which rules compare with."""


@app.command()
def show(
    guard: Annotated[str, typer.Argument(metavar="GUARD", help="The guard's name.")],
    to: Annotated[Path | None, typer.Option("--csv", help="Write the figures to this file as well.")] = None,
    config: Config = DEFAULT_CONFIG,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Show what was frozen at T-0 of the current release: every series, and what is usual for each rule.

    Exit status 1 when there is none: no release, or refused, and then it says why.
    """
    with Daemon.of(config, socket) as daemon:
        view = daemon.get(guard, "baseline")
    found = view["baseline"]
    if as_json:
        emit(view)
    elif found is not None:
        _lines(view, found)
    if found is None:
        complain(_why_not(view))
        raise typer.Exit(1)
    if to is not None:
        _write(to, found)


def _why_not(view: Mapping[str, Any]) -> str:
    if view["release"] is None:
        return f"guard {view['guard']} has no release, so no baseline: start one with `watchdog release start`"
    return f"release {view['release']} has no baseline, it was refused: {view['refused']}"


def _lines(view: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    say(f"{view['guard']}, release {view['release']}: baseline of {length(found['seconds'])}")
    say(f"  from {found['since']} to {found['until']}, T-0 at {view['t0']}")
    named = [(_name(one), _figures(one)) for one in found["series"]]
    width = max((len(name) for name, _ in named), default=0)
    for name, figures in named:
        say(f"  {name.ljust(width)}  {figures}")
    for rule, usual in found["usual"].items():
        slow = found["slowest_seconds"].get(rule)
        slowest = f", slowest quantile {_short(slow)} s" if slow is not None else ""
        say(
            f"  usual for {rule}: {usual['share']:.2%} in {usual['readings']} readings, "
            f"burstiness {usual['burstiness']:.3f}{slowest}"
        )
    for day in found["days"]:
        shares = ", ".join(f"{rule} {share:.2%}" for rule, share in day["shares"].items())
        say(f"  {day['since']}: {'left out: ' + day['left_out'] if day['left_out'] else shares}")


def _name(series: Mapping[str, Any]) -> str:
    pairs = ",".join(f'{key}="{value}"' for key, value in series["labels"].items())
    return f"{series['signal']}{{{pairs}}}" if pairs else str(series["signal"])


def _figures(series: Mapping[str, Any]) -> str:
    said = f"{_short(series['rate'])} a second" if series["rate"] is not None else f"mean {_short(series['mean'])}"
    if series["low"] is not None:
        said += f", {_short(series['low'])} to {_short(series['high'])}"
    if series["p50_seconds"] is not None:
        said += f", p50 {_short(series['p50_seconds'])} s, p95 {_short(series['p95_seconds'])} s"
    return f"{said} ({series['samples']} samples)"


def _short(value: float | str) -> str:
    """JSON says infinities as text."""
    return f"{float(value):.4g}"


def _write(to: Path, found: Mapping[str, Any]) -> None:
    with to.open("w", newline="") as file:
        lines = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        lines.writeheader()
        lines.writerows(_rows(found))


def _rows(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for one in found["series"]:
        labels = json.dumps(one["labels"]) if one["labels"] else ""
        figures = {key: one[key] for key in COLUMNS if key in one}
        yield {"what": "series", "name": one["signal"], **figures, "labels": labels}
    for rule, usual in found["usual"].items():
        figures = {"samples": usual["readings"], "share": usual["share"], "burstiness": usual["burstiness"]}
        yield {"what": "rule", "name": rule, **figures}
