"""`watchdog schema`."""

from typing import Annotated, Literal

import typer

from watchdog.app.backtest.unit_file import tests_schema
from watchdog.app.registries import registries
from watchdog.cli.options import Json
from watchdog.cli.output import emit
from watchdog.config import json_schema

Which = Annotated[Literal["config", "rules", "playbook", "rule-tests"], typer.Argument(help="Of which file.")]


def schema(
    which: Which = "config",
    as_json: Json = False,
) -> None:
    """Print a JSON Schema, for editors.

    The schema is JSON, with --json and without.
    """
    del as_json
    emit(tests_schema() if which == "rule-tests" else json_schema(which, registries()))
