from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from watchdog.journals.memory import MemoryJournal, MemorySamples
from watchdog.journals.samples import SqliteSamples
from watchdog.journals.sqlite import SqliteJournal
from watchdog.model.time import MINUTE
from watchdog.ports.journal import Journal
from watchdog.ports.samples import SampleStore

OpenJournal = Callable[[], Awaitable[Journal]]
OpenSamples = Callable[[], Awaitable[SampleStore]]


@pytest.fixture(params=["sqlite", "memory"])
async def open_journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenJournal]:
    """Opens the test's one journal, as often as the test likes; each is closed at the end."""
    memory = MemoryJournal()
    async with AsyncExitStack() as stack:

        async def opened() -> Journal:
            journal = await SqliteJournal.open(tmp_path / "journal.db") if request.param == "sqlite" else memory
            stack.push_async_callback(journal.close)
            return journal

        yield opened


@pytest.fixture
async def journal(open_journal: OpenJournal) -> Journal:
    return await open_journal()


@pytest.fixture(params=["sqlite", "memory"])
async def open_samples(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenSamples]:
    """Opens the test's one sample store, which keeps a minute; each is closed at the end."""
    memory = MemorySamples(MINUTE)
    async with AsyncExitStack() as stack:

        async def opened() -> SampleStore:
            path = tmp_path / "samples.db"
            samples = await SqliteSamples.open(path, MINUTE) if request.param == "sqlite" else memory
            stack.push_async_callback(samples.close)
            return samples

        yield opened


@pytest.fixture
async def samples(open_samples: OpenSamples) -> SampleStore:
    return await open_samples()
