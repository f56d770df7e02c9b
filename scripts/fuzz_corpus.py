"""Write the seeds of every target into tests/fuzz/corpus: real messages, files and records, small.

What a run found, `found-*`, stays. Run it when a format changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from fuzz import native  # noqa: E402
from fuzz.registry import TARGETS  # noqa: E402
from fuzz.target import CORPUS  # noqa: E402


def write(name: str, seeds: Iterable[bytes]) -> int:
    """The bytes that the target's corpus has now."""
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("seed-*"):
        old.unlink()
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number:02d}").write_bytes(seed)
    return sum(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    made = [one for one in TARGETS.values() if not (one.drawn and one.folder.exists())]
    sizes = [write(target.name, target.seeds()) for target in made]
    sizes += [write(f"native-{name}", native.seeds(name)) for name in native.names()]
    print(f"{len(sizes)} targets, {sum(sizes)} bytes")


if __name__ == "__main__":
    main()
