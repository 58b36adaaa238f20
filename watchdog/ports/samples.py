"""Samples are no events: they live beside the journal, for as long as windows need them."""

from collections.abc import Sequence
from typing import Protocol

from watchdog.model.signals import Sample
from watchdog.model.time import Time


class SampleStore(Protocol):
    """Keeps recent samples over a restart."""

    async def write(self, guard: str, samples: Sequence[Sample]) -> None:
        """One transaction; older samples than the store's keep are dropped on the way."""
        ...

    async def read(self, guard: str, since: Time) -> Sequence[Sample]:
        """Samples from `since` on, in the order of their times."""
        ...

    async def close(self) -> None:
        """Releases the store."""
        ...
