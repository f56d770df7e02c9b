"""Milestone 6: the auditor."""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from must_shows.flower import ENVIRONMENT
from must_shows.step import BIN, ROOT, SECAGG, Step

HELD = (("secagg", "malicious"), ("secagg", "curious"), ("bfv", "curious"), ("ckks", "curious"))


def verdicts(step: Step) -> None:
    """What each protocol promises holds; what gets through is named, and fails a higher demand."""
    with tempfile.TemporaryDirectory(prefix="acceptance-") as folder:
        junit = Path(folder) / "out.xml"
        for protocol, level in (*HELD, ("enclave", "curious")):
            target = ("audit", "--protocol", protocol, "--level", level)
            text = step.run(SECAGG, *target, "--junit", str(junit), capture=True)
            suite = ElementTree.parse(junit).getroot()  # noqa: S314
            step.expect(len(list(suite.iter("testcase"))) > 50, f"{protocol}: too few checks")
            step.expect(not list(suite.iter("failure")), f"{protocol}: failures in JUnit")
            step.facts[f"{protocol} {level}"] = text.splitlines()[-2:]
            if level == "curious":
                step.expect("gets through" in text, f"{protocol}: nothing is named")
                step.run(SECAGG, *target, "--policy", "malicious", code=1, capture=True)


def weakened(step: Step) -> None:
    """Each deliberately weakened protocol fails exactly the checks listed for it."""
    step.run(str(BIN / "pytest"), "-q", "tests/unit/audit/test_weakened.py")


def foreign(step: Step) -> None:
    """Flower's own SecAgg+ has at least five findings within what it claims."""
    step.run("make", "flower-setup")
    audit = str(ROOT / ENVIRONMENT / "bin" / "secagg")
    target = "secagg.adapters.flower.audited:FlowerSecAggPlus"
    text = step.run(audit, "audit", "--adapter", target, code=1, capture=True)
    print(text)
    step.facts["flower"] = text.splitlines()[-3:]
    step.run(
        *(str(ROOT / ENVIRONMENT / "bin" / "python"), "scripts/flower_checks.py", ENVIRONMENT),
        *("-q", "-k", "audited"),
    )


def false_alarms(step: Step) -> None:
    """Each statistical check 1000 times on a sound protocol: its rate beside the claimed one."""
    step.run(str(BIN / "python"), "scripts/audit_false_alarms.py", capture=False)


def edited_records(step: Step) -> None:
    """A record edited in 200 places: each time the place or the digest is named."""
    step.run(
        *(str(BIN / "pytest"), "-q", "tests/unit/record/test_edited.py", "tests/e2e/test_verify.py")
    )
