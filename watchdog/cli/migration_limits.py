"""Options about what users write after a migration: who wins in a conflict, and what their log may cost."""

from typing import Annotated

import typer

Policy = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="TABLE=WORD",
        help="Who wins where script and users both wrote: later, earlier or quarantine. May be repeated.",
    ),
]
LogLimit = Annotated[
    str | None, typer.Option("--log-limit", help="What the change log may take before it is ended, as 2GiB.")
]
WalLimit = Annotated[
    str | None, typer.Option("--wal-limit", help="WAL that a replica or slot may have to come, as 5GiB; then it ends.")
]
LagLimit = Annotated[str | None, typer.Option("--lag-limit", help="How far a replica may be behind, as 30s; then too.")]
