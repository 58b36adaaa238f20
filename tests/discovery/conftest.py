"""Targets, and real tools."""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest

from tests.migrations.tools.conftest import tools_python
from watchdog.model.time import SECOND, Span, Time
from watchdog.ports.kinds import Duration
from watchdog.ports.secrets import KnownSecret
from watchdog.targets.postgres import PostgresOptions, PostgresTarget

__all__ = ["tools_python"]


@dataclass
class Beats:
    """A clock on which every look is a second after the one before."""

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def now(self) -> Time:
        return next(self.numbers) * SECOND

    def wall_offset(self) -> Span:
        return 0

    async def sleep(self, length: Span) -> None:
        raise AssertionError(length)


@pytest.fixture
def clock() -> Beats:
    return Beats()


@pytest.fixture
async def target(pg_database: str) -> AsyncIterator[PostgresTarget]:
    target = PostgresTarget("db", PostgresOptions(url=KnownSecret(pg_database), statement_timeout=Duration(5 * SECOND)))
    yield target
    await target.close()
