import pytest

from watchdog.migrations.assess.grade import assess
from watchdog.migrations.assess.values import Finding, Severity


def _found(rule: str, text: str, *, autocommit: bool = False) -> list[Finding]:
    return [each for each in assess(text, autocommit=autocommit).findings if each.rule == rule]


@pytest.mark.parametrize(
    "setting",
    ["SET lock_timeout = '2s'", "SET LOCAL lock_timeout = 500", "SELECT set_config('lock_timeout', '2s', false)"],
)
def test_with_a_lock_timeout_nobody_queues_behind_it(setting: str) -> None:
    assert _found("no-lock-timeout", "ALTER TABLE a ADD COLUMN b int")
    assert not _found("no-lock-timeout", f"{setting}; ALTER TABLE a ADD COLUMN b int")


@pytest.mark.parametrize("setting", ["SET lock_timeout = 0", "SET lock_timeout TO DEFAULT", "RESET lock_timeout"])
def test_a_lock_timeout_that_is_off_is_none(setting: str) -> None:
    assert _found("no-lock-timeout", f"{setting}; ALTER TABLE a ADD COLUMN b int")


def test_it_is_said_once() -> None:
    assert len(_found("no-lock-timeout", "ALTER TABLE a ADD COLUMN b int; ALTER TABLE c ADD COLUMN d int")) == 1


def test_what_blocks_nobody_needs_no_lock_timeout() -> None:
    assert not _found("no-lock-timeout", "CREATE TABLE a (b int); ALTER TABLE a ADD COLUMN c int; SELECT 1")


def test_concurrently_between_begin_and_commit_fails() -> None:
    [found] = _found("in-transaction", "BEGIN; CREATE INDEX CONCURRENTLY ON a (b); COMMIT")
    assert found.severity is Severity.HIGH
    assert "25001" in found.message


def test_concurrently_beside_others_belongs_into_a_file_of_its_own() -> None:
    text = "CREATE INDEX CONCURRENTLY ON a (b); CREATE INDEX CONCURRENTLY ON a (c)"
    assert {each.severity for each in _found("in-transaction", text)} == {Severity.MEDIUM}
    assert not _found("in-transaction", text, autocommit=True)
    assert not _found("in-transaction", "CREATE INDEX CONCURRENTLY ON a (b)")


def test_a_long_statement_after_a_lock_holds_it_that_long() -> None:
    [found] = _found("after-a-lock", "ALTER TABLE a ADD COLUMN b int;\nUPDATE a SET b = 1;")
    assert (found.line, found.severity) == (2, Severity.HIGH)
    assert "line 1 still holds ACCESS EXCLUSIVE on public.a" in found.message


def test_a_commit_between_them_gives_the_lock_back() -> None:
    assert not _found(
        "after-a-lock", "BEGIN; ALTER TABLE a ADD COLUMN b int; COMMIT; BEGIN; UPDATE a SET b = 1; COMMIT"
    )
    assert _found("after-a-lock", "BEGIN; ALTER TABLE a ADD COLUMN b int; UPDATE a SET b = 1; COMMIT")


def test_statements_by_themselves_hold_nothing_on() -> None:
    assert not _found("after-a-lock", "ALTER TABLE a ADD COLUMN b int; UPDATE a SET b = 1", autocommit=True)


def test_validating_in_the_same_transaction_gains_nothing() -> None:
    text = "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID; ALTER TABLE a VALIDATE CONSTRAINT c"
    assert _found("after-a-lock", text)


def test_several_alters_of_one_table_become_one() -> None:
    [found] = _found(
        "could-be-one", "ALTER TABLE a ADD b int;\nSELECT 1;\nALTER TABLE a ADD c int; ALTER TABLE d ADD e int"
    )
    assert (found.line, found.severity) == (3, Severity.LOW)
    assert found.safe == "ALTER TABLE a ADD COLUMN b int, ADD COLUMN c int;"


def test_two_rewrites_of_one_table_are_worse() -> None:
    [found] = _found("could-be-one", "ALTER TABLE a ALTER b TYPE bigint; ALTER TABLE a ALTER c TYPE bigint")
    assert found.severity is Severity.MEDIUM


def test_a_new_enum_value_cannot_be_used_at_once() -> None:
    text = "ALTER TYPE mood ADD VALUE 'great';\nUPDATE a SET mood = 'great' WHERE b = 1;"
    [found] = _found("enum-value-used", text)
    assert (found.line, found.severity) == (2, Severity.HIGH)
    assert not _found("enum-value-used", text, autocommit=True)
    assert not _found("enum-value-used", "ALTER TYPE mood ADD VALUE 'great'; UPDATE a SET mood = 'good'")


def test_two_statements_on_one_line_each_have_their_own_findings() -> None:
    found = assess("SELECT 1; SELECT 1; ALTER TABLE a ADD b int; ALTER TABLE a ADD c int").findings
    assert [each.rule for each in found].count("could-be-one") == 1
