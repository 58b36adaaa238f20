"""`watchdog schema`."""

from typing import Annotated, Literal

import typer

from watchdog.app.registries import registries
from watchdog.cli.options import Json
from watchdog.cli.output import emit
from watchdog.config import json_schema


def schema(
    which: Annotated[Literal["config", "rules", "playbook"], typer.Argument(help="Of which file.")] = "config",
    as_json: Json = False,
) -> None:
    """Print a JSON Schema, for editors.

    The schema is JSON, with --json and without.
    """
    del as_json
    emit(json_schema(which, registries()))
