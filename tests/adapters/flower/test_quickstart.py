"""The example is what it says: two lines, the same model, and no client lost in vain."""

from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path
from typing import Final

EXAMPLE: Final = Path(__file__).parents[3] / "examples" / "flower_quickstart"


def test_two_lines_differ() -> None:
    plain, secured = (_sources(EXAMPLE / name) for name in ("plain", "secured"))
    assert plain.keys() == secured.keys()
    changes = [
        line
        for name in sorted(plain)
        for line in difflib.ndiff(plain[name], secured[name])
        if line[0] in "+-"
    ]
    imports = [line for line in changes if " import " in line]
    assert [line for line in changes if line not in imports] == [
        "- app = ClientApp()",
        "+ app = ClientApp(mods=[secagg_mod()])",
        "-         grid=grid,",
        "+         grid=SecureGrid(grid),",
    ]
    assert imports == [
        "+ from secagg.adapters.flower import secagg_mod",
        "+ from secagg.adapters.flower import SecureGrid",
    ]


def test_it_runs() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE / "run.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the mean of 9 clients" in done.stdout
    assert "the mean of 10 clients" in done.stdout
    assert done.stdout.endswith("\nas expected\n")


def _sources(folder: Path) -> dict[str, list[str]]:
    """Every Python file below, by its path there."""
    return {
        str(path.relative_to(folder)): path.read_text().splitlines()
        for path in folder.rglob("*.py")
    }
