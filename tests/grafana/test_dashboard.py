import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from grafana.dashboard import FILE, WIDTH, dashboard
from tests.web.conftest import Site, watching
from tests.web.test_metrics import break_release
from watchdog.model.time import HOUR, MINUTE, SECOND
from watchdog.web.metrics import registry
from watchdog.web.reversibility import Kept

MADE = dashboard()
PANELS: list[dict[str, Any]] = [panel for panel in MADE["panels"] if panel["type"] != "row"]
QUERIES: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]
ADDED_BY_PROMETHEUS = {"job", "instance"}

KEPT = Kept(1, "", predicted=SECOND, until=HOUR, backup_age=MINUTE)

Known = dict[str, set[str]]
"""The labels of each metric."""


def look(known: Known, site: Site) -> None:
    """Adds what the daemon exposes now; a family that has no sample now is known without labels."""
    for family in text_string_to_metric_families(generate_latest(registry(site.daemon, lambda _guard: KEPT)).decode()):
        suffix = {"counter": "_total"}.get(family.type, "")
        known.setdefault(f"{family.name}{suffix}", set())
        for sample in family.samples:
            known.setdefault(sample.name, set()).update(sample.labels)


@pytest.fixture
async def known() -> Known:
    """Every metric of a daemon that has gone through an incident, with the labels it was seen with."""
    found: Known = {}
    async with watching() as site:
        site.may_act.clear()
        await break_release(site)
        look(found, site)
        site.may_act.set()
        await site.seconds(40)
        look(found, site)
    return found


def selectors(query: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric in a query with the labels that it is narrowed by."""
    for name, narrowed in re.findall(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}", query):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", narrowed))


def test_the_committed_file_is_what_the_script_makes() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == MADE, "run: python grafana/dashboard.py"


def test_every_metric_of_a_query_exists_with_the_labels_it_uses(known: Known) -> None:
    for query in QUERIES:
        found = list(selectors(query))
        assert found, query
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")}
        for name, narrowed in found:
            assert name in known, query
            assert narrowed | grouped <= known[name] | ADDED_BY_PROMETHEUS, query


def test_every_metric_of_the_daemon_is_on_the_dashboard(known: Known) -> None:
    shown = {name for query in QUERIES for name, _ in selectors(query)}
    assert {name for name in known if name.startswith("watchdog_")} <= shown


def test_a_legend_names_only_labels_that_its_query_keeps() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            kept = {
                label.strip() for group in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in group.split(",")
            }
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept, panel["title"]


def test_a_counter_is_only_shown_by_its_rise() -> None:
    for query in QUERIES:
        for name, _ in selectors(query):
            rises = re.search(rf"(?:rate|increase)\({name}\{{[^}}]*\}}\[\$__\w+\]\)", query)
            assert bool(rises) == name.endswith("_total"), query


def test_every_query_is_narrowed_by_the_template_variables(known: Known) -> None:
    for query in QUERIES:
        for name, narrowed in selectors(query):
            assert narrowed >= ADDED_BY_PROMETHEUS
            assert ("guard" in narrowed) == ("guard" in known[name])
    assert [one["name"] for one in MADE["templating"]["list"]] == ["datasource", "job", "instance", "guard"]
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}


def test_panels_say_what_they_show_and_do_not_overlap() -> None:
    numbers = [panel["id"] for panel in MADE["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert all(panel["title"] and panel["description"].endswith(".") for panel in PANELS)
    places = [panel["gridPos"] for panel in MADE["panels"]]
    assert all(place["x"] + place["w"] <= WIDTH for place in places)
    for one, other in itertools.combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart
