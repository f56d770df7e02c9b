"""SARIF 2.1.0, as code hosts read it: findings only."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from secagg.audit.report import Audited
from secagg.audit.verdicts import Result, Severity

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
VERSION: Final = "2.1.0"

LEVELS: Final = {
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}


def render(audit: Audited, version: str) -> str:
    """A log with one run.

    Args:
        audit: the record.
        version: of this library.
    """
    findings = [one for one in audit.results if one.finding]
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "secagg audit",
                "version": version,
                "rules": [_rule(one) for one in findings],
            }
        },
        "invocations": [
            {
                # The audit itself ran; what it found is in the results.
                "executionSuccessful": True,
                "exitCode": audit.summary.exit_code,
                "exitCodeDescription": audit.disclaimer,
            }
        ],
        "results": [_result(place, one, audit) for place, one in enumerate(findings)],
        "columnKind": "unicodeCodePoints",
    }
    log = {"$schema": SCHEMA, "version": VERSION, "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2).decode() + "\n"


def _rule(one: Result) -> dict[str, Any]:
    return {
        "id": one.id,
        "shortDescription": {"text": one.claim},
        "fullDescription": {"text": f"{one.claim}. Method: {one.method}."},
        "defaultConfiguration": {"level": LEVELS[one.severity]},
        "properties": {"tags": ["security", one.group], "source": one.source},
    }


def _result(place: int, one: Result, audit: Audited) -> dict[str, Any]:
    properties: dict[str, Any] = {"scope": str(one.scope), "severity": str(one.severity)}
    if one.measure is not None:
        properties["measure"] = msgspec.to_builtins(one.measure)
    return {
        "ruleId": one.id,
        "ruleIndex": place,
        "level": LEVELS[one.severity],
        "message": {"text": f"{one.evidence} (expected: {one.claim})"},
        "locations": [
            {
                "logicalLocations": [
                    {"name": audit.target.name, "fullyQualifiedName": audit.target.name}
                ]
            }
        ],
        "properties": properties,
    }
