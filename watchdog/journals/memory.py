"""Journal and samples in memory, for tests (yours too) and trying things out. They outlive `close`, as files do."""

from collections.abc import Sequence

from watchdog.journals.codec import FORMAT
from watchdog.journals.refusals import refuse_conflict, refuse_stale
from watchdog.model.events import Event, Stored
from watchdog.model.signals import Sample
from watchdog.model.time import Span, Time


class MemoryJournal:
    """A `Journal` that keeps its events in this process."""

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}
        self._events: dict[str, list[Stored]] = {}

    async def claim(self, stream: str) -> int:
        """Takes the stream over: a new epoch, higher than every earlier one, which fences its holder out."""
        self._epochs[stream] = self._epochs.get(stream, 0) + 1
        return self._epochs[stream]

    async def streams(self) -> tuple[str, ...]:
        """Every stream that has an epoch, sorted."""
        return tuple(sorted(self._epochs))

    async def read(self, stream: str, after: int = 0, limit: int | None = None) -> Sequence[Stored]:
        """Events with a higher number than `after`, in order, at most `limit`."""
        end = None if limit is None else after + limit
        return tuple(self._events.get(stream, ())[after:end])

    async def append(self, stream: str, after: int, events: Sequence[Event], *, epoch: int, at: Time) -> int:
        """Adds events behind number `after`, all or none; returns the last number.

        Raises:
            FencedError: `epoch` is not the stream's.
            JournalConflictError: The stream does not end at `after`.
        """
        place = f'Stream "{stream}" in memory'
        stored = self._events.setdefault(stream, [])
        refuse_stale(place, held=self._epochs.get(stream, 0), epoch=epoch)
        refuse_conflict(place, last=len(stored), after=after)
        stored.extend(Stored(stream, seq, at, epoch, FORMAT, event) for seq, event in enumerate(events, after + 1))
        return len(stored)

    async def try_write(self) -> None:
        """Always succeeds."""

    async def close(self) -> None:
        """Does nothing: a test may start a daemon on this journal again."""


class MemorySamples:
    """A `SampleStore` that keeps its samples in this process.

    Args:
        keep: How much older than a guard's newest sample its oldest may be.
    """

    def __init__(self, keep: Span) -> None:
        self._keep = keep
        self._samples: dict[str, list[Sample]] = {}

    async def write(self, guard: str, samples: Sequence[Sample]) -> None:
        """Adds samples and drops those of the guard that are too old by now."""
        kept = sorted([*self._samples.get(guard, ()), *samples], key=lambda sample: sample.at)
        oldest = max((sample.at for sample in samples), default=0) - self._keep
        self._samples[guard] = [sample for sample in kept if sample.at >= oldest]

    async def read(self, guard: str, since: Time) -> Sequence[Sample]:
        """Samples from `since` on, in the order of their times, and of their writing where times are equal."""
        return tuple(sample for sample in self._samples.get(guard, ()) if sample.at >= since)

    async def close(self) -> None:
        """Does nothing: a test may start a daemon on these samples again."""
