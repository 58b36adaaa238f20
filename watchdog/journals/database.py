"""One SQLite file behind one thread of its own, so that no disk ever holds up the event loop."""

import asyncio
import errno
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, Self, TypeVar

from watchdog.ports.errors import JournalError, JournalFullError, JournalVersionError

Result = TypeVar("Result")

_PATIENCE: Final = 5
"""Seconds to wait for another process's lock."""


@dataclass(frozen=True)
class Layout:
    """What a kind of file looks like.

    Attributes:
        what: The kind in words, for errors.
        statements: The folder below `sql/` with its statements, one a file; `connect` and `create` are run here.
        application: Its `application_id`, by which a file of this kind is told from any other database.
        version: The version of its tables, as `create` writes it.
    """

    what: str
    statements: str
    application: int
    version: int


class Database:
    """A file of one layout. Work runs in its thread, one piece after the other, in the order it was asked for.

    Work that was handed over is always done, also when the task that waits for it is cancelled: whoever asks later
    sees its effect.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.sql: Final[Mapping[str, str]] = _statements(layout.statements)
        self._layout = layout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=layout.statements)
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    @classmethod
    async def open(cls, path: Path, layout: Layout) -> Self:
        """Opens the file, or makes it with mode 0600, and its directory if need be.

        Raises:
            JournalVersionError: Its tables are another version's.
            JournalError: It is no such file, or cannot be opened.
        """
        database = cls(path, layout)
        try:
            await database.run(lambda _connection: None)
        except BaseException:
            await database.close()
            raise
        return database

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Does a piece of work with the connection, in the thread.

        Raises:
            JournalError: SQLite reports an error, or the file was closed; JournalFullError when there is no room.
        """
        if self._closed:
            raise JournalError(f"{self._named} is closed; open it again before using it.")
        return await asyncio.shield(asyncio.wrap_future(self._thread.submit(self._guarded, work)))

    async def close(self) -> None:
        """Finishes the work handed over and closes the file; more than once does no harm."""
        if not self._closed:
            self._closed = True
            closing = self._thread.submit(self.disconnect)
            self._thread.shutdown(wait=False)
            await asyncio.shield(asyncio.wrap_future(closing))

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection; for work in the thread only."""
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def disconnect(self) -> None:
        """Drops the connection, whatever state it is in; the next use makes a new one. In the thread only."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _guarded(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            return work(self.connection)
        except sqlite3.Error as error:
            raise self._translated(error) from error
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise JournalFullError(self._no_room) from error
            raise JournalError(
                f"{self._named} cannot be opened ({error.strerror}): check the path and who may write there."
            ) from error

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite would take the umask's mode, and gives its side files the mode of this one.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
        try:
            self._identify(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _identify(self, connection: sqlite3.Connection) -> None:
        def value(query: str) -> object:
            return connection.execute(query).fetchone()[0]

        # A file that is not ours must stay as it is, so look before anything writes.
        empty = value("SELECT count(*) FROM sqlite_master") == 0
        if not empty and value("PRAGMA application_id") != self._layout.application:
            raise JournalError(
                f"{self._named} is a database of something else: name another file in the configuration."
            )
        connection.executescript(self.sql["connect"])
        if value("PRAGMA journal_mode") != "wal":
            raise JournalError(
                f"{self._named} cannot have a write-ahead log there: put it on a local disk, not a network file system."
            )
        if empty:
            connection.executescript(self.sql["create"])
        if (version := value("SELECT max(version) FROM meta")) != self._layout.version:
            raise JournalVersionError(
                f"{self._named} has version {version}, and this version of watchdog reads version "
                f"{self._layout.version}: run the version of watchdog that wrote it, or name another file."
            )

    @property
    def _no_room(self) -> str:
        return f"{self._named} has no room: free some on its disk, then it goes on by itself."

    @property
    def _named(self) -> str:
        return f"The {self._layout.what} {self.path}"

    def _translated(self, error: sqlite3.Error) -> JournalError:
        # Errors that Python raises itself, not SQLite, have no code.
        code = getattr(error, "sqlite_errorcode", 0)
        match code & 0xFF:
            case sqlite3.SQLITE_FULL:
                return JournalFullError(self._no_room)
            case sqlite3.SQLITE_NOTADB:
                return JournalError(
                    f"{self._named} is not a database: name another file in the configuration, or move this one away."
                )
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return JournalError(
                    f"{self._named} is locked by another process for over {_PATIENCE} s: try `fuser {self.path}`."
                )
            case sqlite3.SQLITE_CORRUPT:
                return JournalError(
                    f"{self._named} is damaged ({error}): restore it from a backup, or move it away and begin anew."
                )
            case sqlite3.SQLITE_IOERR:
                return JournalError(
                    f"{self._named} cannot be read or written ({error}): look for the disk's errors, its quota, and "
                    "limits on the size of files."
                )
        return JournalError(f"{self._named} cannot be used ({error}): check the file and the rights to it.")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that has the write lock from its first statement, and is rolled back on any error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite itself has ended the transaction after some errors.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(folder: str) -> Mapping[str, str]:
    files = resources.files("watchdog.journals").joinpath("sql", folder).iterdir()
    return {file.name.removesuffix(".sql"): file.read_text("utf-8") for file in files if file.name.endswith(".sql")}
