"""`watchdog demo`."""

import asyncio
import signal
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from watchdog.cli.options import Json
from watchdog.cli.output import complain, emit, say
from watchdog.demo.daemon import DaemonError
from watchdog.demo.release import Fault
from watchdog.demo.stack import StackError
from watchdog.demo.story import Frame, Options, Story
from watchdog.servers.errors import ServerError


class Teller:
    """Shows frames as they come, and keeps the table."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._table: Frame | None = None

    async def show(self, story: Story) -> None:
        """Shows a story to its end; a signal to stop ends it orderly, with every server."""
        telling = asyncio.current_task()
        if telling is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, telling.cancel)
        async for frame in story.frames():
            if frame.kind == "table":
                self._table = frame
                self._show_table(frame)
            elif not self._as_json:
                _show(frame)

    @property
    def finished(self) -> bool:
        """Whether the table was reached."""
        return self._table is not None

    @property
    def passed(self) -> bool:
        """Whether every check of the table holds."""
        return self._table is not None and bool(self._table.checks) and all(check.ok for check in self._table.checks)

    def _show_table(self, frame: Frame) -> None:
        if self._as_json:
            emit({"ok": self.passed, **frame.facts, "checks": [asdict(check) for check in frame.checks]})
            return
        say()
        width = max((len(check.name) for check in frame.checks), default=0)
        for check in frame.checks:
            mark = Text("ok    ", style="green") if check.ok else Text("FAILED", style="bold red")
            say(mark, f"  {check.name.ljust(width)}  {check.detail}")
        say()
        for name, value in frame.facts.items():
            say(f"{name.replace('_', ' ')}: {value}")


def _show(frame: Frame) -> None:
    if frame.kind == "title":
        say()
        say(f"== {frame.text}", style="bold")
    else:
        say(f"{frame.at:6.1f} s  {frame.text}")


def demo(
    fault: Annotated[Fault, typer.Option("--fault", help="What is wrong with the release.")] = "schema",
    stay: Annotated[bool, typer.Option("--stay", help="Leave Slack's page open at the end, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show on real servers how a release goes wrong and is taken back.

    Starts PostgreSQL, Neo4j, Redis, a service under load, a double of Slack and the daemon with its shipped
    configuration; breaks a release, and compares everything afterwards. Exit status 0 only if every check holds.
    """
    teller = Teller(as_json=as_json)
    try:
        asyncio.run(teller.show(Story(Options(fault=fault, stay=stay))))
    except (DaemonError, ServerError, StackError) as error:
        complain(str(error))
        raise typer.Exit(1) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        if not teller.finished:
            complain("stopped before the end; every server is down again")
            raise typer.Exit(130) from None
    if not teller.passed:
        raise typer.Exit(1)
