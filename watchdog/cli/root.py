"""The command `watchdog`: the table of its verbs, and how errors come out."""

import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import typer

from watchdog.cli.lazy import Entry, LazyGroup, new_app
from watchdog.cli.output import complain
from watchdog.ports.errors import WatchdogError

COMMANDS: Final[Mapping[str, Entry]] = {
    "run": Entry("watchdog.cli.run:run", "Watch until told to stop."),
    "check": Entry("watchdog.cli.check:check", "Say everything that is wrong with the configuration."),
    "status": Entry("watchdog.cli.status:status", "Show every guard: release, rules, incident, notices."),
    "test": Entry(
        "watchdog.cli.test:run",
        "Test a guard's service before its migration: staging dry run, load, rollback, deep data check.",
    ),
    "validate": Entry(
        "watchdog.cli.validate:validate",
        "Validate a guard's service after its migration, against a snapshot made before by --save.",
    ),
    "demo": Entry("watchdog.cli.demo:demo", "Show on real servers how a release goes wrong and is taken back."),
    "freeze": Entry("watchdog.cli.freeze:freeze", "Stop acting, for one guard or all; works without the daemon."),
    "unfreeze": Entry("watchdog.cli.freeze:unfreeze", "Allow acting again."),
    "release": Entry("watchdog.cli.release:app", "Say when a release starts, is out, and is done with."),
    "baseline": Entry("watchdog.cli.baseline:app", "See what was usual before T-0, which rules compare with."),
    "trigger": Entry("watchdog.cli.trigger:trigger", "Start the ladder by hand."),
    "incident": Entry("watchdog.cli.incident:app", "See incidents, and answer them."),
    "migration": Entry(
        "watchdog.cli.migration:app", "Assess a migration, apply it so that it can be taken back, and take it back."
    ),
    "playbook": Entry("watchdog.cli.playbook:app", "See, try and rehearse what would be done."),
    "rules": Entry(
        "watchdog.cli.rules:app", "Try rules before they are trusted: on made-up series, and on what has happened."
    ),
    "schema": Entry("watchdog.cli.schema:schema", "Print a JSON Schema, for editors."),
    "slack": Entry("watchdog.cli.slack:app", "Try out what is said in Slack."),
    "version": Entry("watchdog.cli.version:version", "Print the version."),
}


class RootGroup(LazyGroup):
    """Every verb; an error that names its way out is one line, not a traceback."""

    table: ClassVar[Mapping[str, Entry]] = COMMANDS

    def invoke(self, ctx: Any) -> Any:
        """Calls the verb."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (WatchdogError, OSError) as error:
            complain(str(error))
            raise typer.Exit(getattr(error, "exit_status", 1)) from error


app = new_app(cls=RootGroup)


@app.callback()
def watchdog() -> None:
    """Stands beside a service while its database migrations go out, and takes them back when they hurt."""


def main() -> None:
    """The entry point."""
    app(prog_name="watchdog", args=sys.argv[1:])
