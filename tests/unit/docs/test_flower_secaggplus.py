"""docs/flower-secaggplus.md names tests that are there, and every test of the rival's failures."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
PAGE = TESTS.parent / "docs" / "flower-secaggplus.md"
RIVAL = "adapters/flower/rival"
CONTROLS = {"test_it_works_when_nothing_goes_wrong", "test_it_survives_a_late_dropout"}
"""Which show that the failures are not the harness's."""


def _rows() -> list[list[str]]:
    # What follows are figures, which scripts/flower_doc.py holds to the results.
    failures, _ = PAGE.read_text().split("\n## Seconds and bytes")
    lines = [line for line in failures.splitlines() if line.startswith("| ")][1:]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if not line.startswith("| **")
    ]


def _named(cell: str) -> list[str]:
    return re.findall(r"`([\w/.]+::\w+)`", cell)


def _functions(path: Path) -> set[str]:
    """Tests, read and not imported: what they need may not be installed here."""
    body = ast.parse(path.read_text()).body
    return {each.name for each in body if isinstance(each, ast.FunctionDef)}


def test_every_test_that_is_named_is_there() -> None:
    rows = _rows()
    assert len(rows) > 10
    for row in rows:
        assert len(row) == 4, row
        for cell in (row[1], row[3]):
            assert len(_named(cell)) == 1, row
            path, name = _named(cell)[0].split("::")
            assert name in _functions(TESTS / path), f"{path} has no {name}"


def test_every_failure_that_is_shown_is_named() -> None:
    named = {name for row in _rows() for name in _named(row[1])}
    shown = {
        f"{RIVAL}/{path.name}::{name}"
        for path in (TESTS / RIVAL).glob("test_*.py")
        for name in _functions(path)
        if name.startswith("test_") and name not in CONTROLS
    }
    assert named == shown
