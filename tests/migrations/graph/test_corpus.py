from collections import Counter

import pytest

from tests.migrations.graph.conftest import Graph, taken_back
from tests.migrations.graph.corpus import MIGRATIONS


@pytest.mark.parametrize("name", MIGRATIONS)
async def test_a_data_migration_is_taken_back_as_if_only_users_had_written(
    graph: Graph, users_alone: Counter[str], name: str
) -> None:
    await taken_back(graph, MIGRATIONS[name], users_alone, idle=name in {"merge nothing", "write what is there"})
