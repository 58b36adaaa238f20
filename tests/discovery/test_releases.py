import pytest

from watchdog.discovery.changes import Change, Discovered
from watchdog.discovery.releases import (
    DISCOVERED,
    advice_for,
    began_at,
    how_to_protect,
    is_discovered,
    release_of,
    sentence,
)
from watchdog.discovery.version_tables import TOOLS
from watchdog.migrations.tools.known import TOOLS as APPLIED_BY
from watchdog.model.releases import Protection, Release


def found(tool: str, change: Change, *versions: str, since: int = 5, gone: tuple[str, ...] = ()) -> Discovered:
    return Discovered(tool, "public.versions", change, versions, since, 9, gone)


def test_what_was_only_discovered_is_a_release_whose_data_is_never_touched() -> None:
    changes = [
        found("flyway", Change.APPLIED, "1", "2"),
        found("ddl", Change.RUNNING, "ALTER TABLE a", since=3),
        found("flyway", Change.APPLIED, "1"),
        found("dbmate", Change.TAKEN_BACK, "7"),
    ]
    assert release_of(changes, "found-1") == Release(
        "found-1", ("flyway: 1", "flyway: 2", "ALTER TABLE a"), protection=Protection.CODE_ONLY
    )
    assert began_at(changes) == 3


def test_what_was_only_taken_back_is_no_release() -> None:
    assert release_of([found("dbmate", Change.TAKEN_BACK, "7")], "found-1") is None


def rollout(old: str, new: str, place: str = "shop/api") -> Discovered:
    return Discovered("kubernetes", place, Change.BEGUN, (new,), 5, 9, (old,))


def test_rollouts_give_the_versions_where_they_go_one_way() -> None:
    changes = [rollout("v1", "v2"), rollout("v1", "v2", "shop/worker"), found("flyway", Change.APPLIED, "1")]
    assert release_of(changes, "found-1") == Release("found-1", ("flyway: 1",), (), "v1", "v2", Protection.CODE_ONLY)
    for other in (rollout("w1", "w2", "shop/worker"), rollout("v1", "v3", "shop/worker")):
        mixed = release_of([rollout("v1", "v2"), other], "found-1")
        assert mixed == Release("found-1", (), protection=Protection.CODE_ONLY)
    restarted = release_of([rollout("v1", "v1")], "found-1")
    assert restarted == Release("found-1", (), protection=Protection.CODE_ONLY)


def test_a_discovered_release_is_known_by_its_name_and_protection() -> None:
    assert is_discovered(f"{DISCOVERED}20260101-000000", Protection.CODE_ONLY)
    assert not is_discovered(f"{DISCOVERED}20260101-000000", Protection.FULL)
    assert not is_discovered("r1", Protection.CODE_ONLY)


def test_the_advice_is_for_the_tool_that_was_seen() -> None:
    assert advice_for(["alembic: two", "ALTER TABLE a"]) == how_to_protect("alembic")
    assert advice_for(["ALTER TABLE a"]) == how_to_protect("ddl")
    assert "watchdog release start" in advice_for([])


@pytest.mark.parametrize("tool", [*TOOLS, "neo4j-migrations", "MigrationLog", "ddl"])
def test_every_tool_has_a_way_to_full_protection(tool: str) -> None:
    said = how_to_protect(tool)
    assert "watchdog migration apply" in said
    if "--tool" in said:
        assert said.partition("--tool ")[2].split()[0] in APPLIED_BY


def test_a_person_reads_what_was_found() -> None:
    many = found("flyway", Change.APPLIED, *"1234567")
    assert sentence(many) == "flyway in public.versions: 1, 2, 3, 4, 5 and 2 more applied"
    assert (
        sentence(found("alembic", Change.APPLIED, "b", gone=("a",))) == "alembic in public.versions: b applied (was a)"
    )
    assert sentence(found("dbmate", Change.TAKEN_BACK, "7", gone=("7",))) == "dbmate in public.versions: 7 taken back"
    assert sentence(Discovered("ddl", "psql", Change.RUNNING, ("DROP TABLE a",), 1, 2)) == "psql runs DROP TABLE a"
