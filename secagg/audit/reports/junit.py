"""JUnit XML, as continuous integration reads it: a test case for each check."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Final

from secagg.audit.report import Audited
from secagg.audit.verdicts import Result, Scope, Verdict

_UNPRINTABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry, not even escaped."""


def render(audit: Audited) -> str:
    """Findings are failures, what is undecided is an error, and what was not asked is skipped."""
    results = audit.results
    counts = {
        "tests": len(results),
        "failures": sum(_failure(one) for one in results),
        "errors": sum(one.undecided for one in results),
        "skipped": sum(_skipped(one) for one in results),
    }
    attributes = {name: str(count) for name, count in counts.items()}
    attributes["time"] = f"{sum(one.seconds for one in results):.3f}"
    root = ElementTree.Element("testsuites", {"name": "secagg audit", **attributes})
    name = _clean(audit.target.name)
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, **attributes})
    for one in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {"classname": f"secagg.audit.{one.group}", "name": one.id, "time": f"{one.seconds:g}"},
        )
        _describe(case, one)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _describe(case: ElementTree.Element, one: Result) -> None:
    message = {"message": _clean(one.evidence)}
    if _failure(one):
        child = ElementTree.SubElement(case, "failure", {**message, "type": str(one.severity)})
        child.text = _clean(f"{one.claim}\n{one.method}\n{one.evidence}")
    elif one.undecided:
        ElementTree.SubElement(case, "error", {**message, "type": "inconclusive"})
    elif _skipped(one):
        reason = str(one.scope) if one.scope is Scope.OUTSIDE else str(one.verdict)
        if one.let_pass:
            reason = f"waived: {one.waived}"
        ElementTree.SubElement(case, "skipped", {"message": _clean(f"{reason}: {one.evidence}")})
    else:
        ElementTree.SubElement(case, "system-out").text = _clean(one.evidence)


def _failure(one: Result) -> bool:
    return one.finding


def _skipped(one: Result) -> bool:
    return not one.finding and not one.undecided and one.verdict is not Verdict.PASS


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("?", text)
