import pytest

from tests.actions.conftest import Plain
from watchdog.ports.errors import TargetError
from watchdog.targets.neo4j import Neo4jOptions, Neo4jTarget


@pytest.mark.parametrize(
    "url",
    [
        *("bolt://127.0.0.1:abc", "bolt://127.0.0.1:99999", "http://127.0.0.1", "bolt://", "127.0.0.1:7687"),
        *("bolt://u:p/hunter2@127.0.0.1", "bolt://u:99/hunter2@127.0.0.1"),
    ],
)
async def test_an_address_that_is_none_is_told_without_showing_it(url: str) -> None:
    target = Neo4jTarget("graph", Neo4jOptions(url=url, user="neo4j", password=Plain("hunter2")))
    with pytest.raises(TargetError, match="target graph is no Neo4j address") as caught:
        target.session()
    assert "hunter2" not in str(caught.value)
    assert target.place == "graph"


def test_a_place_shows_no_login() -> None:
    target = Neo4jTarget("graph", Neo4jOptions(url="neo4j://me:hunter2@db.example", user="", password=Plain("")))
    assert target.place == "graph (db.example:7687/neo4j)"
