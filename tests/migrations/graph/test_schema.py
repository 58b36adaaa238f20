import pytest

from watchdog.migrations.graph.schema import after_statement, kept, way_back

INDEX = "CREATE RANGE INDEX `i` FOR (n:`A`) ON (n.`x`)"
OTHER = "CREATE TEXT INDEX `i` FOR (n:`A`) ON (n.`x`)"
CONSTRAINT = "CREATE CONSTRAINT `c` FOR (n:`A`) REQUIRE (n.`y`) IS UNIQUE"


def test_what_was_made_is_dropped_and_what_was_dropped_is_made() -> None:
    before, after = {"INDEX i": INDEX}, {"CONSTRAINT c": CONSTRAINT}
    assert list(way_back(before, after, after)) == ["DROP CONSTRAINT `c`", INDEX]
    assert not list(way_back(before, after, before))


def test_an_index_that_was_changed_is_made_as_before() -> None:
    assert list(way_back({"INDEX i": INDEX}, {"INDEX i": OTHER}, {"INDEX i": OTHER})) == ["DROP INDEX `i`", INDEX]


def test_what_users_made_or_changed_stays() -> None:
    before, after, live = {"INDEX i": INDEX}, {"CONSTRAINT c": CONSTRAINT}, {"INDEX i": OTHER, "INDEX j": INDEX}
    assert not list(way_back(before, after, live))
    assert kept(before, after, live) == ("INDEX i",)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("CREATE INDEX i FOR (a:A) ON (a.x)", 1),
        ("CREATE INDEX FOR (a:A) ON (a.x)", 1),
        ("CREATE INDEX IF NOT EXISTS FOR (a:A) ON (a.x)", 1),
        ("CREATE INDEX FOR (a:B) ON (a.x)", 0),
        ("CREATE INDEX other FOR (a:A) ON (a.x)", 0),
    ],
)
def test_only_what_the_last_statement_names_is_taken_for_its_work(statement: str, found: int) -> None:
    assert after_statement({}, {"INDEX i": INDEX}, statement) == (dict([("INDEX i", INDEX)][:found]))


@pytest.mark.parametrize(("statement", "left"), [("DROP INDEX i", set()), ("drop index j", {"INDEX i"})])
def test_only_what_the_last_statement_names_was_dropped_by_it(statement: str, left: set[str]) -> None:
    assert after_statement({"INDEX i": INDEX}, {}, statement).keys() == left
