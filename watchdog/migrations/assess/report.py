"""An assessment as JSON: a stable form, which `schema` describes."""

from typing import Any, Final

from watchdog.migrations.assess.grade import sentence
from watchdog.migrations.assess.values import Assessment, Category, Finding, Lock, Severity, Undo, worst

VERSION: Final = 1


def as_json(assessment: Assessment, file: str) -> dict[str, Any]:
    """The assessment of one file."""
    return {
        "version": VERSION,
        "file": file,
        "grade": str(assessment.grade),
        "summary": sentence(assessment),
        "statements": assessment.statements,
        "measured": assessment.measured,
        "undo": str(assessment.undo),
        "categories": {
            str(category): {
                "grade": str(worst(assessment.of(category))),
                "findings": len(assessment.of(category)),
            }
            for category in Category
        },
        "findings": [_finding(each) for each in assessment.findings],
    }


def _finding(each: Finding) -> dict[str, Any]:
    return {
        "rule": each.rule,
        "line": each.line,
        "statement": each.statement,
        "category": str(each.category),
        "severity": str(each.severity),
        "message": each.message,
        "table": ".".join(each.table) if each.table else None,
        "locks": [_lock(lock) for lock in each.locks],
        "work": str(each.work),
        "seconds": None if each.seconds is None else round(each.seconds, 3),
        "destroys": each.destroys,
        "undo": str(each.undo),
        "safe": each.safe,
    }


def _lock(lock: Lock) -> dict[str, str]:
    return {"relation": lock.relation, "mode": str(lock.mode), "blocks": lock.mode.blocks}


def schema() -> dict[str, Any]:
    """The JSON Schema of `as_json`."""
    text, whole = {"type": "string"}, {"type": "integer", "minimum": 0}
    severity = {"enum": [str(each) for each in Severity]}
    category = _closed({"grade": severity, "findings": whole})
    lock = _closed({"relation": text, "mode": text, "blocks": text})
    finding = _closed(
        {
            "rule": text,
            "line": {"type": "integer", "minimum": 1},
            "statement": text,
            "category": {"enum": [str(each) for each in Category]},
            "severity": severity,
            "message": text,
            "table": {"type": ["string", "null"]},
            "locks": {"type": "array", "items": lock},
            "work": text,
            "seconds": {"type": ["number", "null"], "minimum": 0},
            "destroys": text,
            "undo": {"enum": [str(each) for each in Undo]},
            "safe": text,
        }
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Assessment of a migration",
        **_closed(
            {
                "version": {"const": VERSION},
                "file": text,
                "grade": severity,
                "summary": text,
                "statements": whole,
                "measured": {"type": "boolean"},
                "undo": {"enum": [str(each) for each in Undo]},
                "categories": _closed({str(each): category for each in Category}),
                "findings": {"type": "array", "items": finding},
            }
        ),
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
