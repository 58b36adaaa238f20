from pathlib import Path

import pytest

from tests.discovery.conftest import Beats
from watchdog.discovery.changes import Reading, Running, State, Version
from watchdog.discovery.memory import Memory
from watchdog.discovery.watch import Watch

READING = Reading(
    at=7,
    versions=frozenset(
        {Version("flyway", "public.t", "1", "1 über", State.BEGUN), Version("a", "b", "c", "d", heads=True)}
    ),
    running=frozenset({Running("17 1.5", "ALTER TABLE a", "psql", 4)}),
    unread={"public.u": "GRANT SELECT"},
)


class Once:
    """Sees one thing."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def read(self) -> Reading:
        return self._reading


def test_what_was_seen_is_there_again_after_a_restart(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "db.json")
    assert memory.load() is None
    memory.keep(Reading(1))
    memory.keep(READING)
    assert Memory(tmp_path / "db.json").load() == READING
    assert [path.name for path in tmp_path.iterdir()] == ["db.json"]
    assert (tmp_path / "db.json").stat().st_mode & 0o777 == 0o600


async def test_a_release_that_went_out_while_nobody_looked_is_found(tmp_path: Path, clock: Beats) -> None:
    memory = Memory(tmp_path / "db.json")
    memory.keep(Reading(1, frozenset({Version("dbmate", "public.t", "1", "1")})))
    later = Reading(90, frozenset({Version("dbmate", "public.t", number, number) for number in "12"}))
    [found] = await Watch(Once(later), memory.load()).look()
    assert (found.versions, found.since, found.at) == (("2",), 1, 90)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"at": "x"}', b'{"at": 1, "versions": 3}', b"null"])
def test_a_file_that_makes_no_sense_is_as_good_as_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "db.json").write_bytes(text)
    assert Memory(tmp_path / "db.json").load() is None
