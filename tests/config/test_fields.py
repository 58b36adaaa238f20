"""The table of spans is compared with the model's source, since to Python a `Span` is an int."""

import ast
import inspect
from typing import get_args

import pytest

from watchdog.config.fields import OWN
from watchdog.config.scalars import Length, PositiveLength
from watchdog.model.attribution import Comparison, Queries
from watchdog.model.communication import Beat, Plan
from watchdog.model.guards import GuardSettings, SchemaErrors
from watchdog.model.playbooks import Playbook, Rung, Step
from watchdog.model.rules import (
    CheckRule,
    Confidence,
    CountRule,
    GaugeRule,
    LatencyRule,
    RatioRule,
    RuleBase,
    StallRule,
)

FROM_FILES = (
    *(RuleBase, Confidence, RatioRule, LatencyRule, CountRule, GaugeRule, CheckRule, StallRule, SchemaErrors),
    *(Beat, Plan, GuardSettings, Playbook, Rung, Step, Comparison, Queries),
)


@pytest.mark.parametrize("kind", FROM_FILES, ids=lambda kind: kind.__name__)
def test_every_span_of_the_model_is_written_with_a_unit(kind: type) -> None:
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    spans = {
        statement.target.id
        for statement in definition.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and "Span" in ast.unparse(statement.annotation)
    }
    lengths = {name for name, hint in OWN.get(kind, {}).items() if hint in {Length, PositiveLength}}
    assert lengths == spans
    assert all(get_args(OWN[kind][name]) for name in lengths)
