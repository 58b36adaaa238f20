from pathlib import Path

from watchdog.demo import ledger
from watchdog.demo.ledger import Line, Writer, acknowledged, fingerprint, read


def _write(path: Path, *lines: Line) -> None:
    writer = Writer.open(path)
    for line in lines:
        writer.add(line)
    writer.close()


def test_a_later_acknowledged_value_supersedes_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    _write(path, Line("users", "1", "old", 1, acknowledged=True), Line("users", "1", "new", 2, acknowledged=True))
    entry = read(path)["users", "1"]
    assert entry.accepted == {"new"}
    assert entry.last_at == 2


def test_an_uncertain_value_stands_beside_the_acknowledged_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    _write(path, Line("users", "1", "sure", 1, acknowledged=True), Line("users", "1", "perhaps", 2, acknowledged=False))
    assert read(path)["users", "1"].accepted == {"sure", "perhaps"}


def test_a_success_after_an_uncertain_value_settles_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    _write(path, Line("users", "1", "perhaps", 1, acknowledged=False), Line("users", "1", "sure", 2, acknowledged=True))
    assert read(path)["users", "1"].accepted == {"sure"}


def test_a_key_that_was_never_acknowledged_need_not_be_there(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    _write(
        path, Line("users", "1", "perhaps", 1, acknowledged=False), Line("documents", "1", "sure", 2, acknowledged=True)
    )
    assert acknowledged(read(path), "users") == {}
    assert acknowledged(read(path), "documents").keys() == {"1"}


def test_lines_from_before_the_start_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    _write(path, Line("users", "1", "a", 1, acknowledged=True), Line("users", "2", "b", 5, acknowledged=True))
    assert read(path, since=5).keys() == {("users", "2")}


def test_a_last_line_cut_short_by_a_kill_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    _write(path, Line("users", "1", "a", 1, acknowledged=True))
    path.write_text(path.read_text() + '{"store": "users", "ke')
    assert read(path).keys() == {("users", "1")}


def test_writing_goes_on_at_the_end_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    _write(path, Line("users", "1", "a", 1, acknowledged=True))
    _write(path, Line("users", "2", "b", 2, acknowledged=True))
    assert len(read(path)) == 2


def test_a_missing_file_is_an_empty_ledger(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == {}


def test_a_fingerprint_does_not_depend_on_order_or_on_numbers_being_text() -> None:
    assert fingerprint({"a": 1, "b": {"c": 2}}) == fingerprint({"b": {"c": "2"}, "a": "1"})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_every_store_says_which_fields_count() -> None:
    assert set(ledger.FIELDS) == {"users", "assessments", "documents", "preferences", "sessions"}
