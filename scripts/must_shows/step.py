"""One step: commands that are run, recorded, and held to what they must show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
SECAGG = str(BIN / "secagg")
DEMO_SECONDS = 600
MASKING = ("secagg", "secagg_plus")


class Failed(Exception):
    """A step did not show what it must."""


class Step:
    """Runs commands and keeps their record."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.commands: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}

    def run(
        self,
        *words: str,
        code: int = 0,
        cwd: Path = ROOT,
        limit: float = 1800,
        capture: bool = False,
        **variables: str,
    ) -> str:
        """Run, record, and insist on the exit code and the time."""
        shown = " ".join([*(f"{k}={v}" for k, v in variables.items()), *words])
        for path, name in ((f"{BIN}/", ""), (str(ROOT), "."), (tempfile.gettempdir(), "$TMP")):
            shown = shown.replace(path, name)
        print(f"$ {shown}", flush=True)
        began = time.monotonic()
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
        seconds = round(time.monotonic() - began, 2)
        self.commands.append(
            {
                "command": shown,
                "exit": done.returncode,
                "expected": code,
                "seconds": seconds,
            }
        )
        self.expect(done.returncode == code, f"{shown} ended with {done.returncode}, not {code}")
        self.expect(seconds <= limit, f"{shown} took {seconds} s, more than {limit}")
        return done.stdout or ""

    def tried(self, *words: str) -> int:
        """Run and record; the exit code, whatever it is."""
        try:
            self.run(*words)
        except Failed:
            return int(self.commands[-1]["exit"])
        return 0

    def compare(self, *words: str, code: int = 0) -> dict[str, Any]:
        """The JSON of `secagg compare`."""
        text = self.run(SECAGG, "compare", *words, "--format", "json", code=code, capture=True)
        document: dict[str, Any] = json.loads(text)
        self.facts["kernel"] = document["machine"]["kernel_level"]
        self.facts["level"] = document["settings"]["level"]
        self.facts["gamma"] = document["settings"]["corrupt"]
        return document

    def expect(self, holds: bool, otherwise: str) -> None:
        """Fail the step unless this holds."""
        if not holds:
            raise Failed(otherwise)


def rows_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["protocol"]: row for row in document["rows"]}
