"""`watchdog rules`."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from watchdog.app.backtest.defaults import choose_t0
from watchdog.app.backtest.history import Recorded
from watchdog.app.backtest.moments import EXAMPLE, parse_moment, parse_moment_or_span
from watchdog.app.backtest.replay import FOREVER, Scenario
from watchdog.app.backtest.result import backtest as hold_against
from watchdog.app.backtest.rule_set import load_rules, open_sources
from watchdog.app.backtest.server import Range, read_server
from watchdog.app.backtest.sweep import sweep, trials
from watchdog.app.backtest.table import Counts, Table, read_table
from watchdog.app.backtest.unit_file import read_tests
from watchdog.app.backtest.unit_run import run_file
from watchdog.app.backtest.views import backtest_view, tests_view
from watchdog.cli.lazy import new_app
from watchdog.cli.options import Json
from watchdog.cli.output import emit
from watchdog.cli.parts import length
from watchdog.cli.rules_explain import explain
from watchdog.cli.rules_render import backtest_lines, test_lines
from watchdog.config import ConfiguredText

app = new_app("Try rules before they are trusted: on made-up series, and on what has happened.")
app.command("explain")(explain)


@app.command("test")
def run_tests(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of rule tests.")],
    as_json: Json = False,
) -> None:
    """Run unit tests of rules: series in short notation, and the verdicts that are expected.

    Exit status 1 if an expectation is not met, 2 if a file cannot be used.
    """
    outcomes = [outcome for file in [read_tests(path) for path in files] for outcome in run_file(file)]
    if as_json:
        emit(tests_view(outcomes))
    else:
        test_lines(outcomes)
    if any(outcome.failures for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def backtest(
    *,
    rules: Annotated[list[Path], typer.Option("--rules", help="A rules file; several are put together.")],
    csv: Annotated[
        Path | None, typer.Option("--csv", help="The history: the header names the series, first the time.")
    ] = None,
    prometheus: Annotated[str, typer.Option("--prometheus", help="Or a Prometheus server's address.")] = "",
    since: Annotated[str, typer.Option("--from", help="Of the server: the first moment.")] = "",
    until: Annotated[str, typer.Option("--to", help="Of the server: the last moment, or a length like 2h.")] = "",
    step: Annotated[str, typer.Option("--step", help="Of the server: the distance of two moments.")] = "15s",
    header: Annotated[
        list[str] | None, typer.Option("--header", help="For the server: 'Authorization: Bearer ${env:TOKEN}'.")
    ] = None,
    t0: Annotated[str, typer.Option("--t0", help="When the release began: ISO 8601, seconds since 1970, or 10m.")] = "",
    counts: Annotated[
        Counts, typer.Option("--counts", help="What counters hold: running totals, or counts since the row before.")
    ] = Counts.AUTO,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", help="A column to pass over.")] = None,
    baseline: Annotated[str, typer.Option("--baseline", help="How much before T-0 the baseline is made of.")] = "10m",
    applying: Annotated[str, typer.Option("--applying", help="How long after T-0 changes were applied.")] = "",
    bake: Annotated[str, typer.Option("--bake", help="How long it is watched then; without it, to the end.")] = "",
    new_version: Annotated[str, typer.Option("--new-version", help="The release's code, as labels name it.")] = "new",
    sweeps: Annotated[
        list[str] | None, typer.Option("--sweep", help="Other values: error_rate.above=2%,5%,10%. Several multiply.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold rules against history: when each would have fired and why, where the climb begins, who is told when.

    The daemon's own code judges and decides, moment by moment. A release is assumed for which every rung applies, with
    a valid certificate; nobody answers, and what the history shows is not changed by it. Exit status 2 if a file cannot
    be used.
    """
    if (csv is None) is not bool(prometheus):
        raise typer.BadParameter("give one of --csv and --prometheus", param_hint="--csv")
    sources = open_sources(rules)
    found = load_rules(sources)
    combinations = trials(sources, sweeps or ())
    history: Table | Recorded
    if csv is not None:
        history = read_table(csv, found.kinds, counts=counts, ignore=frozenset(ignore or ()))
    else:
        history = asyncio.run(read_server(found, _range(prometheus, since, until, step, header or ())))
    before = length(baseline, "--baseline")
    start, note = choose_t0(history, t0, before)
    scenario = Scenario(
        t0=start,
        new_version=new_version,
        baseline=before,
        applying=length(applying, "--applying") if applying else 0,
        bake=length(bake, "--bake") if bake else FOREVER,
    )
    result = hold_against(found, replace(history, notes=(*history.notes, *note)), scenario)
    tried = list(sweep(combinations, history, scenario)) if sweeps else []
    if as_json:
        emit(backtest_view(result, tried))
    else:
        backtest_lines(result, tried)


def _range(url: str, since: str, until: str, step: str, headers: Sequence[str]) -> Range:
    try:
        start = parse_moment(since)
        end = parse_moment_or_span(until, start)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; write {EXAMPLE}", param_hint="--from, --to") from error
    return Range(url=url, start=start, end=end, step=length(step, "--step"), headers=dict(map(_header, headers)))


def _header(text: str) -> tuple[str, ConfiguredText]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not value.strip():
        raise typer.BadParameter("must be `Name: value`", param_hint="--header")
    return name.strip(), ConfiguredText(value.strip())
