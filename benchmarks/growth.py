"""How the cost of a masking round grows with clients, length, neighbours and dropouts.

    python benchmarks/growth.py

Changes one quantity at a time, measures whole rounds (see ours.py), and fits cost = a x^b by least
squares of the logarithms. An exponent is of the range that was measured, where fixed costs still
count. Writes results/growth.json. Level curious, no transcript, kernels on one thread.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Final

import numpy as np
import ours
import record
import updates

from secagg import kernels

REPEATS: Final = 3
FRACTION_BITS: Final = 18
CORRUPT: Final = Decimal("0.1")
COUNTS: Final = ("client_seconds", "server_seconds", "up", "down")

CLIENTS: Final = (50, 100, 200, 400)
LENGTHS: Final = (125_000, 250_000, 500_000, 1_000_000)
LOST: Final = (5, 10, 20, 30)


@dataclass(frozen=True)
class Point:
    """One size.

    Attributes:
        x: the quantity that changes.
        clients: at the start.
        length: of the vector.
        neighbours: of a client.
        lost: after they dealt their shares.
    """

    x: int
    clients: int
    length: int
    neighbours: int
    lost: int
    client_seconds: float
    server_seconds: float
    up: float
    down: float


def measured(x: int, clients: int, length: int, lost: int, *, sparse: bool, planned: str) -> Point:
    """The median round of this size."""
    chosen = ours.codec(length, FRACTION_BITS)
    agreed = ours.plan(
        chosen, clients, corrupt=CORRUPT, dropout=Decimal(planned), shares=1 if sparse else None
    )
    gone = updates.lost(clients, lost)
    rounds = [ours.measure(chosen, agreed, gone) for _ in range(REPEATS)]
    medians = {name: float(statistics.median(getattr(r, name) for r in rounds)) for name in COUNTS}
    point = Point(x, clients, length, agreed.degree, lost, **medians)
    print("  ", point, flush=True)
    return point


def exponents(points: Iterable[Point]) -> dict[str, float]:
    """b of cost = a x^b, for every cost."""
    chosen = list(points)
    logs = np.log([point.x for point in chosen])
    return {
        name: float(np.polyfit(logs, np.log([getattr(point, name) for point in chosen]), 1)[0])
        for name in COUNTS
    }


def main() -> int:
    load = list(os.getloadavg())
    series: dict[str, list[Point]] = {}

    def run(name: str, points: Iterable[Point]) -> None:
        print(name, flush=True)
        series[name] = list(points)

    with kernels.using_threads(1):
        run(
            "clients, complete graph, 10 % lost, 50 000 elements",
            (measured(n, n, 50_000, n // 10, sparse=False, planned="0.1") for n in CLIENTS),
        )
        run(
            "clients, sparse graph, 10 % lost, 50 000 elements",
            (measured(2 * n, 2 * n, 50_000, n // 5, sparse=True, planned="0.1") for n in CLIENTS),
        )
        run(
            "length, sparse graph, 100 clients, 10 lost",
            (measured(d, 100, d, 10, sparse=True, planned="0.1") for d in LENGTHS),
        )
        run(
            "lost, complete graph, 100 clients, 50 000 elements",
            (measured(x, 100, 50_000, x, sparse=False, planned="0.3") for x in LOST),
        )
    document = {
        "kernel": kernels.level(),
        "threads": 1,
        "load_before": load,
        "repeats": REPEATS,
        "series": {
            name: {"points": [asdict(p) for p in points], "exponents": exponents(points)}
            for name, points in series.items()
        },
    }
    for name, points in series.items():
        print(name, {k: round(v, 2) for k, v in exponents(points).items()})
    print(record.write("growth", document, ("numpy", "cryptography")).relative_to(record.ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
