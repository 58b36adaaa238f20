"""Runs a tool's command as a process of its own."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

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
