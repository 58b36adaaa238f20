"""What only a journal in a file has to keep to."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from watchdog.journals.samples import SqliteSamples
from watchdog.journals.sqlite import SqliteJournal
from watchdog.model.events import Event, RuleArmed, StepIntended
from watchdog.model.time import MINUTE
from watchdog.ports.errors import (
    JournalConflictError,
    JournalError,
    JournalFullError,
    JournalVersionError,
)

ONE: list[Event] = [RuleArmed("one")]
TWO: list[Event] = [RuleArmed("one"), RuleArmed("two")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[SqliteJournal]:
    journal = await SqliteJournal.open(path)
    yield journal
    await journal.close()


@contextmanager
def beside(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's view of the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@contextmanager
def out_of_the_way(path: Path) -> Iterator[None]:
    """A directory in the file's place for a while."""
    path.rename(path.with_name("elsewhere.db"))
    path.mkdir()
    yield
    path.rmdir()
    path.with_name("elsewhere.db").rename(path)


def contents(path: Path) -> dict[str, bytes]:
    """The file and everything beside it."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def damage(path: Path) -> None:
    """Everything behind the first page becomes rubbish."""
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))


class Unreliable:
    """A connection that reports an error at the first COMMIT, before or after it took place."""

    def __init__(self, connection: sqlite3.Connection, *, after: bool, reads: bool = True) -> None:
        self._connection = connection
        self._after = after
        self._reads = reads
        self._failed = False

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        if statement == "COMMIT" and not self._failed:
            self._failed = True
            if self._after:
                self._connection.execute("COMMIT")
            raise sqlite3.OperationalError("disk I/O error")
        if self._failed and not self._reads:
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(statement, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def make_unreliable(journal: SqliteJournal, *, after: bool, reads: bool = True) -> None:
    def swap(connection: sqlite3.Connection) -> None:
        unreliable = Unreliable(connection, after=after, reads=reads)
        journal._database._connection = cast(sqlite3.Connection, unreliable)

    await journal._database.run(swap)


async def test_the_file_is_its_users_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        journal = await SqliteJournal.open(path)
        await journal.claim("api")
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
        await journal.close()
    finally:
        os.umask(old)


async def test_each_append_is_synced(journal: SqliteJournal) -> None:
    def pragmas(connection: sqlite3.Connection) -> list[object]:
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

    assert await journal._database.run(pragmas) == ["wal", 2]


async def test_an_error_in_the_middle_of_a_batch_adds_none_of_it(journal: SqliteJournal, path: Path) -> None:
    epoch = await journal.claim("api")
    with beside(path) as other:
        # The file itself refuses the second of the two.
        other.execute(
            "CREATE TRIGGER mine BEFORE INSERT ON events WHEN NEW.seq = 2 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )

        with pytest.raises(JournalError, match="no"):
            await journal.append("api", 0, TWO, epoch=epoch, at=1)

        assert other.execute("SELECT count(*) FROM events").fetchone() == (0,)
        other.execute("DROP TRIGGER mine")
    assert await journal.append("api", 0, TWO, epoch=epoch, at=1) == 2


async def test_appends_whose_tasks_are_cancelled_still_happen(journal: SqliteJournal, path: Path) -> None:
    epoch = await journal.claim("api")
    with beside(path) as other:
        other.execute("BEGIN IMMEDIATE")
        # The first waits for the lock, the second for the first.
        tasks = [asyncio.create_task(journal.append("api", after, ONE, epoch=epoch, at=1)) for after in (0, 1)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        other.execute("ROLLBACK")

    assert [type(end) for end in ends] == [asyncio.CancelledError] * 2
    with pytest.raises(JournalConflictError):
        await journal.append("api", 0, ONE, epoch=epoch, at=2)
    assert [stored.seq for stored in await journal.read("api")] == [1, 2]


async def test_a_slow_disk_does_not_hold_up_the_loop(journal: SqliteJournal, path: Path) -> None:
    epoch = await journal.claim("api")
    with beside(path) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(journal.append("api", 0, ONE, epoch=epoch, at=1))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not task.done()
        other.execute("ROLLBACK")

    assert await task == 1


async def test_closing_finishes_what_was_handed_over(path: Path) -> None:
    journal = await SqliteJournal.open(path)
    epoch = await journal.claim("api")
    appends = [asyncio.create_task(journal.append("api", after, ONE, epoch=epoch, at=after)) for after in range(20)]
    await asyncio.sleep(0)
    await journal.close()

    assert await asyncio.gather(*appends) == list(range(1, 21))
    with pytest.raises(JournalError, match="is closed"):
        await journal.read("api")
    await journal.close()


async def test_an_error_at_commit_that_was_none_counts_as_done(journal: SqliteJournal) -> None:
    epoch = await journal.claim("api")
    await make_unreliable(journal, after=True)

    assert await journal.append("api", 0, TWO, epoch=epoch, at=1) == 2
    assert [stored.body for stored in await journal.read("api")] == TWO


async def test_an_error_at_commit_adds_nothing_and_the_next_append_works(journal: SqliteJournal) -> None:
    epoch = await journal.claim("api")
    await make_unreliable(journal, after=False)

    with pytest.raises(JournalError, match="disk I/O error"):
        await journal.append("api", 0, TWO, epoch=epoch, at=1)

    assert list(await journal.read("api")) == []
    assert await journal.append("api", 0, ONE, epoch=epoch, at=2) == 1


@pytest.mark.parametrize("after", [True, False])
async def test_a_dead_connection_at_commit_is_replaced_and_the_file_asked(
    journal: SqliteJournal, path: Path, *, after: bool
) -> None:
    epoch = await journal.claim("api")
    await make_unreliable(journal, after=after, reads=False)

    if after:
        assert await journal.append("api", 0, TWO, epoch=epoch, at=1) == 2
    else:
        with pytest.raises(JournalError, match="disk I/O error"):
            await journal.append("api", 0, TWO, epoch=epoch, at=1)

    assert len(await journal.read("api")) == (2 if after else 0)


async def test_an_outcome_that_cannot_be_known_is_called_unknown(journal: SqliteJournal, path: Path) -> None:
    epoch = await journal.claim("api")
    await make_unreliable(journal, after=True, reads=False)
    with (
        out_of_the_way(path),
        pytest.raises(JournalError, match=r'not known whether events 1 to 2 of stream "api"'),
    ):
        await journal.append("api", 0, TWO, epoch=epoch, at=1)

    assert len(await journal.read("api")) == 2


async def test_a_full_disk_is_said_adds_nothing_and_passes(journal: SqliteJournal, path: Path) -> None:
    epoch = await journal.claim("api")
    await journal.append("api", 0, ONE, epoch=epoch, at=1)

    def limit(pages: int) -> Callable[[sqlite3.Connection], object]:
        return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    await journal._database.run(limit(1))
    flood: list[Event] = [StepIntended("x" * 1_000, 1)] * 100
    with pytest.raises(JournalFullError) as full:
        await journal.append("api", 1, flood, epoch=epoch, at=2)

    assert str(path) in str(full.value)
    assert "free some" in str(full.value)
    assert [stored.seq for stored in await journal.read("api")] == [1]
    await journal._database.run(limit(100_000))
    assert await journal.append("api", 1, flood, epoch=epoch, at=3) == 101


async def test_a_journal_of_another_version_is_refused_and_left_as_it_is(path: Path) -> None:
    await (await SqliteJournal.open(path)).close()
    with beside(path) as other:
        other.execute("UPDATE meta SET version = 7")
    before = contents(path)

    with pytest.raises(JournalVersionError) as refused:
        await SqliteJournal.open(path)

    assert f"{path} has version 7" in str(refused.value)
    assert "run the version of watchdog that wrote it" in str(refused.value)
    assert contents(path) == before


async def test_an_event_of_another_version_is_refused_with_its_place(journal: SqliteJournal, path: Path) -> None:
    epoch = await journal.claim("api")
    await journal.append("api", 0, TWO, epoch=epoch, at=1)
    with beside(path) as other:
        other.execute("UPDATE events SET version = 9 WHERE seq = 2")

    with pytest.raises(JournalVersionError, match=rf'Event 2 of stream "api" in {path} has format 9'):
        await journal.read("api")
    assert len(await journal.read("api", limit=1)) == 1


async def test_a_damaged_event_is_named_with_its_place(journal: SqliteJournal, path: Path) -> None:
    epoch = await journal.claim("api")
    await journal.append("api", 0, TWO, epoch=epoch, at=1)
    with beside(path) as other:
        other.execute("UPDATE events SET body = substr(body, 1, 9) WHERE seq = 2")

    with pytest.raises(JournalError, match=rf'Event 2 of stream "api" in {path}'):
        await journal.read("api")


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a journal at all\n" * 200)
    before = contents(path)

    with pytest.raises(JournalError, match=rf"The journal {path} is not a database: name another file"):
        await SqliteJournal.open(path)

    assert contents(path) == before


async def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with beside(path) as other:
        other.execute("CREATE TABLE users (id INTEGER)")
    before = contents(path)

    with pytest.raises(JournalError, match="is a database of something else"):
        await SqliteJournal.open(path)

    assert contents(path) == before


async def test_a_sample_store_is_no_journal(path: Path) -> None:
    await (await SqliteSamples.open(path, MINUTE)).close()

    with pytest.raises(JournalError, match="is a database of something else"):
        await SqliteJournal.open(path)


async def test_a_damaged_journal_is_said_to_be_damaged(path: Path) -> None:
    journal = await SqliteJournal.open(path)
    epoch = await journal.claim("api")
    await journal.append("api", 0, [RuleArmed("x" * 1_000)] * 100, epoch=epoch, at=1)
    await journal.close()
    damage(path)

    with pytest.raises(JournalError, match="is damaged"):
        await SqliteJournal.open(path)


@pytest.mark.parametrize("where", ["a directory", "below a file"])
async def test_a_path_that_cannot_be_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path if where == "a directory" else tmp_path / "file" / "journal.db"

    with pytest.raises(JournalError, match=f"The journal {path} cannot be opened"):
        await SqliteJournal.open(path)


async def test_a_lock_held_by_another_process_ends_in_an_error_that_says_so(journal: SqliteJournal, path: Path) -> None:
    epoch = await journal.claim("api")
    await journal._database.run(lambda connection: connection.execute("PRAGMA busy_timeout = 50").fetchone())
    with beside(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match=f"is locked by another process .*fuser {path}"):
            await journal.append("api", 0, ONE, epoch=epoch, at=1)
        assert list(await journal.read("api")) == []  # Reading needs no lock.
        other.execute("ROLLBACK")
    assert await journal.append("api", 0, ONE, epoch=epoch, at=1) == 1


async def test_a_journal_that_two_open_at_once_is_made_once(path: Path) -> None:
    journals = await asyncio.gather(*(SqliteJournal.open(path) for _ in range(4)))

    assert sorted([await journal.claim("api") for journal in journals]) == [1, 2, 3, 4]
    for journal in journals:
        await journal.close()
