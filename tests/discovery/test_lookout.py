from pathlib import Path

from watchdog.discovery.changes import Reading, Running, State, Version
from watchdog.discovery.lookout import Lookout
from watchdog.discovery.memory import Memory
from watchdog.model.releases import Protection, Release
from watchdog.model.time import SECOND
from watchdog.ports.errors import TargetError


class Scripted:
    """Sees one thing after the other; the last again and again."""

    def __init__(self, *looks: Reading | TargetError) -> None:
        self._looks = list(looks)

    async def read(self) -> Reading:
        look = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(look, TargetError):
            raise look
        return look


def dbmate(at: int, *names: str, state: State = State.APPLIED) -> Reading:
    return Reading(at * SECOND, frozenset(Version("dbmate", "public.t", name, name, state) for name in names))


async def test_what_is_new_in_any_target_is_one_release_that_began_at_the_earliest() -> None:
    altering = Reading(30 * SECOND, running=frozenset({Running("1 2", "ALTER TABLE a", "psql", 25 * SECOND)}))
    lookout = Lookout(
        {"db": Scripted(dbmate(10, "1"), dbmate(30, "1", "2")), "other": Scripted(Reading(10 * SECOND), altering)}, {}
    )
    assert await lookout.look() is None
    sighting = await lookout.look()
    assert sighting is not None
    assert sighting.release == Release(
        "found-19700101-000030", ("dbmate: 2", "ALTER TABLE a"), protection=Protection.CODE_ONLY
    )
    assert sighting.began_at == 5 * SECOND
    assert sighting.said == ("db: dbmate in public.t: 2 applied", "other: psql runs ALTER TABLE a")
    assert ["watchdog migration apply" in advice for advice in sighting.advice] == [True, True]
    assert await lookout.look() is None


async def test_what_is_under_way_is_not_over(tmp_path: Path) -> None:
    looks = (dbmate(1), dbmate(2, "1", state=State.BEGUN), dbmate(3, "1"))
    lookout = Lookout({"db": Scripted(*looks)}, {})
    assert not lookout.is_quiet, "nobody has looked yet"
    quiet = []
    for _ in looks:
        await lookout.look()
        quiet.append(lookout.is_quiet)
    assert quiet == [True, False, True]


async def test_a_target_that_is_away_hides_no_other_and_is_compared_with_what_was_there_before() -> None:
    away = TargetError("db does not answer", away=True)
    lookout = Lookout(
        {
            "db": Scripted(dbmate(1, "1"), away, dbmate(9, "1", "2")),
            "other": Scripted(dbmate(1), dbmate(5, "7")),
        },
        {},
    )
    await lookout.look()
    found = await lookout.look()
    assert found is not None
    assert found.said == ("other: dbmate in public.t: 7 applied",)
    assert lookout.troubles == {"db": "db does not answer"}
    assert not lookout.is_quiet
    late = await lookout.look()
    assert late is not None
    assert (late.said, late.began_at) == (("db: dbmate in public.t: 2 applied",), SECOND)
    assert lookout.troubles == {}


async def test_what_was_not_kept_is_found_again_after_a_restart_and_what_was_kept_is_not(tmp_path: Path) -> None:
    memories = {"db": Memory(tmp_path / "db.json")}
    first = Lookout({"db": Scripted(dbmate(1, "1"), dbmate(5, "1", "2"))}, memories)
    await first.look()
    await first.keep()
    assert await first.look() is not None  # The process dies here, before anybody has noted it.
    second = Lookout({"db": Scripted(dbmate(9, "1", "2"))}, memories)
    found = await second.look()
    assert found is not None
    assert found.began_at == SECOND
    await second.keep()
    assert await Lookout({"db": Scripted(dbmate(11, "1", "2"))}, memories).look() is None


async def test_a_memory_that_cannot_be_written_does_not_stop_looking(tmp_path: Path) -> None:
    lookout = Lookout({"db": Scripted(dbmate(1))}, {"db": Memory(tmp_path / "gone" / "db.json")})
    await lookout.look()
    await lookout.keep()
    assert await lookout.look() is None


async def test_places_that_cannot_be_read_are_named_with_their_target() -> None:
    lookout = Lookout({"db": Scripted(Reading(1, unread={"public.t": "GRANT SELECT"}))}, {})
    await lookout.look()
    assert lookout.troubles == {"db: public.t": "GRANT SELECT"}


async def test_what_could_not_be_told_yet_is_one_with_what_is_seen_next() -> None:
    lookout = Lookout({"db": Scripted(dbmate(1), dbmate(5, "1"), dbmate(9, "1", "2"))}, {})
    await lookout.look()
    first, second = await lookout.look(), await lookout.look()
    assert first is not None
    assert second is not None
    both = first.then(second)
    assert both.release is not None
    assert (both.release.migrations, both.began_at) == (("dbmate: 1", "dbmate: 2"), SECOND)
