"""Continuous integration: every check from a clean build, each stage within its budget.

Uses only the standard library, because it makes the environments that everything else runs in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENV = ROOT / ".venv-ci"
BARE = ROOT / ".venv-bare"
FLOWER = ROOT / ".venv-ci-flower"
BIN = VENV / "bin"
REPORT = ROOT / "build" / "tests.xml"
FLOWER_REPORT = ROOT / "build" / "tests-flower.xml"
OVERRUN = 1.5


def command(*words: str | Path, **variables: str) -> None:
    print("$", *words, flush=True)
    subprocess.run(
        [str(word) for word in words], cwd=ROOT, env={**os.environ, **variables}, check=True
    )


def environment() -> None:
    for leftover in (VENV, BARE, FLOWER, ROOT / "build", ROOT / "dist"):
        shutil.rmtree(leftover, ignore_errors=True)
    command("bash", "scripts/setup.sh", VENV, PYTHON=sys.executable)


def lint() -> None:
    command(BIN / "ruff", "check", ".")
    command(BIN / "ruff", "format", "--check", ".")
    # The documents show what the kept results say, the tests, and the code.
    command(BIN / "python", "scripts/readme_table.py", "--check")
    command(BIN / "python", "scripts/performance_doc.py", "--check")
    command(BIN / "python", "scripts/consistency_doc.py", "--check")
    command(BIN / "python", "scripts/attacks_doc.py", "--check")
    command(BIN / "python", "scripts/mutants_doc.py", "--check")
    command(BIN / "python", "scripts/flower_doc.py", "--check")
    command(BIN / "python", "scripts/threat_model_doc.py", "--check")


def types() -> None:
    command(BIN / "mypy")


def contracts() -> None:
    command(BIN / "lint-imports")


def wheel() -> None:
    """One abi3 wheel, and without extras it imports, works, and names what it lacks."""
    dist = ROOT / "dist"
    command(BIN / "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", dist, ".")
    (built,) = dist.glob("*.whl")
    if "-cp311-abi3-" not in built.name:
        raise SystemExit(f"expected a cp311-abi3 wheel, got {built.name}")
    command(sys.executable, "-m", "venv", BARE)
    command(BARE / "bin" / "python", "-m", "pip", "install", "--quiet", built)
    # Outside the checkout, so that nothing but the wheel is imported; isolated, for the same.
    command(BARE / "bin" / "python", "-I", "scripts/bare_install.py")


def native() -> None:
    command(BIN / "python", "scripts/native_checks.py")


def fuzz() -> None:
    command(BIN / "python", "scripts/fuzzing.py", "--seconds", "2")


def tests() -> None:
    command(BIN / "pytest", f"--junitxml={REPORT}", CI="true")
    none_skipped(REPORT)


def flower() -> None:
    """The adapter for Flower, where Flower is."""
    command("bash", "scripts/flower.sh", FLOWER, PYTHON=sys.executable)
    checks = (sys.executable, "scripts/flower_checks.py", FLOWER, "--types")
    command(*checks, "--report", FLOWER_REPORT, CI="true")
    none_skipped(FLOWER_REPORT)


def none_skipped(report: Path) -> None:
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))  # noqa: S314
    skipped = sum(int(suite.get("skipped", "0")) for suite in suites)
    if skipped:
        raise SystemExit(f"{skipped} tests were skipped; in CI none may be")


STAGES: tuple[Callable[[], None], ...] = (
    environment,
    lint,
    types,
    contracts,
    wheel,
    native,
    fuzz,
    tests,
    flower,
)


def main() -> int:
    budgets = tomllib.loads((ROOT / "scripts" / "ci_budget.toml").read_text())
    slow = []
    for stage in STAGES:
        name, began = stage.__name__, time.monotonic()
        print(f"\n== {name}", flush=True)
        try:
            stage()
        except subprocess.CalledProcessError as error:
            print(f"\n{name} failed: {error}", flush=True)
            return 1
        took = time.monotonic() - began
        print(f"== {name}: {took:.0f} s of {budgets[name]} s", flush=True)
        if took > OVERRUN * budgets[name]:
            slow.append(name)
    if slow:
        print(f"over {OVERRUN:.0%} of the budget: {', '.join(slow)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
