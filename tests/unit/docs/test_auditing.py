"""docs/auditing.md says what the command does: its examples run, its words are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec

from secagg.audit.checks import CHECKS
from secagg.audit.policy import MAX_BYTES, Policy
from secagg.audit.statistics import FALSE_ALARM
from secagg.audit.verdicts import Scope, Severity, Verdict
from secagg.cli.audit import Document

TEXT = (Path(__file__).parents[3] / "docs" / "auditing.md").read_text()


def example(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


def test_the_policy_is_one() -> None:
    policy = msgspec.json.decode(example("json"), type=Policy)
    policy.check(CHECKS)
    assert policy.fail_on is Severity.MEDIUM
    assert f"{MAX_BYTES // 1024} KiB" in TEXT


def test_the_adapter_is_broken_as_the_text_says(tmp_path: Path) -> None:
    (tmp_path / "clear.py").write_text(example("python"))
    words = ("audit", "-q", "--adapter", "clear:Clear", "--format", "json")
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "secagg.cli", *words],
        cwd=tmp_path,
        text=True,
        check=False,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    audit = msgspec.json.decode(done.stdout, type=Document).audit
    assert (
        {
            *("masks.uniform", "masks.independent", "masks.complexity"),
            *("fresh.masks", "fresh.seeds", "floor.released", "exactness.range"),
        }
        >= set(audit.summary.findings)
        >= {"masks.uniform", "fresh.masks", "fresh.seeds"}
    )
    by_id = {one.id: one for one in audit.results}
    assert by_id["exactness.sum"].verdict is Verdict.PASS
    assert by_id["shares.at-once"].verdict is Verdict.INCONCLUSIVE


def test_the_words_of_reports_are_explained() -> None:
    for word in (*Verdict, *Scope):
        assert f"`{word}`" in TEXT
    for group in {check.group for check in CHECKS}:
        assert f"| `{group}` |" in TEXT
    assert f"{FALSE_ALARM:g} for each statistical check" in TEXT.replace("1e-6", f"{FALSE_ALARM:g}")
    for id_ in re.findall(r"`((?:[a-z]+)\.(?:[a-z-]+))`", TEXT):
        group = id_.partition(".")[0]
        if group in {check.group for check in CHECKS}:
            assert id_ in {check.id for check in CHECKS}
