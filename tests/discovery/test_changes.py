from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.discovery.changes import Change, Discovered, Reading, Running, State, Version, carry, compare

PLACE = "public.flyway_schema_history"


def flyway(*numbers: int, state: State = State.APPLIED) -> set[Version]:
    return {Version("flyway", PLACE, str(number), f"V{number}", state) for number in numbers}


def heads(tool: str, *keys: str, state: State = State.APPLIED) -> set[Version]:
    return {Version(tool, f"public.{tool}", key, key, state, heads=True) for key in keys}


def reading(at: int, versions: Any = (), **more: Any) -> Reading:
    return Reading(at, frozenset(versions), **more)


def found(before: Any, after: Any) -> list[tuple[Change, tuple[str, ...], tuple[str, ...]]]:
    return [(one.change, one.versions, one.gone) for one in compare(reading(1, before), reading(5, after))]


def test_the_first_look_knows_no_past() -> None:
    assert compare(None, reading(5, flyway(1, 2))) == ()


def test_new_rows_are_one_change_begun_after_the_look_that_did_not_show_them() -> None:
    assert compare(reading(1, flyway(1)), reading(5, flyway(1, 2, 3))) == (
        Discovered("flyway", PLACE, Change.APPLIED, ("V2", "V3"), since=1, at=5),
    )
    assert compare(reading(1, flyway(1)), reading(5, flyway(1))) == ()


def test_a_row_that_says_something_new_is_a_change() -> None:
    begun = flyway(1, state=State.BEGUN)
    assert found(set(), begun) == [(Change.BEGUN, ("V1",), ())]
    assert found(begun, flyway(1)) == [(Change.APPLIED, ("V1",), ())]
    assert found(begun, flyway(1, state=State.FAILED)) == [(Change.FAILED, ("V1",), ())]
    assert found(flyway(1), flyway(1, state=State.ROLLED_BACK)) == [(Change.TAKEN_BACK, ("V1",), ())]


def test_rows_that_went_away_were_taken_back() -> None:
    assert found(flyway(1, 2), flyway(1)) == [(Change.TAKEN_BACK, ("V2",), ("V2",))]
    assert found(flyway(1, 2), flyway(1, 3)) == [
        (Change.APPLIED, ("V3",), ()),
        (Change.TAKEN_BACK, ("V2",), ("V2",)),
    ]


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (("a1",), ("b2",), Change.APPLIED),
        (("7",), ("8",), Change.APPLIED),
        (("8",), ("7",), Change.TAKEN_BACK),
        (("10",), ("9",), Change.TAKEN_BACK),
    ],
)
def test_where_a_tool_keeps_only_its_head_the_old_one_is_no_change_of_its_own(
    before: tuple[str, ...], after: tuple[str, ...], change: Change
) -> None:
    assert found(heads("migrate", *before), heads("migrate", *after)) == [(change, after, before)]
    assert found(heads("migrate", *before), set()) == [(Change.TAKEN_BACK, before, before)]


def test_a_migration_down_that_is_under_way_is_begun() -> None:
    assert found(heads("migrate", "8"), heads("migrate", "7", state=State.BEGUN)) == [(Change.BEGUN, ("7",), ("8",))]


def test_a_table_that_becomes_readable_is_no_release() -> None:
    blind = reading(1, unread={PLACE: "GRANT SELECT"})
    assert compare(blind, reading(5, flyway(1, 2))) == ()
    assert compare(reading(1, flyway(1)), reading(5, unread={PLACE: "a lock"})) == ()


def test_what_was_known_is_kept_while_it_cannot_be_read() -> None:
    blind = carry(reading(1, flyway(1)), reading(5, unread={PLACE: "a lock"}))
    assert blind.unread == {PLACE: "a lock"}
    assert compare(blind, reading(9, flyway(1, 2))) == (
        Discovered("flyway", PLACE, Change.APPLIED, ("V2",), since=5, at=9),
    )


def test_a_schema_with_the_same_versions_as_another_is_a_tenant_and_no_release() -> None:
    tenant = {Version("flyway", "tenant_2.flyway_schema_history", "1", "V1")}
    assert found(flyway(1), flyway(1) | tenant) == []
    newer = {Version("flyway", "tenant_2.flyway_schema_history", "2", "V2")}
    assert found(flyway(1), flyway(1) | tenant | newer) == [(Change.APPLIED, ("V1", "V2"), ())]


def test_a_session_that_changes_the_schema_is_told_once() -> None:
    first, second = (Running("17 1.5", f"ALTER TABLE {name}", "psql", age=4) for name in ("a", "b"))
    other = Running("18 1.5", "DROP TABLE c")
    begun = compare(None, reading(10, running=frozenset({first})))
    assert begun == (Discovered("ddl", "psql", Change.RUNNING, ("ALTER TABLE a",), since=6, at=10),)
    next_look = reading(12, running=frozenset({second, other}))
    assert [one.versions for one in compare(reading(10, running=frozenset({first})), next_look)] == [("DROP TABLE c",)]
    assert not next_look.is_quiet
    assert not reading(1, flyway(1, state=State.BEGUN)).is_quiet
    assert reading(1, flyway(1)).is_quiet


_versions = st.frozensets(
    st.builds(
        Version,
        st.sampled_from(["flyway", "migrate"]),
        st.sampled_from(["a.t", "b.t"]),
        st.sampled_from("123"),
        st.just("name"),
        st.sampled_from(State),
        st.booleans(),
    )
)
_readings = st.lists(
    st.builds(Reading, st.just(0), _versions, unread=st.dictionaries(st.sampled_from(["a.t", "b.t"]), st.just("why")))
)


@given(_readings)
def test_no_sequence_of_looks_raises_and_the_same_look_twice_says_nothing(looks: list[Reading]) -> None:
    before = None
    for look in looks:
        assert all(one.versions for one in compare(before, look))
        before = carry(before, look)
        assert compare(before, look) == ()
