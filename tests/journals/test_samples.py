import os
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from watchdog.journals.samples import SqliteSamples
from watchdog.journals.sqlite import SqliteJournal
from watchdog.model.signals import Cause, Histogram, Missing, Sample, SignalId
from watchdog.model.time import MINUTE, SECOND
from watchdog.ports.errors import JournalError, JournalFullError, JournalVersionError
from watchdog.ports.samples import SampleStore

OpenSamples = Callable[[], Awaitable[SampleStore]]

LOAD = SignalId("load")
ERRORS = SignalId("errors", (("code", "500"), ("path", '/a"b{,}')))


def loads(*seconds: int) -> list[Sample]:
    return [Sample(LOAD, second * SECOND, float(second)) for second in seconds]


async def test_every_kind_of_value_comes_back_as_it_was(samples: SampleStore) -> None:
    written = [
        Sample(LOAD, 1, 0.1),
        Sample(LOAD, 2, float("inf")),
        Sample(LOAD, 3, 3.0),
        Sample(ERRORS, 4, Histogram((0.1, float("inf")), (3.0, 4.0), 0.7)),
        Sample(ERRORS, 5, Missing(Cause.UNREACHABLE, "connection refused \udcff")),
        Sample(ERRORS, 6, float("nan")),
    ]

    await samples.write("api", written)

    assert repr(list(await samples.read("api", 0))) == repr(written)


async def test_samples_come_in_the_order_of_their_times_and_then_of_their_writing(samples: SampleStore) -> None:
    await samples.write("api", [Sample(ERRORS, 30, 1.0), Sample(LOAD, 10, 2.0)])
    await samples.write("api", [Sample(LOAD, 30, 3.0), Sample(ERRORS, 20, 4.0), Sample(ERRORS, 30, 5.0)])

    assert [sample.value for sample in await samples.read("api", 0)] == [2.0, 4.0, 1.0, 3.0, 5.0]


async def test_reading_begins_with_the_time_asked_for(samples: SampleStore) -> None:
    await samples.write("api", loads(1, 2, 3))

    assert list(await samples.read("api", 2 * SECOND)) == loads(2, 3)


async def test_guards_do_not_mix(samples: SampleStore) -> None:
    await samples.write("api", loads(1))
    await samples.write("web", loads(2))

    assert list(await samples.read("api", 0)) == loads(1)
    assert list(await samples.read("nobody", 0)) == []


async def test_what_is_too_old_is_dropped_on_the_way(samples: SampleStore) -> None:
    await samples.write("api", loads(1, 2))
    await samples.write("web", loads(1))

    await samples.write("api", loads(62))

    assert list(await samples.read("api", 0)) == loads(2, 62)
    assert list(await samples.read("web", 0)) == loads(1)  # Kept by its own guard's newest.


async def test_nothing_to_write_is_nothing_to_do(samples: SampleStore) -> None:
    await samples.write("api", [])

    assert list(await samples.read("api", 0)) == []


async def test_samples_are_there_after_a_restart(open_samples: OpenSamples) -> None:
    before = await open_samples()
    await before.write("api", loads(1, 2))
    await before.close()

    after = await open_samples()

    assert list(await after.read("api", 0)) == loads(1, 2)


async def test_an_opened_store_forgets_guards_that_are_gone_and_series_without_samples(tmp_path: Path) -> None:
    path = tmp_path / "samples.db"
    store = await SqliteSamples.open(path, MINUTE)
    await store.write("gone", loads(1))
    await store.write("api", loads(100))
    await store.close()

    await (await SqliteSamples.open(path, MINUTE)).close()

    connection = sqlite3.connect(path)
    assert connection.execute("SELECT guard FROM series").fetchall() == [("api",)]
    assert connection.execute("SELECT count(*) FROM samples").fetchone() == (1,)
    connection.close()


async def test_many_ticks_take_the_room_of_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "samples.db"
    store = await SqliteSamples.open(path, MINUTE)
    for second in range(120):
        await store.write("api", loads(second))
    pages = await store._database.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    for second in range(120, 1_200):
        await store.write("api", loads(second))

    assert await store._database.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0]) <= pages + 1
    assert len(await store.read("api", 0)) == 61
    await store.close()


async def test_a_full_disk_is_said_and_costs_nothing_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "samples.db"
    store = await SqliteSamples.open(path, MINUTE)
    await store.write("api", loads(1))

    def limit(pages: int) -> Callable[[sqlite3.Connection], object]:
        return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    await store._database.run(limit(1))
    flood = [Sample(SignalId(f"signal {number}"), 2 * SECOND, 1.0) for number in range(2_000)]
    with pytest.raises(JournalFullError) as full:
        await store.write("api", flood)

    assert str(path) in str(full.value)
    assert list(await store.read("api", 0)) == loads(1)
    await store._database.run(limit(100_000))
    await store.write("api", flood)
    assert len(await store.read("api", 0)) == 2_001
    await store.close()


async def test_only_its_user_may_read_the_file(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        store = await SqliteSamples.open(tmp_path / "deep" / "samples.db", MINUTE)
        await store.write("api", loads(1))
        assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "deep").iterdir()} == {0o600}
        await store.close()
    finally:
        os.umask(old)


async def test_a_journal_is_no_sample_store(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await (await SqliteJournal.open(path)).close()

    with pytest.raises(JournalError, match=r"The sample store .*journal\.db is a database of something else"):
        await SqliteSamples.open(path, MINUTE)


async def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "samples.db"
    await (await SqliteSamples.open(path, MINUTE)).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE meta SET version = 2")
    connection.close()

    with pytest.raises(JournalVersionError, match=r"samples\.db has version 2"):
        await SqliteSamples.open(path, MINUTE)


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = await SqliteSamples.open(tmp_path / "samples.db", MINUTE)
    await store.close()
    await store.close()

    with pytest.raises(JournalError, match="is closed"):
        await store.write("api", loads(1))
