"""A lease by a lock on a file beside the journal; the kernel releases it when the process ends, however it ends."""

import contextlib
import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watchdog.model.time import SECOND
from watchdog.ports.clock import Clock
from watchdog.ports.errors import JournalError, JournalHeldError


class FileLease:
    """A `Lease` on one journal among the processes of one machine: `<journal>.lock`, which is never deleted.

    The file says who holds it (process id, host, since when), for people and for the error of whoever comes second.
    """

    def __init__(self, journal: Path, clock: Clock) -> None:
        self._journal = journal
        self._path = journal.with_name(f"{journal.name}.lock")
        self._clock = clock
        self._file: int | None = None

    async def acquire(self) -> None:
        """Becomes the holder; does nothing when it is already.

        Raises:
            JournalHeldError: Another process is; names it, the file, and what to do.
            JournalError: The lock file cannot be made or locked.
        """
        if self._file is not None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(
                f"The lock file {self._path} cannot be opened ({error.strerror}): check the path and its rights."
            ) from error
        try:
            self._lock(file)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    async def release(self) -> None:
        """Lets go; does nothing when it is not held."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(file, 0)
            os.close(file)

    def _lock(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalHeldError(
                f"The journal {self._journal} is held by {_holder(file)} ({self._path}): `watchdog status` shows what "
                "it is doing; stop it before starting another, or name another journal in the configuration."
            ) from error
        except OSError as error:
            raise JournalError(
                f"The file {self._path} cannot be locked ({error.strerror}): put the journal on a local disk."
            ) from error
        since = datetime.fromtimestamp(self._clock.now() // SECOND, UTC).isoformat()
        holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        # The lock holds without the words, and a full disk must not keep a guard from starting.
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
            os.pwrite(file, f"{holder}\n".encode(), 0)


def _holder(file: int) -> str:
    """Who wrote the lock file; it may be just about to."""
    try:
        holder: Any = json.loads(os.pread(file, 4096, 0))
        return f"process {int(holder['pid'])} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"
