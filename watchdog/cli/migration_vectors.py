"""`watchdog migration` on vectors: a file `….vectors.yaml` for a PostgreSQL database with pgvector."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from watchdog.cli.output import emit, say
from watchdog.migrations.vectors.apply import apply
from watchdog.migrations.vectors.rollback import rollback, settle
from watchdog.migrations.vectors.runs import VectorRun, has_run, runs
from watchdog.ports.errors import WatchdogError

_ENDING = ".vectors.yaml"


class VectorsError(WatchdogError):
    """An option that a migration of vectors has no use for."""

    exit_status = 2


def is_vectors(file: Path) -> bool:
    """Whether a file describes a migration of vectors, by its name."""
    return file.name.endswith(_ENDING)


def is_run_of_vectors(url: str, run: int) -> bool:
    """Whether a run of a PostgreSQL database is one of vectors; its number is of no other run."""
    return asyncio.run(has_run(url, run))


def apply_to_vectors(url: str, file: Path, *, name: str, release: str, as_json: bool) -> None:
    """Applies a migration of vectors and says so."""
    done = asyncio.run(apply(url, file, release=release, name=name))
    if as_json:
        emit(asdict(done))
        return
    say(f"run {done.run} is applied; watchdog migration rollback --database … {done.run} takes it back")
    if done.recall_after is not None:
        say(f"  recall was {done.recall_before:.4f} and is {done.recall_after:.4f}")
    if done.filled:
        say(f"  {done.filled:,} rows got a vector")
    if done.kept:
        say(f"  kept until it is settled: {', '.join(done.kept)}")


def take_back_from_vectors(url: str, run: int, *, as_json: bool) -> None:
    """Takes a run back and says what became of it."""
    report = asyncio.run(rollback(url, run))
    if as_json:
        emit(asdict(report))
        return
    say(f"run {run} is rolled back")
    if report.later:
        say(f"  {report.later:,} rows were written since; their keys and new vectors are in {report.table}")
        say(f"  {report.missing:,} had no old vector, {report.refilled:,} were filled again, {report.left:,} have none")
    if report.not_refilled:
        say(f"  not refilled: {report.not_refilled}")
    if not report.is_not_null:
        say("  the column is not NOT NULL any more: fill those rows, then SET NOT NULL")


def runs_of_vectors(url: str) -> tuple[VectorRun, ...]:
    """Every run of vectors of the database; they stand beside its other runs."""
    return asyncio.run(runs(url))


def say_runs_of_vectors(found: Sequence[VectorRun]) -> None:
    """A line for each run."""
    for one in found:
        said = " ".join(part for part in (one.name, one.release and f"({one.release})") if part)
        measured = "" if one.recall_after is None else f", recall {one.recall_before:.4f} to {one.recall_after:.4f}"
        say(f"run {one.run}: {one.state}, began {one.began_at}{measured}{f', {said}' if said else ''}")


def settle_on_vectors(url: str, run: int, *, as_json: bool) -> None:
    """Drops what is kept of the old."""
    done = asyncio.run(settle(url, run))
    if as_json:
        emit(asdict(done))
        return
    say(f"run {run} is {done.state}; dropped: {', '.join(done.dropped) or 'nothing'}")


def refuse_options(**given: object) -> None:
    """Refuses options that mean nothing for vectors, by their names."""
    if wrong := [f"--{name.replace('_', '-')}" for name, value in given.items() if value]:
        raise VectorsError(f"{', '.join(wrong)}: only for SQL scripts; leave it out for a file {_ENDING}.")
