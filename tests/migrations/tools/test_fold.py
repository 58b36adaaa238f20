from watchdog.migrations.tools.fold import ByKey, ByRow, Columns, Event, Row

KEYED = Columns(before=(1, 2, 3), after=(1, 2, 4), key=(1,))
"""Column 3 is dropped by the tool, column 4 is added."""
OLD = frozenset({1, 2, 3})
NEW = frozenset({1, 2})
BOTH = frozenset({1, 2, 4})


SAME = frozenset({1, 2})


def write(
    op: str, old: Row | None, new: Row | None, *, by_tool: bool = False,
    was: frozenset[int] = SAME, now: frozenset[int] = SAME,
) -> Event:  # fmt: skip
    return Event(by_tool, op, old, new, was, now)


def user(op: str, old: Row | None = None, new: Row | None = None, *, early: bool = True) -> Event:
    return write(op, old, new, was=OLD if early else NEW, now=NEW if early else BOTH)


def tool(op: str, old: Row | None = None, new: Row | None = None) -> Event:
    return write(op, old, new, by_tool=True, was=OLD, now=NEW)


def row(key: int, two: str, three: str | None = None, four: str | None = None) -> Row:
    found: Row = {1: str(key), 2: two}
    return found | ({3: three} if three else {}) | ({4: four} if four else {})


def folded(before: list[Row], after: list[Row], *events: Event) -> tuple[list[Row], list[Row]]:
    fold = ByKey(KEYED, before, after)
    for event in events:
        fold.add(event)
    result = fold.result()
    assert result.unplaced == []
    return result.before, result.after


def test_what_users_wrote_before_the_tool_belongs_to_before() -> None:
    update = user("U", row(1, "a", "x"), row(1, "b", "y"))
    insert = user("I", None, row(2, "c", "z"))
    after = [row(1, "B"), row(2, "c")]
    assert folded([row(1, "a", "x")], after, update, insert, tool("U", row(1, "b", "y"), row(1, "B", "y"))) == (
        [row(1, "b", "y"), row(2, "c", "z")],
        after,
    )


def test_what_users_wrote_over_the_tools_value_is_no_longer_the_tools() -> None:
    events = (
        tool("U", row(1, "a", "x"), row(1, "A", "x")),
        user("U", row(1, "A", "x"), row(1, "mine", "x")),
        user("U", row(1, "mine", "x"), row(1, "again", "x")),
    )
    assert folded([row(1, "a", "x")], [row(1, "again")], *events) == ([row(1, "a", "x")], [row(1, "A")])


def test_a_column_that_the_tool_did_not_touch_keeps_the_users_value_beside_one_that_it_did() -> None:
    events = (tool("U", row(1, "a", "x"), row(1, "A", "x")), user("U", row(1, "A", "x"), row(1, "A", "mine")))
    assert folded([row(1, "a", "x")], [row(1, "A")], *events)[0] == [row(1, "a", "mine")]


def test_the_users_last_word_comes_back_when_the_tool_writes_over_it() -> None:
    events = (
        tool("U", row(1, "a", "x"), row(1, "A", "x")),
        user("U", row(1, "A", "x"), row(1, "mine", "x")),
        tool("U", row(1, "mine", "x"), row(1, "MINE", "x")),
    )
    assert folded([row(1, "a", "x")], [row(1, "MINE")], *events) == ([row(1, "mine", "x")], [row(1, "MINE")])


def test_a_value_of_a_column_that_goes_later_is_kept_although_the_tool_wrote_it_first() -> None:
    events = (tool("U", row(1, "a", "x"), row(1, "a", "t")), user("U", row(1, "a", "t"), row(1, "a", "mine")))
    assert folded([row(1, "a", "x")], [row(1, "a")], *events)[0] == [row(1, "a", "mine")]


def test_a_row_inserted_into_the_new_shape_is_later() -> None:
    insert = user("I", None, row(2, "c", four="f"), early=False)
    assert folded([], [row(2, "c", four="f")], insert) == ([], [])


def test_a_row_that_users_deleted_is_in_neither_image() -> None:
    assert folded([row(1, "a", "x")], [], user("D", row(1, "a", "x"))) == ([], [])
    late = user("D", row(1, "a", four="f"), early=False)
    assert folded([row(1, "a", "x")], [], late) == ([], [])


def test_a_row_put_where_the_tool_deleted_one_is_the_users() -> None:
    events = (tool("D", row(1, "a", "x")), user("I", None, row(1, "mine", "y")))
    assert folded([row(1, "a", "x")], [row(1, "mine")], *events) == ([row(1, "a", "x")], [])


def test_another_key_is_a_row_gone_and_a_row_come() -> None:
    move = user("U", row(1, "a", "x"), row(2, "a", "x"))
    assert folded([row(1, "a", "x")], [row(2, "a")], move) == ([row(2, "a", "x")], [row(2, "a")])


def test_emptying_a_table_is_kept_apart_by_who_did_it() -> None:
    fold = ByKey(KEYED, [row(1, "a", "x")], [row(2, "b")])
    fold.add(user("T"))
    fold.add(user("I", None, row(2, "b", "y")))
    assert fold.result().emptied
    assert fold.result().before == [row(2, "b", "y")]
    theirs = (tool("T"), user("I", None, row(1, "mine", "y")))
    assert folded([row(1, "a", "x")], [row(1, "mine")], *theirs) == ([row(1, "a", "x")], [])


def test_what_fits_neither_shape_is_said() -> None:
    fold = ByKey(KEYED, [row(1, "a", "x")], [row(1, "a")])
    fold.add(write("U", row(1, "a"), row(1, "b"), was=frozenset({1}), now=frozenset({1})))
    assert fold.result().unplaced == [row(1, "b")]


ROWS = Columns(before=(1, 2), after=(1, 2), key=())


def by_row(before: list[Row], after: list[Row], *events: Event) -> tuple[list[Row], list[Row]]:
    fold = ByRow(ROWS, before, after)
    for event in events:
        fold.add(event)
    return fold.result().before, fold.result().after


def test_of_equal_rows_one_goes() -> None:
    twice = [row(1, "a"), row(1, "a")]
    assert by_row(twice, [row(1, "a")], write("D", row(1, "a"), None)) == ([row(1, "a")], [row(1, "a")])


def test_a_row_of_the_tools_that_users_changed_leaves_the_image_after() -> None:
    events = (write("U", row(1, "a"), row(1, "A"), by_tool=True), write("U", row(1, "A"), row(1, "mine")))
    assert by_row([row(1, "a")], [row(1, "mine")], *events) == ([row(1, "a")], [row(1, "A")])


def test_users_rows_in_the_new_shape_are_later() -> None:
    insert = write("I", None, row(2, "b"), was=frozenset({1}))
    assert by_row([], [row(2, "b")], insert) == ([], [])
