"""What every journal keeps to."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from watchdog.journals.codec import FORMAT
from watchdog.model.events import Event, RuleArmed, StepIntended, StepSucceeded, Stored
from watchdog.ports.errors import FencedError, JournalConflictError
from watchdog.ports.journal import Journal

OpenJournal = Callable[[], Awaitable[Journal]]


def armed(*rules: int) -> Sequence[Event]:
    return tuple(RuleArmed(f"rule {number}") for number in rules)


async def test_events_come_back_in_order_with_number_time_epoch_and_format(journal: Journal) -> None:
    epoch = await journal.claim("api")

    first = await journal.append("api", 0, [StepIntended("s", epoch)], epoch=epoch, at=10)
    second = await journal.append("api", 1, [StepSucceeded("s"), RuleArmed("r")], epoch=epoch, at=20)

    assert (first, second) == (1, 3)
    assert list(await journal.read("api")) == [
        Stored("api", 1, 10, epoch, FORMAT, StepIntended("s", epoch)),
        Stored("api", 2, 20, epoch, FORMAT, StepSucceeded("s")),
        Stored("api", 3, 20, epoch, FORMAT, RuleArmed("r")),
    ]


async def test_a_part_can_be_read(journal: Journal) -> None:
    epoch = await journal.claim("api")
    await journal.append("api", 0, armed(*range(1, 8)), epoch=epoch, at=1)

    async def numbers(after: int = 0, limit: int | None = None) -> list[int]:
        return [stored.seq for stored in await journal.read("api", after, limit)]

    assert await numbers() == [1, 2, 3, 4, 5, 6, 7]
    assert await numbers(after=5) == [6, 7]
    assert await numbers(limit=2) == [1, 2]
    assert await numbers(after=2, limit=3) == [3, 4, 5]
    assert await numbers(after=6, limit=9) == [7]
    assert await numbers(after=7) == []
    assert await numbers(limit=0) == []


async def test_thousands_of_events_come_back_whole(journal: Journal) -> None:
    epoch = await journal.claim("api")
    await journal.append("api", 0, armed(*range(1, 2_501)), epoch=epoch, at=1)

    stored = await journal.read("api")

    assert [event.seq for event in stored] == list(range(1, 2_501))
    assert stored[-1].body == RuleArmed("rule 2500")
    assert [event.seq for event in await journal.read("api", 400, 1_500)] == list(range(401, 1_901))


async def test_streams_do_not_mix(journal: Journal) -> None:
    epochs = {name: await journal.claim(name) for name in ("web", "api")}
    await journal.append("api", 0, armed(1), epoch=epochs["api"], at=1)
    await journal.append("web", 0, armed(2), epoch=epochs["web"], at=2)

    assert [stored.body for stored in await journal.read("web")] == [RuleArmed("rule 2")]
    assert await journal.streams() == ("api", "web")


async def test_an_unknown_stream_is_empty(journal: Journal) -> None:
    assert list(await journal.read("nobody")) == []
    assert await journal.streams() == ()


async def test_a_claimed_stream_without_events_is_a_stream(journal: Journal) -> None:
    await journal.claim("api")

    assert await journal.streams() == ("api",)


@pytest.mark.parametrize("after", [0, 1, 3, 99])
async def test_an_append_anywhere_but_at_the_end_is_a_conflict(journal: Journal, after: int) -> None:
    epoch = await journal.claim("api")
    await journal.append("api", 0, armed(1, 2), epoch=epoch, at=1)

    with pytest.raises(JournalConflictError, match=f'"api".* ends at 2, not at {after}'):
        await journal.append("api", after, armed(3), epoch=epoch, at=2)

    assert [stored.seq for stored in await journal.read("api")] == [1, 2]
    assert await journal.append("api", 2, armed(3), epoch=epoch, at=3) == 3


async def test_a_new_holder_fences_the_old_one_out(open_journal: OpenJournal) -> None:
    old, new = await open_journal(), await open_journal()
    stale = await old.claim("api")
    await old.append("api", 0, armed(1), epoch=stale, at=1)

    epoch = await new.claim("api")

    assert epoch > stale
    with pytest.raises(FencedError, match=f'"api".* epoch {epoch}, so epoch {stale} may not write'):
        await old.append("api", 1, armed(2), epoch=stale, at=2)
    assert await new.append("api", 1, armed(3), epoch=epoch, at=3) == 2
    assert [stored.body for stored in await old.read("api")] == [RuleArmed("rule 1"), RuleArmed("rule 3")]


async def test_a_stale_holder_learns_that_it_is_fenced_and_not_that_the_stream_moved_on(journal: Journal) -> None:
    stale = await journal.claim("api")
    epoch = await journal.claim("api")
    await journal.append("api", 0, armed(1), epoch=epoch, at=1)

    with pytest.raises(FencedError):
        await journal.append("api", 0, armed(2), epoch=stale, at=2)


@pytest.mark.parametrize("epoch", [0, 1])
async def test_nobody_writes_to_a_stream_without_a_claim(journal: Journal, epoch: int) -> None:
    with pytest.raises(FencedError, match="claim it"):
        await journal.append("api", 0, armed(1), epoch=epoch, at=1)

    assert await journal.streams() == ()


async def test_an_epoch_of_one_stream_is_none_of_another(journal: Journal) -> None:
    await journal.claim("api")
    epoch = await journal.claim("api")
    await journal.claim("web")

    with pytest.raises(FencedError):
        await journal.append("web", 0, armed(1), epoch=epoch, at=1)


async def test_an_append_of_nothing_checks_and_adds_nothing(journal: Journal) -> None:
    epoch = await journal.claim("api")
    await journal.append("api", 0, armed(1), epoch=epoch, at=1)

    assert await journal.append("api", 1, (), epoch=epoch, at=2) == 1
    with pytest.raises(FencedError):
        await journal.append("api", 1, (), epoch=epoch + 1, at=2)
    assert len(await journal.read("api")) == 1


async def test_claims_rise_over_restarts_and_events_stay(open_journal: OpenJournal) -> None:
    epochs = []
    for start in range(4):
        journal = await open_journal()
        epoch = await journal.claim("api")
        epochs.append(epoch)
        await journal.append("api", start, armed(start), epoch=epoch, at=start)
        await journal.close()

    assert epochs == sorted(set(epochs))
    journal = await open_journal()
    assert [stored.epoch for stored in await journal.read("api")] == epochs


async def test_of_two_writers_at_once_one_wins_and_the_other_reloads(open_journal: OpenJournal) -> None:
    handles = [await open_journal(), await open_journal()]
    epoch = await handles[0].claim("api")

    results = await asyncio.gather(
        *(handle.append("api", 0, armed(number, number), epoch=epoch, at=1) for number, handle in enumerate(handles)),
        return_exceptions=True,
    )

    assert sorted(type(result).__name__ for result in results) == ["JournalConflictError", "int"]
    winner = next(number for number, result in enumerate(results) if isinstance(result, int))
    assert [stored.body for stored in await handles[0].read("api")] == list(armed(winner, winner))


async def test_trying_to_write_changes_nothing(journal: Journal) -> None:
    epoch = await journal.claim("api")
    await journal.append("api", 0, armed(1), epoch=epoch, at=1)

    await journal.try_write()

    assert [stored.seq for stored in await journal.read("api")] == [1]
    assert await journal.append("api", 1, armed(2), epoch=epoch, at=2) == 2
    assert await journal.claim("api") == epoch + 1
