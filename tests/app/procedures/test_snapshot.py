from pathlib import Path

import pytest

from watchdog.app.procedures.snapshot import Scans, Snapshot, SnapshotError, Statement, Usage, read, save

SNAPSHOT = Snapshot(
    "shop",
    "2025-01-08T09:30:00.250Z",
    {"db": Usage({"public.t": 3}, {"public.i": 1}, {"public.t": Scans(1, 2, 3)}, {"7": Statement("SELECT ?", 1, 0.5)})},
    {"negative": 2.0},
)


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    save(SNAPSHOT, tmp_path / "s.json")
    assert read(tmp_path / "s.json", "shop") == SNAPSHOT


def test_a_snapshot_without_query_times_says_why(tmp_path: Path) -> None:
    usage = Usage({}, {}, {}, None, "the extension is not there")
    save(Snapshot("shop", "now", {"db": usage}), tmp_path / "s.json")
    assert read(tmp_path / "s.json", "shop").databases["db"] == usage


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"version": 2}', '{"version": 1}', '{"version": 1, "guard": 7}']
)
def test_a_file_that_is_none_is_wrong_use(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(SnapshotError, match=r"is no snapshot.*watchdog validate") as caught:
        read(tmp_path / "s.json", "shop")
    assert caught.value.exit_status == 2


def test_one_of_another_guard_and_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    save(SNAPSHOT, tmp_path / "s.json")
    with pytest.raises(SnapshotError, match="of guard shop, not of till"):
        read(tmp_path / "s.json", "till")
    with pytest.raises(SnapshotError, match="cannot be read"):
        read(tmp_path / "nowhere.json", "shop")
    with pytest.raises(SnapshotError, match="cannot be written"):
        save(SNAPSHOT, tmp_path / "nowhere" / "s.json")
