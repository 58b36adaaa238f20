"""Options that several verbs have."""

from pathlib import Path
from typing import Annotated, Final

import typer

DEFAULT_CONFIG: Final = Path("config.yaml")

Config = Annotated[Path, typer.Option("--config", envvar="WATCHDOG_CONFIG", help="The configuration.")]
Socket = Annotated[
    Path | None,
    typer.Option(
        "--socket", envvar="WATCHDOG_SOCKET", help="The daemon's socket, if the configuration is not at hand."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Guard = Annotated[str, typer.Option("--guard", help="The guard's name.")]
