"""The checks of the adapter for Flower, with the virtual environment that scripts/flower.sh made.

    python scripts/flower_checks.py .venv-flower-app [--types] [--report FILE] [pytest's arguments]

Uses only the standard library, because the CI calls it with the interpreter that it began with.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
TYPED: Final = (
    "secagg/adapters/**/*.py",
    "tests/adapters/flower/**/*.py",
    "benchmarks/flower_adapter_round.py",
)
# Neither Flower nor Ray reports to its makers.
QUIET: Final = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", type=Path)
    parser.add_argument("--types", action="store_true", help="mypy --strict first")
    parser.add_argument("--report", type=Path, help="for pytest's --junitxml")
    settings, others = parser.parse_known_args()
    binaries = (ROOT / settings.environment / "bin").absolute()
    if settings.types:
        # By file, since what is found in a folder may be excluded: the main run cannot check it.
        files = [file for path in TYPED for file in sorted(ROOT.glob(path))]
        _run(binaries / "mypy", *files)
    report = [f"--junitxml={settings.report}"] if settings.report else []
    _run(binaries / "pytest", "tests/adapters/flower", "--framework", "flower", *report, *others)
    return 0


def _run(*words: str | Path) -> None:
    print("$", *words, flush=True)
    environment = {**os.environ, **QUIET}
    done = subprocess.run([str(word) for word in words], cwd=ROOT, env=environment, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
