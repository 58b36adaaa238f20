"""A wire between the daemon and a store: it sees a transaction's COMMIT pass, and decides what becomes of it.

When a process is killed, its kernel closes its connections and the server soon notices. Behind a proxy, or a network
that fails at that moment, the server notices much later, and what was on its way may still arrive. The wire is such a
proxy: what it does is what orphaned transactions are made of.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from benchmarks.kill.points import Cut, Mode

_READ: Final = 65_536
LATE_S: Final = 1.0
"""How long a late COMMIT waits after the next daemon has come for the fence; shorter than that one's patience."""

FENCED: Final = {"db": b"watchdog e", "graph": b"watchdog_guard"}
"""What is in the first bytes of a session, or of a transaction, that takes the fence."""
COMMIT: Final = {"db": b"COMMIT\0", "graph": b"\x00\x02\xb0\x12\x00\x00"}


@dataclass
class Wire:
    """Listens on a port of its own and passes everything on, until the cut.

    Attributes:
        store: `db` or `graph`.
        to: Port of the server on loopback.
        kill: Ends the daemon at once.
        keep: Sessions that held the fence stay open on the server's side when the daemon is gone.
    """

    store: str
    to: int
    kill: Callable[[], None]
    cut: Cut | None = None
    keep: bool = False
    port: int = 0
    done: bool = False
    _commits: int = 0
    _taken_over: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listens."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cuts whatever is left."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connection(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        try:
            far, far_out = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            near_out.close()
            return
        answers = asyncio.create_task(_pass_on(far, near_out))
        try:
            with suppress(OSError):
                await self._requests(near, far_out, answers)
        finally:
            answers.cancel()
            for writer in (near_out, far_out):
                writer.close()

    async def _requests(
        self, near: asyncio.StreamReader, far_out: asyncio.StreamWriter, answers: "asyncio.Task[None]"
    ) -> None:
        fenced = False
        while data := await near.read(_READ):
            if FENCED[self.store] in data:
                fenced = True
                if self.done:
                    self._taken_over.set()
            if fenced and COMMIT[self.store] in data and (mode := self._due()) is not None:
                await self._end_life(mode, data, far_out, answers)
                return
            far_out.write(data)
            await far_out.drain()
        if fenced and self.keep:
            await answers  # until the server has had enough of it

    def _due(self) -> Mode | None:
        """What becomes of this COMMIT, if it is the one."""
        if self.cut is None or self.done:
            return None
        self._commits += 1
        return self.cut.mode if self._commits == self.cut.nth else None

    async def _end_life(
        self, mode: Mode, commit: bytes, far_out: asyncio.StreamWriter, answers: "asyncio.Task[None]"
    ) -> None:
        self.done = True
        if mode == "unanswered":
            answers.cancel()  # what the server says goes nowhere
            far_out.write(commit)
            await far_out.drain()
            await asyncio.sleep(LATE_S / 4)
        self.kill()
        if mode == "late":
            await self._taken_over.wait()
            await asyncio.sleep(LATE_S)
            far_out.write(commit)
            await far_out.drain()
            await asyncio.sleep(LATE_S / 4)
        if mode == "never":
            await answers  # until the server has had enough of it


async def _pass_on(far: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
    """Answers, until the server closes; whether anybody still reads them does not matter."""
    with suppress(OSError):
        while data := await far.read(_READ):
            with suppress(OSError):
                near_out.write(data)
                await near_out.drain()
