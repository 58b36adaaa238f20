"""Runs a tool's command as a process of its own."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from watchdog.migrations.shape import Name, Shape
from watchdog.migrations.tools.address import Address, Command, ToolError

Hear = Callable[[str], None]
"""Hears each line that a tool says, without secrets."""
_TAIL: Final = 12
_LONGEST_LINE: Final = 2**20
_GRACE: Final = 10.0
"""Seconds that a tool has to stop when it is told to."""


@dataclass(frozen=True)
class Ended:
    """How a command ended; `said` are its last lines, without secrets."""

    status: int
    said: str


class Work(Protocol):
    """Something that changes a database in sessions of its own, and more than one transaction."""

    @property
    def called(self) -> str:
        """What messages call it, at the beginning of a sentence."""

    @property
    def text(self) -> str:
        """What is recorded with the run."""

    @property
    def short(self) -> str:
        """What a message says of it."""

    @property
    def version_tables(self) -> tuple[str, ...]:
        """Tables, beside those that we know, in which it notes what it applied."""

    def writes(self, shape: Shape) -> frozenset[Name]:
        """Tables that it is known to write; others are found by trying it on a copy."""

    async def run(self, address: Address, number: int, hear: Hear) -> Ended:
        """Does it for a run, 0 on a copy, in sessions that are called and marked as the address says.

        Raises:
            WatchdogError: It cannot even be started.
        """


@dataclass(frozen=True)
class ByCommand:
    """A tool's command as work."""

    command: Command
    called: str = "The tool"

    @property
    def text(self) -> str:
        """The command as it was given."""
        return self.command.text

    @property
    def short(self) -> str:
        """The command as a message names it."""
        return self.command.short

    @property
    def version_tables(self) -> tuple[str, ...]:
        """Those that were named with it."""
        return self.command.version_tables

    def writes(self, shape: Shape) -> frozenset[Name]:  # noqa: ARG002 - nobody knows what a tool writes
        """Nothing is known beforehand."""
        return frozenset()

    async def run(self, address: Address, number: int, hear: Hear) -> Ended:  # noqa: ARG002 - the address says it too
        """Runs it as a process; raises ToolError."""
        return await run(self.command, address, self.command.words, hear)


async def run(command: Command, address: Address, words: Sequence[str], hear: Hear) -> Ended:
    """Runs the words of a command against a database; cancelled, it stops the process first.

    Raises:
        ToolError: There is no such program.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *address.words(command, words),
            env=address.environment(command, os.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LONGEST_LINE,
        )
    except OSError as error:
        raise ToolError(f"{words[0]} cannot be run ({error.strerror}); check the command behind --.") from error
    tail: deque[str] = deque(maxlen=_TAIL)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        async for line in process.stdout:
            said = address.without_secrets(line.decode(errors="replace").rstrip())
            tail.append(said)
            hear(said)
        return Ended(await process.wait(), "\n".join(tail))
    finally:
        if process.returncode is None:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    try:
        await asyncio.wait_for(asyncio.shield(process.wait()), _GRACE)
    except TimeoutError:
        process.kill()
        await process.wait()
