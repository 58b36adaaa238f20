"""`watchdog check`."""

from typing import Any

import typer

from watchdog.app.registries import registries
from watchdog.cli.options import DEFAULT_CONFIG, Config, Json
from watchdog.cli.output import emit, say
from watchdog.config import Problem, Report, inspect


def check(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Say everything that is wrong with the configuration.

    Reads config.yaml, the rules and the playbooks that it names, and every script, and reports all mistakes at once,
    each with its file, line and key, and what to write instead. Nothing is connected to. Exit status 1 if the daemon
    would not start; warnings alone are 0.
    """
    report = inspect(config, registries())
    if as_json:
        emit(
            {
                "ok": not report.problems,
                "problems": [_json(problem) for problem in report.problems],
                "warnings": [_json(warning) for warning in report.warnings],
            }
        )
    else:
        _print(str(config), report)
    if report.problems:
        raise typer.Exit(1)


def _print(config: str, report: Report) -> None:
    for problem in report.problems:
        say(str(problem), style="red")
    for warning in report.warnings:
        say(f"warning: {warning}", style="yellow")
    if not report.problems:
        guards = ", ".join(guard.settings.name for guard in report.configuration.guards) if report.configuration else ""
        say(f"{config} is in order; guards: {guards}", style="green")


def _json(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "key": problem.key,
        "message": problem.message,
        "instead": problem.instead,
    }
