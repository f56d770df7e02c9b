"""A rival's own virtual environment: it pins packages that ours does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent


def python_with(name: str, packages: tuple[str, ...]) -> str:
    """The interpreter of .venv-NAME, which is made anew unless it was made with these packages."""
    folder = ROOT / f".venv-{name}"
    python, made = folder / "bin" / "python", folder / "made-with"
    wanted = "\n".join(packages)
    if not made.exists() or made.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)  # noqa: S603
        install = [str(python), "-m", "pip", "install", "--quiet", *packages]
        subprocess.run(install, check=True)  # noqa: S603
        made.write_text(wanted)
    return str(python)
