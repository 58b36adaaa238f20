from collections import Counter

import pytest

from tests.migrations.graph.conftest import Graph
from tests.migrations.graph.corpus import MIGRATIONS, USERS
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.rollback import rollback_graph


@pytest.mark.parametrize("name", MIGRATIONS)
async def test_a_migration_is_taken_back_as_if_only_users_had_written(
    graph: Graph, users_alone: Counter[str], name: str
) -> None:
    script = MIGRATIONS[name]
    seeded = await graph.picture()
    first = await apply_cypher(graph.target, script)
    changed = await graph.picture()
    assert (changed == seeded) == (name in {"merge nothing", "write what is there", "index there already"})
    await graph.run(*USERS)
    await rollback_graph(graph.target, first.run)
    restored = await graph.picture()
    second = await apply_cypher(graph.target, script)
    await rollback_graph(graph.target, second.run)
    again = await graph.picture()
    assert not restored - users_alone
    assert not users_alone - restored
    assert again == users_alone
