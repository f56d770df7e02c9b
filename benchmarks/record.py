"""Writes what a benchmark measured to results/NAME.json, with commit, machine and load."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def write(name: str, facts: dict[str, Any], packages: tuple[str, ...]) -> Path:
    """Write facts with their circumstances; the path of the file."""
    document = {
        "schema": f"secagg.{name}/1",
        "commit": _git("rev-parse", "HEAD") + ("+changes" if _git("status", "--porcelain") else ""),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": ["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]],
        "machine": {
            "platform": platform.platform(),
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "load": list(os.getloadavg()),
        "versions": {package: _version(package) for package in packages},
        **facts,
    }
    folder = ROOT / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path


def _git(*words: str) -> str:
    done = subprocess.run(  # noqa: S603
        ["git", *words],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
