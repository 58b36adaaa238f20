import pytest

from benchmarks.rollback.hostile import HOSTILE, REFUSED
from watchdog.migrations.concurrent import concurrent
from watchdog.migrations.refusals import refusals, written

# Only the clone or the real rows show these.
HIDDEN = {
    "schema dropped",
    "hidden large object",
    "hidden role",
    "data decides the schema",
    "fails",
    "fails on rows only",
}


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - HIDDEN))
def test_what_cannot_be_taken_back_is_named_with_its_line(name: str) -> None:
    found = refusals("SELECT 1;\n" + REFUSED[name])
    assert found
    assert all(reason.startswith("line 2: ") for reason in found)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_what_can_be_taken_back_is_not_refused(name: str) -> None:
    indexes = concurrent(HOSTILE[name])
    assert refusals(indexes.plain if indexes else HOSTILE[name]) == ()


def test_a_function_may_speak_of_what_a_script_may_not_do() -> None:
    body = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN NOTIFY x; PERFORM lo_creat(-1); END'"
    assert refusals(body) == ()
    assert refusals(body.replace("plpgsql", "plpython3u")) != ()


@pytest.mark.parametrize(
    ("script", "tables"),
    [
        ("WITH x AS (DELETE FROM a.b RETURNING 1) SELECT 1; UPDATE c SET d = 1", {("a", "b"), ("", "c")}),
        ("TRUNCATE a, b; INSERT INTO c VALUES (1)", {("", "a"), ("", "b"), ("", "c")}),
        ("SELECT * FROM a", set()),
    ],
)
def test_the_tables_that_a_script_writes_are_seen(script: str, tables: set[tuple[str, str]]) -> None:
    assert written(script)[0] == tables


def test_only_indexes_may_be_concurrent() -> None:
    found = concurrent("SET work_mem = '1MB'; DROP INDEX CONCURRENTLY i; CREATE INDEX CONCURRENTLY j ON t (a)")
    assert found
    assert len(found.statements) == 3
    assert "CONCURRENTLY" not in found.plain
    assert concurrent("CREATE INDEX CONCURRENTLY i ON t (a); DROP TABLE u") is None


def test_what_is_nested_too_deep_for_the_parser_is_named() -> None:
    [reason] = refusals(f"SELECT {'(' * 400}1{'::int)' * 400}")
    assert "nested too deep" in reason
    assert concurrent(f"SELECT {'(' * 400}1{'::int)' * 400}") is None
