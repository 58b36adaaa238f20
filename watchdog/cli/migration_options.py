"""Options that several verbs of `watchdog migration` have."""

from typing import Annotated

import typer

Database = Annotated[str, typer.Option("--database", envvar="WATCHDOG_DATABASE", help="The database's URL.")]
RunNumber = Annotated[int, typer.Argument(help="The run's number.")]
