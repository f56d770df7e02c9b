"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_example_runs(tmp_path: Path) -> None:
    example, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    code = [line for line in example.splitlines() if line and "import" not in line]
    assert len(code) <= 15
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", example],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # The mean of 0.0, 0.1, 0.2, 0.4 ... 0.9, without client 3.
    count, mean = done.stdout.strip().split(" clients: ")
    assert count == "9"
    values = [float(value) for value in mean.strip("[]").split()]
    assert len(values) == 4
    assert all(abs(value - 4.2 / 9) < 2**-22 for value in values)
