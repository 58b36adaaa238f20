import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.grafana.test_dashboard import Known, known  # noqa: F401 - a fixture

ALERTS = yaml.safe_load(Path("grafana/alerts.yaml").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def test_every_metric_of_an_alert_exists_with_the_labels_it_uses(known: Known) -> None:  # noqa: F811 - the fixture
    for rule in RULES:
        names = set(re.findall(r"\b(watchdog_\w+|up)\b(?=[{)\s])", rule["expr"]))
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in group.split(",")}
        assert names, rule["alert"]
        for name in names - {"up"}:
            assert name in known
            assert grouped <= known[name]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in group.split(",")}
    assert shown <= grouped | {"instance"}
    assert rule["annotations"]["description"].endswith(".")
