"""`watchdog migration`."""

import asyncio
from dataclasses import asdict

from watchdog.cli.assess import assess
from watchdog.cli.lazy import new_app
from watchdog.cli.migration_apply import apply
from watchdog.cli.migration_copy import copy
from watchdog.cli.migration_erase import erase
from watchdog.cli.migration_graph import is_graph, take_back_from_graph
from watchdog.cli.migration_limits import Policy
from watchdog.cli.migration_options import Database, RunNumber
from watchdog.cli.migration_plan import app as plan_app
from watchdog.cli.migration_quarantine import quarantine
from watchdog.cli.migration_rehearse import rehearse
from watchdog.cli.migration_settle import settle
from watchdog.cli.migration_split import split
from watchdog.cli.migration_status import status
from watchdog.cli.migration_stores import take_back_elsewhere
from watchdog.cli.migration_tool import finish_what_stopped
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.migrations.policies import parse_policies
from watchdog.migrations.rollback import rollback as take_back

app = new_app("Assess a migration, apply it so that it can be taken back, and take it back.")
for verb in (assess, split, rehearse, apply, status, settle, erase, quarantine, copy):
    app.command()(verb)
app.add_typer(plan_app, name="plan")


@app.command()
def rollback(run: RunNumber, database: Database, policy: Policy = None, as_json: Json = False) -> None:
    """Take a run back: schema and rows as before, later rows kept. Status 1 changes nothing."""
    if is_graph(database):
        take_back_from_graph(database, run, as_json=as_json)
        return
    if take_back_elsewhere(database, run, as_json=as_json):
        return
    finish_what_stopped(database, run)
    report = asyncio.run(take_back(database, run, parse_policies(policy or ())))
    if as_json:
        emit(asdict(report))
        return
    say(f"run {report.run} is rolled back")
    say(
        f"  {report.earlier:,} earlier rows as before,"
        f" {report.changed:,} changed since, {report.deleted:,} deleted since"
    )
    say(f"  {report.later:,} later rows live, {report.quarantined:,} in watchdog.migration_quarantine")
    for table in report.kept_columns:
        say(f"  values of columns that are gone: {table}")
    if report.conflicts:
        where = ", ".join(report.kept_losers) or "watchdog.migration_quarantine"
        say(f"  conflicts with what the script had written: {report.conflicts:,}; who lost is kept in {where}")
    for table in report.by_archive:
        say(f"  the change log of {table} was ended early: all its rows were compared with the archive")
