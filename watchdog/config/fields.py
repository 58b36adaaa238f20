"""How the fields of the model are written where their type alone does not say it.

A `Span` is an int to Python, so every one is named here; a test compares this table with the model's annotations.
"""

from collections.abc import Mapping
from typing import Any, Final

from watchdog.config.configuration import Channel, Discover
from watchdog.config.scalars import (
    AtLeastOne,
    Days,
    Length,
    Line,
    Name,
    NotNegative,
    Positive,
    PositiveLength,
    Ratio,
    Whole,
)
from watchdog.model.attribution import Comparison, Queries
from watchdog.model.communication import Beat, Plan
from watchdog.model.guards import GuardSettings, SchemaErrors
from watchdog.model.playbooks import Playbook, Rung, Step
from watchdog.model.rules import (
    Brake,
    CheckRule,
    CollapseRule,
    Confidence,
    CountRule,
    LatencyRule,
    RatioRule,
    RuleBase,
    StallRule,
)

OWN: Final[Mapping[type, Mapping[str, Any]]] = {
    RuleBase: {"hold": Length, "keep": Length},
    Confidence: {
        "window": PositiveLength,
        "recent": PositiveLength,
        "z": Positive,
        "burstiness": Ratio,
        "min_bad": Whole,
        "times_usual": Positive,
    },
    RatioRule: {"above": Ratio, "clear": Ratio, "each": Name, "min_samples": AtLeastOne},
    LatencyRule: {
        "each": Name,
        "quantile": Ratio,
        "times_baseline": Positive,
        "floor": Positive,
        "min_samples": AtLeastOne,
    },
    CountRule: {"above": NotNegative, "clear": NotNegative, "per": PositiveLength},
    CheckRule: {"confirm": AtLeastOne},
    StallRule: {"after": PositiveLength},
    CollapseRule: {"below": Ratio, "after": PositiveLength, "least": Positive},
    SchemaErrors: {"signal": Name, "min_count": Positive, "share": Ratio, "window": PositiveLength},
    Comparison: {"label": Name, "above": Ratio, "window": PositiveLength},
    Queries: {"seconds": Name, "calls": Name, "label": Name, "times": Positive},
    Brake: {"why": Line},
    Step: {"name": Line, "target": Name, "timeout": PositiveLength},
    Rung: {
        "predicted": Length,
        "undecided_after": PositiveLength,
        "settle": Length,
        "propose_deadline": PositiveLength,
    },
    Playbook: {"budget": PositiveLength},
    Beat: {"name": Line, "channel": Name, "after": Length, "impact_over": Length},
    Plan: {"clock": Positive, "updates": Name},
    Channel: {"notifier": Name},
    Discover: {
        "targets": tuple[Name, ...],
        "every": PositiveLength,
        "deployments": tuple[Line, ...],
        "flags": tuple[Line, ...],
    },
    GuardSettings: {
        "baseline": PositiveLength,
        "baseline_days": Days,
        "min_baseline": Length,
        "bake": PositiveLength,
        "resolve_after": Length,
        "blind_after": PositiveLength,
        "cool_down": Length,
        "data_rollbacks": Whole,
    },
}
