"""`watchdog migration assess`."""

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from watchdog import __version__
from watchdog.cli.migration_graph import is_graph, refuse_options, with_graph
from watchdog.cli.options import Json
from watchdog.cli.output import emit, say
from watchdog.migrations.assess.database import facts_about
from watchdog.migrations.assess.grade import NOTHING_KNOWN, sentence
from watchdog.migrations.assess.grade import assess as assess_script
from watchdog.migrations.assess.graph.grade import CypherError, assess_cypher
from watchdog.migrations.assess.report import as_json as report
from watchdog.migrations.assess.sarif import as_sarif
from watchdog.migrations.assess.speeds import SpeedError, Speeds
from watchdog.migrations.assess.values import Assessment, Category, Finding, Severity, Undo, worst
from watchdog.migrations.parser import SqlSyntaxError
from watchdog.ports.errors import WatchdogError

_STYLES: Final = {
    Severity.INFO: "dim",
    Severity.LOW: "",
    Severity.MEDIUM: "yellow",
    Severity.HIGH: "red",
    Severity.CRITICAL: "bold red",
}
_WIDTH: Final = 8
_CYPHER: Final = frozenset({".cypher", ".cql", ".cyp"})


class AssessError(WatchdogError):
    """A script cannot be assessed: the file, its line, and what to do."""

    exit_status = 2


def assess(
    *,
    file: Annotated[Path, typer.Argument(help="The migration: SQL, or Cypher with the address of a graph.")],
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            envvar="WATCHDOG_DATABASE",
            help="Look at real sizes and neighbours here; only read. Cypher needs it: bolt://user:password@host:7687.",
        ),
    ] = None,
    fail_on: Annotated[
        Severity, typer.Option("--fail-on", help="Exit status 1 from this severity on.")
    ] = Severity.HIGH,
    speed: Annotated[
        list[str] | None, typer.Option("--speed", help="A server's own number, as scan_rows=50e6; repeat.")
    ] = None,
    autocommit: Annotated[
        bool, typer.Option("--autocommit", help="Each statement runs by itself, not the file in one transaction.")
    ] = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0, for code hosts.")] = False,
    as_json: Json = False,
) -> None:
    """Say how dangerous a migration is: locks and their length, rewrites, losses, and the safe form.

    Nothing is changed. Exit status 1 if a finding is high or critical (see --fail-on), 2 if it is no SQL or Cypher.
    """
    if sarif and as_json:
        raise typer.BadParameter("choose one of --json and --sarif", param_hint="--sarif")
    found = _assessed(file, database, speed or (), autocommit=autocommit)
    if sarif:
        emit(as_sarif(found, str(file), __version__))
    elif as_json:
        emit(report(found, str(file)))
    else:
        _print(found)
    if found.findings and found.grade.rank >= fail_on.rank:
        raise typer.Exit(1)


def _assessed(file: Path, database: str | None, speed: Sequence[str], *, autocommit: bool) -> Assessment:
    try:
        text = file.read_text(encoding="utf-8-sig")
        if database and is_graph(database):
            refuse_options(speed=speed, autocommit=autocommit)
            return with_graph(database, lambda target: assess_cypher(target, text))
        if file.suffix.lower() in _CYPHER:
            raise AssessError(
                f"{file} is Cypher, which is assessed by the server's EXPLAIN (nothing is run):"
                " give --database bolt://user:password@host:7687/neo4j."
            )
        facts = asyncio.run(facts_about(text, database)) if database else NOTHING_KNOWN
        return assess_script(text, facts, _speeds(speed), autocommit=autocommit)
    except OSError as error:
        raise AssessError(f"{file} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise AssessError(f"{file} is not UTF-8; save it as UTF-8") from error
    except (SqlSyntaxError, CypherError) as error:
        raise AssessError(f"{file}, {error}") from error
    except SpeedError as error:
        raise AssessError(str(error)) from error


def _speeds(given: Sequence[str]) -> Speeds:
    numbers: dict[str, float] = {}
    for each in given:
        name, _, value = each.partition("=")
        try:
            numbers[name] = float(value)
        except ValueError:
            raise SpeedError(f"{each!r} is no speed; write a name and a number, such as scan_rows=50e6.") from None
    return Speeds().with_given(numbers)


def _print(found: Assessment) -> None:
    say("Grade: ", Text(found.grade, style=_STYLES[found.grade]))
    say(sentence(found))
    for category in Category:
        findings = found.of(category)
        if findings:
            grade = worst(findings)
            say(f"  {category:<13}", Text(grade, style=_STYLES[grade]), f", findings: {len(findings)}")
    if found.statements and not found.measured:
        say("Sizes are not known, so tables are taken to be large; give --database to look at the real ones.")
    last = None
    for each in found.findings:
        statement = each.line, each.statement
        _print_finding(each, locks=statement != last)
        if each.severity is not Severity.INFO:
            last = statement


def _print_finding(finding: Finding, *, locks: bool) -> None:
    style = _STYLES[finding.severity]
    where = f"line {finding.line}: "
    say(Text(f"{finding.severity:<{_WIDTH}} ", style=style), where, finding.message, f" [{finding.rule}]")
    if finding.severity is Severity.INFO:
        return
    pad = " " * (_WIDTH + 1)
    for lock in finding.locks if locks else ():
        say(f"{pad}{lock.mode} on {lock.relation}: blocks {lock.mode.blocks}{_length(finding)}")
    if finding.destroys:
        say(f"{pad}destroys {finding.destroys}")
    if finding.undo is not Undo.EXACTLY:
        say(f"{pad}can be undone {finding.undo}" if finding.undo is Undo.ARCHIVE else f"{pad}cannot be undone")
    if finding.safe:
        say(f"{pad}safe form:")
        for line in finding.safe.splitlines():
            say(f"{pad}  {line}")


def _length(finding: Finding) -> str:
    if finding.seconds is None:
        return f", as long as the {finding.work} takes"
    if finding.seconds < 0.001:  # less is the time of any statement
        return ""
    digits = max(0, 1 - math.floor(math.log10(finding.seconds)))
    return f", for about {finding.seconds:,.{digits}f} s"
