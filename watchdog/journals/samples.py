"""Recent samples in a SQLite file of their own, so that windows are the same after a restart."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from watchdog.journals.codec import decode_labels, decode_value, encode_labels, encode_value
from watchdog.journals.database import Database, Layout, transaction
from watchdog.model.signals import Sample, SignalId
from watchdog.model.time import Span, Time

LAYOUT: Final = Layout(what="sample store", statements="samples", application=0x57445350, version=1)


class SqliteSamples:
    """A `SampleStore` in one file (mode 0600), one transaction a write.

    It serves the windows after a restart and nothing else: a power cut may cost the last seconds, and the file can be
    deleted while the daemon is down. Judging goes on without it: a `write` that raises (a full disk, for one) has
    written nothing, and its caller logs that and carries on.
    """

    def __init__(self, database: Database, keep: Span) -> None:
        self._database = database
        self._sql = database.sql
        self._keep = keep

    @classmethod
    async def open(cls, path: Path, keep: Span) -> Self:
        """Opens the store or makes a new one, and its directory if need be; drops what is too old.

        Args:
            path: The file.
            keep: How much older than a guard's newest sample its oldest may be.

        Raises:
            JournalVersionError: Another version wrote it.
            JournalError: It is not a sample store, or cannot be opened.
        """
        samples = cls(await Database.open(path, LAYOUT), keep)
        try:
            await samples._tidy()
        except BaseException:
            await samples.close()
            raise
        return samples

    async def write(self, guard: str, samples: Sequence[Sample]) -> None:
        """Adds samples and drops those of the guard that are too old by now, in one transaction.

        Raises:
            JournalFullError: There is no room; nothing was written, and judging can go on without.
            JournalError: The store cannot be written.
        """
        if not samples:
            return
        rows = [
            {
                "guard": guard,
                "name": sample.signal.name,
                "labels": encode_labels(sample.signal.labels),
                "at": sample.at,
                "value": encode_value(sample.value),
            }
            for sample in samples
        ]
        oldest = {"guard": guard, "before": max(sample.at for sample in samples) - self._keep}

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                # Before the new rows, which then fit into the pages that these leave.
                connection.execute(self._sql["prune"], oldest)
                connection.executemany(self._sql["add_series"], rows)
                connection.executemany(self._sql["write"], rows)

        await self._database.run(work)

    async def read(self, guard: str, since: Time) -> Sequence[Sample]:
        """Samples from `since` on, in the order of their times, and of their writing where times are equal.

        Raises:
            JournalError: The store cannot be read.
        """

        def work(connection: sqlite3.Connection) -> tuple[Sample, ...]:
            rows = connection.execute(self._sql["read"], {"guard": guard, "since": since})
            return tuple(self._sample(*row) for row in rows)

        return await self._database.run(work)

    async def close(self) -> None:
        """Finishes what was begun and closes the file."""
        await self._database.close()

    async def _tidy(self) -> None:
        """Drops old samples, also of guards that are no longer configured, and series that have none left."""

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute(self._sql["prune_all"], {"keep": self._keep})
                connection.execute(self._sql["prune_series"])

        await self._database.run(work)

    def _sample(self, name: str, labels: str, at: Time, value: float | str) -> Sample:
        place = f"A sample of {name} in {self._database.path}"
        signal = SignalId(name, decode_labels(labels, place=place))
        return Sample(signal, at, decode_value(value, place=place))
