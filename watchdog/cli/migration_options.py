"""Options that several verbs of `watchdog migration` have."""

from typing import Annotated

import typer

Database = Annotated[
    str, typer.Option("--database", envvar="WATCHDOG_DATABASE", help="The URL of the database, or bolt://… of a graph.")
]
RunNumber = Annotated[int, typer.Argument(help="The run's number.")]
