from tests.migrations.graph.conftest import Graph
from watchdog.migrations.graph.apply import apply_cypher
from watchdog.migrations.graph.rollback import rollback_graph

TIMES = {
    "z": "datetime('2020-07-01T10:00:00Z')",
    "utc": "datetime('2020-07-01T10:00:00[UTC]')",
    "offset": "datetime('2020-07-01T10:00:00.000000001+00:30')",
    "zone": "datetime('2020-10-25T02:30:00+02:00[Europe/Berlin]')",
    "local": "localdatetime('2020-07-01T10:00:00')",
    "clock": "time('10:00:00Z')",
    "list": "[datetime('2020-07-01T10:00:00Z'), datetime('2020-07-01T11:00:00+01:00')]",
}
SAID = "MATCH (t:Times) RETURN t.z, t.utc, t.offset, t.zone, t.local, t.clock, t.list[0], t.list[1]"


async def test_times_come_back_with_their_offset_or_their_zone(graph: Graph) -> None:
    await graph.run(f"CREATE (:Times {{{', '.join(f'{name}: {value}' for name, value in TIMES.items())}}})")
    as_text = SAID.replace("t.", "toString(t.").replace(",", "),") + ")"
    before = await graph.rows(as_text)
    assert before[0][:2] == ["2020-07-01T10:00:00Z", "2020-07-01T10:00:00Z[UTC]"]
    for script in ("MATCH (t:Times) SET t = {gone: true};", "MATCH (t:Times) DELETE t;"):
        applied = await apply_cypher(graph.target, script)
        await rollback_graph(graph.target, applied.run)
        assert await graph.rows(as_text) == before
