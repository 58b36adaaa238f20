"""Makes `watchdog.json`, the dashboard over the daemon's metrics: `python grafana/dashboard.py`.

Standard library only. Every query narrows by the template variables job, instance and guard (metrics of the whole
daemon by job and instance), so that one dashboard serves any number of daemons.
"""  # noqa: INP001 # a script beside the package, and no part of it

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

FILE = Path(__file__).with_name("watchdog.json")
WIDTH = 24
"""Columns of Grafana's grid."""

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
DAEMON = 'job=~"$job", instance=~"$instance"'
GUARD = f'{DAEMON}, guard=~"$guard"'

Look = Literal["stat", "timeseries", "state-timeline"]
Thresholds = tuple[tuple[float | None, str], ...]
Mapping = dict[str, dict[str, str]]

BREACH = f"max by (guard, rule) (watchdog_rule_breach{{{GUARD}}})"
NO_DATA = f"max by (guard, rule) (watchdog_rule_no_data{{{GUARD}}} == 1)"

PLAIN: Thresholds = ((None, "text"),)
BAD_IF_ANY: Thresholds = ((None, "green"), (1, "red"))
BAD_IF_NONE: Thresholds = ((None, "red"), (1, "green"))
YES_NO: Mapping = {"0": {"text": "no"}, "1": {"text": "yes"}}
VERDICTS: Mapping = {
    "0": {"text": "ok", "color": "green"},
    "1": {"text": "breach", "color": "red"},
    "2": {"text": "no data", "color": "orange"},
}
IS_ON: Mapping = {"1": {"text": " ", "color": "blue"}}
"""For rows whose name says it all."""


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        queries: PromQL and the legend of each.
        width: In columns of 24.
        by_name: A stat shows the series' name instead of its value, which is always 1.
    """

    title: str
    text: str
    look: Look
    queries: Sequence[tuple[str, str]]
    width: int = 8
    height: int = 7
    unit: str = "short"
    thresholds: Thresholds = PLAIN
    mapping: Mapping = field(default_factory=dict)
    by_name: bool = False


@dataclass(frozen=True)
class Row:
    """A heading with its panels."""

    title: str
    panels: Sequence[Panel]


ROWS = (
    Row(
        "Now",
        (
            Panel(
                "Ready",
                "Whether every guard is being watched; `/health/ready` says what is missing.",
                "stat",
                ((f"min by (instance) (watchdog_ready{{{DAEMON}}})", "{{instance}}"),),
                width=4,
                height=4,
                thresholds=BAD_IF_NONE,
                mapping=YES_NO,
            ),
            Panel(
                "Open incidents",
                "Guards with an incident that is not resolved.",
                "stat",
                ((f"sum(watchdog_incident_open{{{GUARD}}})", "open"),),
                width=4,
                height=4,
                thresholds=BAD_IF_ANY,
            ),
            Panel(
                "Frozen guards",
                "Guards that a person has frozen: they watch and tell, and do not act.",
                "stat",
                ((f"sum(watchdog_frozen{{{GUARD}}})", "frozen"),),
                width=4,
                height=4,
                thresholds=((None, "green"), (1, "orange")),
            ),
            Panel(
                "Incidents",
                "Opened in the time shown.",
                "stat",
                ((f"sum(increase(watchdog_incidents_total{{{GUARD}}}[$__range]))", "incidents"),),
                width=4,
                height=4,
            ),
            Panel(
                "Data rollbacks",
                "Data rungs entered in the time shown.",
                "stat",
                ((f"sum(increase(watchdog_data_rollbacks_total{{{GUARD}}}[$__range]))", "data rollbacks"),),
                width=4,
                height=4,
                thresholds=((None, "green"), (1, "orange")),
            ),
            Panel(
                "Version",
                "What runs.",
                "stat",
                ((f"max by (version) (watchdog_build_info{{{DAEMON}}})", "{{version}}"),),
                width=4,
                height=4,
                by_name=True,
            ),
        ),
    ),
    Row(
        "Guards",
        (
            Panel(
                "Release",
                "The state of each guard's latest release.",
                "state-timeline",
                ((f"max by (guard, state) (watchdog_release_state{{{GUARD}}}) == 1", "{{guard}}: {{state}}"),),
                width=12,
                mapping=IS_ON,
            ),
            Panel(
                "Climb",
                "The rung that is due or acts.",
                "state-timeline",
                ((f"max by (guard, rung) (watchdog_run_rung{{{GUARD}}}) == 1", "{{guard}}: {{rung}}"),),
                width=12,
                mapping=IS_ON,
            ),
            Panel(
                "Verdicts",
                "What each rule says. No data is neither good nor bad.",
                "state-timeline",
                ((f"{BREACH} or (2 * {NO_DATA})", "{{guard}}: {{rule}}"),),
                width=16,
                height=9,
                mapping=VERDICTS,
            ),
            Panel(
                "Breaches that must hold",
                "How long a literal breach has held; it opens an incident when it has held for the rule's `hold`.",
                "timeseries",
                ((f"max by (guard, rule) (watchdog_rule_pending_seconds{{{GUARD}}})", "{{guard}}: {{rule}}"),),
                height=9,
                unit="s",
            ),
            Panel(
                "Detection",
                "From T-0 to the opening of the latest incident.",
                "stat",
                ((f"max by (guard) (watchdog_detection_seconds{{{GUARD}}})", "{{guard}}"),),
                height=5,
                unit="s",
            ),
            Panel(
                "Reversal",
                "From the opening of the latest incident to the end of its run; five minutes are the promise.",
                "stat",
                ((f"max by (guard, outcome) (watchdog_rollback_seconds{{{GUARD}}})", "{{guard}}: {{outcome}}"),),
                height=5,
                unit="s",
                thresholds=((None, "green"), (300, "red")),
            ),
            Panel(
                "Autonomy",
                "The strongest autonomy of any rung, and the playbook.",
                "stat",
                (
                    (
                        f"max by (guard, playbook, autonomy) (watchdog_guard_info{{{GUARD}}})",
                        "{{guard}}: {{playbook}}, {{autonomy}}",
                    ),
                ),
                height=5,
                by_name=True,
            ),
        ),
    ),
    Row(
        "The way back",
        (
            Panel(
                "Certificate",
                "Whether the rollback of the release was shown to restore schema and data, here.",
                "stat",
                ((f"min by (guard) (watchdog_certificate_valid{{{GUARD}}})", "{{guard}}"),),
                width=6,
                height=5,
                thresholds=BAD_IF_NONE,
                mapping=YES_NO,
            ),
            Panel(
                "Within the budget",
                "Whether the predicted rollback fits the playbook's budget.",
                "stat",
                ((f"min by (guard) (watchdog_rollback_budget_met{{{GUARD}}})", "{{guard}}"),),
                width=6,
                height=5,
                thresholds=BAD_IF_NONE,
                mapping=YES_NO,
            ),
            Panel(
                "Predicted rollback",
                "As long as it took in its rehearsal, beside the budget.",
                "stat",
                (
                    (f"max by (guard) (watchdog_rollback_predicted_seconds{{{GUARD}}})", "{{guard}}: predicted"),
                    (f"max by (guard) (watchdog_rollback_budget_seconds{{{GUARD}}})", "{{guard}}: budget"),
                ),
                width=6,
                height=5,
                unit="s",
            ),
            Panel(
                "Archives",
                "Runs of the release whose archives are kept, beside its migrations.",
                "stat",
                (
                    (f"max by (guard) (watchdog_release_archived_runs{{{GUARD}}})", "{{guard}}: archived"),
                    (f"max by (guard) (watchdog_release_migrations{{{GUARD}}})", "{{guard}}: migrations"),
                ),
                width=6,
                height=5,
            ),
            Panel(
                "Past return",
                "Migrations of the release that cannot be taken back any more.",
                "stat",
                ((f"max by (guard) (watchdog_release_past_return{{{GUARD}}})", "{{guard}}"),),
                width=6,
                height=5,
                thresholds=BAD_IF_ANY,
            ),
            Panel(
                "Protection lowered",
                "Whether a change log was ended before it hurt.",
                "stat",
                ((f"max by (guard) (watchdog_release_protection_lowered{{{GUARD}}})", "{{guard}}"),),
                width=6,
                height=5,
                thresholds=BAD_IF_ANY,
                mapping=YES_NO,
            ),
            Panel(
                "Return until",
                "Seconds until the first archive may be dropped; nothing where archives do not expire.",
                "stat",
                (
                    (
                        f"min by (guard) (watchdog_release_return_until_timestamp_seconds{{{GUARD}}}) - time()",
                        "{{guard}}",
                    ),
                ),
                unit="s",
                width=6,
                height=5,
            ),
            Panel(
                "Last backup",
                "Since the database last archived write-ahead log; nothing where it archives none.",
                "stat",
                ((f"max by (guard) (watchdog_backup_age_seconds{{{GUARD}}})", "{{guard}}"),),
                unit="s",
                width=6,
                height=5,
            ),
        ),
    ),
    Row(
        "Telling people",
        (
            Panel(
                "Notices settled",
                "By outcome.",
                "timeseries",
                ((f"sum by (outcome) (increase(watchdog_notices_total{{{GUARD}}}[$__rate_interval]))", "{{outcome}}"),),
            ),
            Panel(
                "Notices owed",
                "Not settled yet, beats that are not due included.",
                "timeseries",
                ((f"max by (guard) (watchdog_notices_owed{{{GUARD}}})", "{{guard}}"),),
            ),
            Panel(
                "Latest notice",
                "How late the latest of the notices of the last incident was.",
                "timeseries",
                ((f"max by (guard) (watchdog_notice_late_seconds_max{{{GUARD}}})", "{{guard}}"),),
                unit="s",
            ),
        ),
    ),
    Row(
        "The daemon itself",
        (
            Panel(
                "Tick lag",
                "How late the last evaluation of a guard began.",
                "timeseries",
                ((f"max by (guard) (watchdog_tick_lag_seconds{{{GUARD}}})", "{{guard}}"),),
                unit="s",
            ),
            Panel(
                "Probe durations",
                "Of each probe's last reading.",
                "timeseries",
                ((f"max by (guard, probe) (watchdog_probe_duration_seconds{{{GUARD}}})", "{{guard}}: {{probe}}"),),
                unit="s",
            ),
            Panel(
                "Probe failures",
                "Failed readings a second.",
                "timeseries",
                (
                    (
                        f"sum by (guard, probe) (rate(watchdog_probe_failures_total{{{GUARD}}}[$__rate_interval]))",
                        "{{guard}}: {{probe}}",
                    ),
                ),
                unit="cps",
            ),
            Panel(
                "Journal",
                "Duration of the last append.",
                "timeseries",
                ((f"max by (instance) (watchdog_journal_append_seconds{{{DAEMON}}})", "{{instance}}"),),
                unit="s",
            ),
            Panel(
                "Epoch",
                "Rises whenever a process takes a guard over: at each start.",
                "timeseries",
                ((f"max by (guard) (watchdog_epoch{{{GUARD}}})", "{{guard}}"),),
            ),
            Panel(
                "CPU",
                "Share of one core.",
                "timeseries",
                (
                    (
                        f"sum by (instance) (rate(process_cpu_seconds_total{{{DAEMON}}}[$__rate_interval]))",
                        "{{instance}}",
                    ),
                ),
                width=4,
                unit="percentunit",
            ),
            Panel(
                "Memory",
                "Resident.",
                "timeseries",
                ((f"max by (instance) (process_resident_memory_bytes{{{DAEMON}}})", "{{instance}}"),),
                width=4,
                unit="bytes",
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """The dashboard in Grafana's JSON model."""
    return {
        "title": "Migration watchdog",
        "uid": "migration-watchdog",
        "description": "Guards, incidents, notices and the daemon itself.",
        "tags": ["migration-watchdog"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "templating": {"list": variables()},
        "panels": panels(),
    }


def variables() -> list[dict[str, Any]]:
    """Datasource, job, instance and guard."""
    source = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
    }
    queried = (
        ("job", "Job", "label_values(watchdog_ready, job)"),
        ("instance", "Instance", 'label_values(watchdog_ready{job=~"$job"}, instance)'),
        ("guard", "Guard", f"label_values(watchdog_guard_info{{{DAEMON}}}, guard)"),
    )
    return [source, *(_variable(*one) for one in queried)]


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": "All", "value": "$__all"},
    }


