"""`watchdog migration copy`."""

from pathlib import Path
from typing import Annotated

import typer

from watchdog.cli.migration_graph import GraphError, is_graph, with_graph
from watchdog.cli.migration_options import Database
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.migrations.budget import say_bytes
from watchdog.migrations.graph.copying.files import manifest_path
from watchdog.migrations.graph.copying.load import load_graph
from watchdog.migrations.graph.copying.save import save_graph


def copy(
    file: Annotated[Path, typer.Argument(help="The file; its manifest is beside it, as FILE.manifest.")],
    database: Database,
    restore: Annotated[
        bool,
        typer.Option("--restore", help="From the file into an empty graph, and compare; goes on where it stopped."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy a whole graph into a file that only you can read, or restore one. Status 1: not all is there as copied."""
    if not is_graph(database):
        raise GraphError(
            "copy is for graphs: --database bolt://user:password@host:7687/neo4j; pg_dump copies PostgreSQL."
        )
    if restore:
        _restore(file, database, as_json=as_json)
    else:
        _save(file, database, as_json=as_json)


def _save(file: Path, database: str, *, as_json: bool) -> None:
    done = with_graph(database, lambda target: save_graph(target, file))
    if as_json:
        emit({"file": str(file), "bytes": done.bytes, **done.manifest.as_json()})
        return
    tally = done.manifest.tally
    say(f"{file}: {tally.nodes:,} nodes and {tally.relationships:,} relationships, {say_bytes(done.bytes)}")
    say(f"  {manifest_path(file)}: their counts and hashes, {len(done.manifest.schema)} indexes and constraints")


def _restore(file: Path, database: str, *, as_json: bool) -> None:
    manifest = with_graph(database, lambda target: load_graph(target, file))
    if as_json:
        emit({"file": str(file), **manifest.as_json()})
        return
    tally = manifest.tally
    say(f"{tally.nodes:,} nodes and {tally.relationships:,} relationships, counts and hashes as in {file}")
