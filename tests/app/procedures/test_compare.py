from dataclasses import replace

import pytest

from watchdog.app.procedures.compare import Limits, indexes_part, rows_part, statements_part
from watchdog.app.procedures.parts import Outcome
from watchdog.app.procedures.snapshot import Scans, Statement, Usage

BEFORE = Usage(
    rows={"public.orders": 100, "public.log": 10},
    indexes={"public.orders_customer": 7},
    scans={"public.orders": Scans(10, 990, 100_000)},
    statements={"1": Statement("SELECT ?", 1000, 2000.0)},
)


def now(calls: int, milliseconds: float) -> Usage:
    """So many calls more, which took so long together."""
    return replace(BEFORE, statements={"1": Statement("SELECT ?", 1000 + calls, 2000.0 + milliseconds)})


@pytest.mark.parametrize(
    ("rows", "outcome", "said"),
    [
        ({"public.orders": 150, "public.log": 10, "public.new": 5}, Outcome.OK, "165 rows in 3 tables, 55 more"),
        ({"public.orders": 96, "public.log": 10}, Outcome.OK, "106 rows"),
        ({"public.orders": 94, "public.log": 10}, Outcome.FAILED, "public.orders has 94 rows, 6 fewer than before"),
        ({"public.orders": 100}, Outcome.FAILED, "public.log is not there any more, it had 10 rows"),
    ],
)
def test_a_table_may_grow_and_shrink_no_more_than_allowed(rows: dict[str, int], outcome: Outcome, said: str) -> None:
    part = rows_part("rows", BEFORE, replace(BEFORE, rows=rows), (), Limits(shrink=0.05))
    assert part.outcome is outcome
    assert said in "".join((part.detail, *part.lines))


def test_a_table_that_could_not_be_counted_is_not_gone() -> None:
    part = rows_part("rows", BEFORE, replace(BEFORE, rows={"public.orders": 100}), ("public.log: no right",), Limits())
    assert (part.outcome, part.lines) == (Outcome.NOT_RUN, ("public.log: no right",))


def test_an_index_that_was_made_since_must_be_used() -> None:
    used = replace(BEFORE, indexes={**BEFORE.indexes, "public.fresh": 3})
    assert indexes_part("indexes", BEFORE, used, Limits()).outcome is Outcome.OK
    idle = replace(BEFORE, indexes={"public.orders_customer": 7, "public.fresh": 0, "public.more": 1})
    part = indexes_part("indexes", BEFORE, idle, Limits())
    assert part.lines == ("index public.fresh is new, and no query has used it yet",)
    assert part.numbers == {"new_indexes": 2, "unused_new_indexes": 1}


@pytest.mark.parametrize(
    ("scans", "wrong"),
    [
        (Scans(20, 1980, 100_000), False),
        (Scans(19, 991, 100_000), False),
        (Scans(110, 1090, 100_000), True),
        (Scans(110, 1090, 900), False),
        (Scans(50, 0, 100_000), True),
    ],
    ids=["same share", "few", "half of them", "small table", "statistics were reset"],
)
def test_a_table_that_is_read_whole_more_often_than_before_is_a_finding(scans: Scans, *, wrong: bool) -> None:
    after = replace(BEFORE, rows={}, scans={"public.orders": scans})
    part = indexes_part("indexes", BEFORE, after, Limits())
    assert (part.outcome is Outcome.FAILED) is wrong, part


def test_scans_of_before_do_not_count_when_all_statistics_were_reset() -> None:
    after = replace(BEFORE, rows={}, since="2025-01-08", scans={"public.orders": Scans(12, 991, 100_000)})
    assert indexes_part("indexes", BEFORE, after, Limits()).outcome is Outcome.OK
    whole = replace(after, scans={"public.orders": Scans(900, 991, 100_000)})
    part = indexes_part("indexes", BEFORE, whole, Limits())
    assert "was read whole 900 times since" in part.lines[0]


@pytest.mark.parametrize(
    ("calls", "milliseconds", "outcome"),
    [
        (100, 390.0, Outcome.OK),
        (100, 410.0, Outcome.FAILED),
        (4, 4000.0, Outcome.NOT_RUN),
        (0, 0.0, Outcome.NOT_RUN),
    ],
)
def test_a_query_is_slow_when_it_takes_a_stated_factor_longer_since(
    calls: int, milliseconds: float, outcome: Outcome
) -> None:
    assert statements_part("times", BEFORE, now(calls, milliseconds), Limits(slower=2.0)).outcome is outcome


def test_the_slowest_comes_first_and_a_fast_query_is_never_slow() -> None:
    before = replace(
        BEFORE,
        statements={
            "1": Statement("one", 10, 100.0),
            "2": Statement("two", 10, 20.0),
            "3": Statement("quick", 10, 0.1),
        },
    )
    since = replace(
        before,
        statements={
            "1": Statement("one", 20, 400.0),
            "2": Statement("two", 20, 400.0),
            "3": Statement("quick", 20, 2.0),
        },
    )
    part = statements_part("times", before, since, Limits())
    assert [line.rpartition(" ")[2] for line in part.lines] == ["two", "one"]
    assert part.lines[1] == "0.0300 s in the mean, 0.0100 s before: one"


def test_statistics_that_were_reset_count_from_there() -> None:
    reset = replace(BEFORE, statements={"1": Statement("SELECT ?", 10, 100.0)})
    assert statements_part("times", BEFORE, reset, Limits()).outcome is Outcome.FAILED


def test_without_a_snapshot_nothing_is_compared() -> None:
    for part in (
        rows_part("rows", None, BEFORE, (), Limits()),
        indexes_part("indexes", None, BEFORE, Limits()),
        statements_part("times", None, BEFORE, Limits()),
    ):
        assert part.outcome is Outcome.NOT_RUN
        assert "--save" in part.detail
    nobody = replace(BEFORE, statements=None, no_statements="not there")
    assert statements_part("times", BEFORE, nobody, Limits()).detail == "not there"
    assert "has no query times" in statements_part("times", nobody, BEFORE, Limits()).detail
