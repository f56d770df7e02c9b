"""Seeds of the fuzz targets in C: selectors, sizes and patterns, as csrc/tests/fuzz reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "csrc" / "tests" / "fuzz"
PATTERN = bytes(number % 251 + 1 for number in range(512))
ENTRY_POINTS = {"ring": 6, "masks": 3, "fixed": 6, "shamir": 16, "memory": 4}


def seeds(name: str) -> Iterator[bytes]:
    """For each selector of a target a short and a longer input."""
    for kind in range(ENTRY_POINTS[name]):
        yield bytes((kind, 12, 5, 0)) + PATTERN[:40]
        # A few whole batches of the fastest level, and something behind them.
        yield bytes((kind, 3, 44, 1, 7, 2, 0, 2)) + PATTERN[kind:400]


def names() -> list[str]:
    return sorted(path.stem for path in SOURCES.glob("*.c"))