def panels() -> list[dict[str, Any]]:
    """Every row and panel, placed from left to right and downwards."""
    placed: list[dict[str, Any]] = []
    top = 0
    for row in ROWS:
        grid = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        placed.append({"id": len(placed) + 1, "type": "row", "title": row.title, "gridPos": grid, "panels": []})
        top, left, tallest = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                top, left, tallest = top + tallest, 0, 0
            grid = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            placed.append({"id": len(placed) + 1, **_panel(panel), "gridPos": grid})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return placed


def _panel(panel: Panel) -> dict[str, Any]:
    mappings = [{"type": "value", "options": panel.mapping}] if panel.mapping else []
    steps = [{"value": value, "color": color} for value, color in panel.thresholds]
    return {
        "type": panel.look,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for number, (query, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "mappings": mappings,
                "thresholds": {"mode": "absolute", "steps": steps},
                **({"noValue": "none"} if panel.look == "stat" else {}),
            },
            "overrides": [],
        },
        "options": _options(panel),
    }


def _options(panel: Panel) -> dict[str, Any]:
    match panel.look:
        case "stat":
            calculated = {"calcs": ["lastNotNull"], "fields": "", "values": False}
            shown = "name" if panel.by_name else "auto"
            return {"reduceOptions": calculated, "colorMode": "value", "graphMode": "none", "textMode": shown}
        case "state-timeline":
            return {"mergeValues": True, "showValue": "auto", "legend": {"showLegend": False}}
        case "timeseries":
            return {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}


def main() -> None:
    """Writes the file."""
    FILE.write_text(json.dumps(dashboard(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
