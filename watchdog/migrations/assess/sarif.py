"""An assessment as SARIF 2.1.0, which code hosts show beside the lines of a change."""

from typing import Any, Final
from urllib.parse import quote

from watchdog.migrations.assess.values import Assessment, Finding, Severity

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {
    Severity.INFO: "none",
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}


def as_sarif(assessment: Assessment, file: str, version: str) -> dict[str, Any]:
    """A log with one run.

    Args:
        assessment: What was found.
        file: Its path, as the code host knows it.
        version: Of this program.
    """
    rules = list(dict.fromkeys(each.rule for each in assessment.findings))
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "migration-watchdog",
                        "version": version,
                        "rules": [_rule(each) for each in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, file, rules.index(each.rule)) for each in assessment.findings],
            }
        ],
    }


def _rule(rule: str) -> dict[str, Any]:
    return {"id": rule, "shortDescription": {"text": rule.replace("-", " ").capitalize()}}


def _result(finding: Finding, file: str, rule_index: int) -> dict[str, Any]:
    informational = finding.severity is Severity.INFO
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "kind": "informational" if informational else "fail",
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message + (f"\nSafe form:\n{finding.safe}" if finding.safe else "")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(file.replace("\\", "/"))},
                    "region": {
                        "startLine": finding.line,
                        "endLine": finding.line + finding.statement.count("\n"),
                        "snippet": {"text": finding.statement},
                    },
                }
            }
        ],
        "properties": {
            "category": str(finding.category),
            "severity": str(finding.severity),
            "locks": [f"{lock.mode} on {lock.relation}" for lock in finding.locks],
            "undo": str(finding.undo),
        },
    }
