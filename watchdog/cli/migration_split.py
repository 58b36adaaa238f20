"""`watchdog migration split`."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from watchdog.cli.options import Json
from watchdog.cli.output import complain, emit, say
from watchdog.cli.scripts import read_script
from watchdog.migrations.safe.facts import facts_about
from watchdog.migrations.safe.split import Split
from watchdog.migrations.safe.split import split as split_script
from watchdog.migrations.safe.uses import Use, running, uses
from watchdog.migrations.safe.values import Facts
from watchdog.migrations.session import connected
from watchdog.ports.errors import WatchdogError


class SplitFileError(WatchdogError):
    """A file cannot be written."""

    exit_status = 2


def split(
    *,
    file: Annotated[Path, typer.Argument(help="The migration, SQL.")],
    database: Annotated[
        str | None,
        typer.Option("--database", envvar="WATCHDOG_DATABASE", help="Look here for types, and for what is still used."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where NAME.expand.sql and NAME.contract.sql are written.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Split a script in two: what only adds, and what takes away when nothing uses it any more.

    With --database the statements of pg_stat_statements are shown that still use what the second script takes away.
    Status 1: something is still used, or the script cannot be split.
    """
    script = read_script(file)
    parts, used, unseen = (
        asyncio.run(_looked(script, database)) if database else (split_script(script, Facts()), (), "")
    )
    looked = database is not None and not unseen
    if unseen:
        complain(unseen)
    written = _write(file, out, parts) if out is not None else ()
    if as_json:
        emit({**asdict(parts), "written": written, "used": [asdict(one) for one in used], "looked": looked})
    else:
        _say(parts, written, used, looked=looked)
    if used:
        raise typer.Exit(1)


async def _looked(script: str, database: str) -> tuple[Split, tuple[Use, ...], str]:
    """The two parts, what still uses them, and why that cannot be seen."""
    async with connected(database) as connection:
        parts = split_script(script, await facts_about(connection, script))
        if not parts.contracted:
            return parts, (), ""
        try:
            return parts, uses(parts.contracted, await running(connection), script), ""
        except WatchdogError as error:
            return parts, (), str(error)


def _say(parts: Split, written: tuple[str, ...], used: tuple[Use, ...], *, looked: bool) -> None:
    for name in written:
        say(f"written: {name}")
    if not written:
        say("-- expand: before the new code")
        say(parts.expand.rstrip())
        say("-- contract: when nothing uses it any more")
        say(parts.contract.rstrip())
    for use in used:
        complain(f"still in use: {use.contracted.text} (line {use.contracted.line})")
        for query in use.queries:
            complain(f"  query {query.number}, {query.calls:,} calls: {query.short}")
    if looked and parts.contracted and not used:
        say("-- pg_stat_statements has no statement that uses what the second script takes away")


def _write(file: Path, out: Path, parts: Split) -> tuple[str, ...]:
    wanted = {out / f"{file.stem}.expand.sql": parts.expand, out / f"{file.stem}.contract.sql": parts.contract}
    for path in wanted:
        if path.exists():
            raise SplitFileError(f"{path} is there already; move it away, or name another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SplitFileError(f"{out} cannot be written ({error.strerror})") from error
    return tuple(map(str, wanted))
