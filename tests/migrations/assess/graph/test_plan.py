from watchdog.migrations.assess.graph.effects import Effect, Kind, effects_of
from watchdog.migrations.assess.graph.plan import Operator, names, parts, read_plan


def test_commas_inside_of_maps_texts_and_names_divide_nothing() -> None:
    text = "CREATE (a:`x, y` {b: [1, 2], c: 'p, q'}), SET a.z = f(1, 2)"
    assert list(parts(text)) == ["CREATE (a:`x, y` {b: [1, 2], c: 'p, q'})", "SET a.z = f(1, 2)"]
    assert list(parts("")) == []


def test_quoted_labels_lose_their_quotes() -> None:
    assert names("A|`We ird`&`b``c`") == ("A", "We ird", "b`c")


def test_a_plan_is_read_without_the_database_in_its_names() -> None:
    leaf = {"operatorType": "NodeUniqueIndexSeek(Locking)@neo4j", "args": {"EstimatedRows": 2.0}, "identifiers": []}
    plan = read_plan({"operatorType": "Filter@neo4j", "args": {"Details": "n.x = $p"}, "children": [leaf]})
    assert plan == Operator("Filter", "n.x = $p", 0.0, (Operator("NodeUniqueIndexSeek", "", 2.0),))
    assert plan.narrows
    assert not Operator("Filter", "n:A AND m:B|C", 1.0).narrows


def test_a_name_that_another_stands_for_has_its_labels() -> None:
    scan = Operator("NodeByLabelScan", "p:Person", 9.0)
    plan = Operator("SetProperty", "q.x = $a", 9.0, (Operator("Projection", "p AS q", 9.0, (scan,)),))
    assert list(effects_of(plan)) == [
        Effect(Kind.SET, relationship=False, names=("Person",), properties=("x",), rows=9.0, whole=True)
    ]


def test_names_that_stand_for_each_other_end() -> None:
    plan = Operator("Delete", "a", 1.0, (Operator("Projection", "a AS b, b AS a", 1.0),))
    assert list(effects_of(plan)) == [Effect(Kind.DELETE, relationship=False, names=(), rows=1.0, whole=True)]
