import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from watchdog.leases.freeze import FileFreezeSwitch
from watchdog.ports.errors import WatchdogError

ESCAPES = ["", ".", "..", "../api", "a/b", "/etc/passwd", "_all", ".hidden", "a\0b", "a\n", "-x", "é", "x" * 101]


@pytest.fixture
def switch(tmp_path: Path) -> FileFreezeSwitch:
    return FileFreezeSwitch(tmp_path / "state")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "state" / "freeze"


def test_nothing_is_frozen_at_first_and_looking_makes_no_file(switch: FileFreezeSwitch, tmp_path: Path) -> None:
    assert switch.frozen("api") is None
    assert list(tmp_path.iterdir()) == []


def test_a_frozen_guard_says_who_and_why_and_the_others_act(switch: FileFreezeSwitch) -> None:
    switch.freeze("api", "ana", "load test “A” until noon \udcff")

    assert switch.frozen("api") == ("ana", "load test “A” until noon \udcff")
    assert switch.frozen("web") is None
    assert switch.frozen("api.v2") is None


def test_all_are_frozen_at_once(switch: FileFreezeSwitch) -> None:
    switch.freeze(None, "ana", "stop everything")

    assert switch.frozen("api") == switch.frozen("web") == ("ana", "stop everything")


def test_a_guard_frozen_by_name_stays_so_when_all_are_thawed(switch: FileFreezeSwitch) -> None:
    switch.freeze("api", "ana", "mine")
    switch.freeze(None, "bob", "all")

    assert switch.unfreeze(None, "eve")
    assert switch.frozen("api") == ("ana", "mine")
    assert switch.frozen("web") is None
    assert switch.unfreeze("api", "eve")
    assert switch.frozen("api") is None


def test_all_frozen_holds_a_guard_that_is_thawed_by_name(switch: FileFreezeSwitch) -> None:
    switch.freeze(None, "bob", "all")

    assert not switch.unfreeze("api", "eve")
    assert switch.frozen("api") == ("bob", "all")


def test_thawing_what_is_not_frozen_says_so(switch: FileFreezeSwitch) -> None:
    assert not switch.unfreeze("api", "eve")
    assert not switch.unfreeze(None, "eve")


def test_freezing_again_replaces_the_reason(switch: FileFreezeSwitch, files: Path) -> None:
    switch.freeze("api", "ana", "a long first reason")
    switch.freeze("api", "bob", "second")

    assert switch.frozen("api") == ("bob", "second")
    assert [file.name for file in files.iterdir()] == ["api.json"]


def test_another_process_sees_the_brake(switch: FileFreezeSwitch, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from watchdog.leases.freeze import FileFreezeSwitch; "
        "FileFreezeSwitch(Path(sys.argv[1])).freeze('api', 'ana', 'from the shell')"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "state")], check=True)

    assert switch.frozen("api") == ("ana", "from the shell")


def test_the_daemon_may_read_the_file_when_another_user_made_it(switch: FileFreezeSwitch, files: Path) -> None:
    switch.freeze("api", "root", "why")

    assert stat.S_IMODE((files / "api.json").stat().st_mode) == 0o644


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"who": "ana"}', "\udcff"])
def test_what_cannot_be_read_counts_as_frozen(switch: FileFreezeSwitch, files: Path, text: str) -> None:
    files.mkdir(parents=True)
    (files / "_all.json").write_bytes(text.encode("utf-8", "surrogateescape"))

    frozen = switch.frozen("api")

    assert frozen is not None
    assert str(files / "_all.json") in frozen[1]
    assert switch.unfreeze(None, "eve")
    assert switch.frozen("api") is None


@pytest.mark.parametrize("name", ESCAPES)
def test_no_name_leads_out_of_the_directory(switch: FileFreezeSwitch, tmp_path: Path, name: str) -> None:
    for use in (
        switch.frozen,
        lambda guard: switch.unfreeze(guard, "eve"),
        lambda guard: switch.freeze(guard, "ana", "why"),
        lambda guard: switch.thawed_by(guard, ("ana", "why")),
    ):
        with pytest.raises(WatchdogError, match="cannot be a guard's name"):
            use(name)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["api", "compliance-api", "API_2.eu", "7", "x" * 100])
def test_ordinary_names_are_guards(switch: FileFreezeSwitch, name: str) -> None:
    switch.freeze(name, "ana", "why")

    assert switch.frozen(name) == ("ana", "why")


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    switch = FileFreezeSwitch(tmp_path / "state")

    with pytest.raises(WatchdogError, match=r"Cannot freeze: .*api\.json cannot be written"):
        switch.freeze("api", "ana", "why")
    frozen = switch.frozen("api")
    assert frozen is not None
    assert frozen[0] == "unknown"


def test_a_freeze_that_fails_half_way_leaves_the_earlier_one(
    switch: FileFreezeSwitch, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch.freeze("api", "ana", "first")

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("watchdog.leases.freeze.os.fsync", full)
    with pytest.raises(WatchdogError, match="No space left"):
        switch.freeze("api", "bob", "second")

    assert switch.frozen("api") == ("ana", "first")
    assert json.loads((files / "api.json").read_text())["who"] == "ana"
    assert len(list(files.iterdir())) == 1


def test_who_thawed_is_on_record_for_the_freeze_that_it_ended(switch: FileFreezeSwitch, files: Path) -> None:
    switch.freeze("api", "ana", "drill")
    assert switch.thawed_by("api", ("ana", "drill")) is None
    switch.unfreeze("api", "eve")
    assert switch.thawed_by("api", ("ana", "drill")) == "eve"
    # Frozen again, and the file taken away by hand: nobody has said who that was.
    switch.freeze("api", "ana", "for real")
    (files / "api.json").unlink()
    assert switch.thawed_by("api", ("ana", "for real")) is None


def test_of_two_freezes_the_one_who_ended_the_last_counts(switch: FileFreezeSwitch) -> None:
    switch.freeze(None, "ana", "all")
    switch.freeze("api", "bob", "mine")
    switch.unfreeze(None, "eve")
    switch.unfreeze("api", "kim")
    assert switch.thawed_by("api", ("ana", "all")) == "kim"
    assert switch.thawed_by("web", ("ana", "all")) == "eve"


def test_a_note_that_cannot_be_written_keeps_nobody_from_thawing(
    switch: FileFreezeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch.freeze("api", "ana", "why")

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("watchdog.leases.freeze.os.fsync", full)
    assert switch.unfreeze("api", "eve")
    assert switch.frozen("api") is None
    assert switch.thawed_by("api", ("ana", "why")) is None
