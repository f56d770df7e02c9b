"""A finding ends the run with status 1 and leaves its input; else it ends well and leaves none."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
BROKEN = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv.pop())
from fuzz import harness, registry, target

made = Path(sys.argv.pop())
target.CORPUS = harness.FOUND = made


def decode(data):
    if data[:1] == b"b":
        if data[1:2] == b"a":
            if data[2:3] == b"d" and sys.argv[-1] == "broken":
                [][len(data)]
    return None


# What is not of the library is not instrumented.
decode.__module__ = "secagg.broken"
(made / sys.argv[-1]).mkdir()
(made / sys.argv[-1] / "seed-00").write_bytes(b"x")
name = sys.argv[-1]
registry.TARGETS = {name: target.Target(name, decode, (), tuple)}
sys.exit(harness.main())
"""


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, *words], text=True, capture_output=True, timeout=120, check=False
    )


@pytest.mark.parametrize(("name", "status"), [("broken", 1), ("sound", 0)])
def test_what_is_found_is_told_and_kept(tmp_path: Path, name: str, status: int) -> None:
    if find_spec("atheris") is None:
        # There is none for other machines than x86-64, and the script says so.
        said = run(TESTS.parent / "scripts" / "fuzzing.py", "evidence")
        assert "atheris" in said.stdout + said.stderr
        return
    made = tmp_path / "made"
    made.mkdir()
    result = run("-c", BROKEN, "5" if status else "1", "1", name, made, TESTS)
    assert result.returncode == status, result.stdout + result.stderr
    kept = [path.read_bytes() for path in made.rglob("crash-*")]
    assert ("FOUND" in result.stdout) == bool(status)
    if status:
        assert "IndexError" in result.stdout
        assert [data[:3] for data in kept] == [b"bad"]
    else:
        assert not kept
        assert "sound: " in result.stdout
