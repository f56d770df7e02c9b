"""How the memory of the server's process grows with clients and coordinates.

    python benchmarks/server_memory.py

Each point is a round of `secagg simulate` in a fresh process, with the clients in a worker process
and none in the server's. The growth of the resident memory over the start is fitted by
a + b n + c d with least squares. Ends with 1 if b is more than 16 kB for each client, or a sum is
not exact. Writes results/server-memory.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

import msgspec
import numpy as np
import record

from secagg.cli.simulate import Document
from secagg.runner.results import DONE

POINTS = ((250, 50_000), (1000, 50_000), (2000, 50_000), (250, 400_000), (1000, 200_000))
BYTES_PER_CLIENT = 16_000
DROPOUT = "0.05"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", default="secagg_plus")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="of each point; the largest counts")
    settings = parser.parse_args()
    points = []
    for clients, length in POINTS:
        found = [measured(settings, clients, length) for _ in range(settings.repeats)]
        growth = max(row["server_growth_bytes"] for row in found)
        points.append({"clients": clients, "length": length, "bytes": growth, "runs": found})
        print(f"n = {clients}, d = {length}: {growth / 1e6:.1f} MB", flush=True)
    (a, b, c), residual = fitted(points)
    print(f"{a / 1e6:.2f} MB + {b / 1e3:.2f} kB n + {c:.2f} B d")
    print(f"off by at most {residual / 1e6:.2f} MB; b is at most {BYTES_PER_CLIENT / 1e3:.0f} kB")
    passed = b <= BYTES_PER_CLIENT
    facts = {
        "settings": vars(settings) | {"dropout": DROPOUT},
        "points": points,
        "bytes": a,
        "bytes_per_client": b,
        "bytes_per_coordinate": c,
        "largest_residual": residual,
        "limit_per_client": BYTES_PER_CLIENT,
        "passed": passed,
    }
    path = record.write("server-memory", facts, ("numpy", "msgspec", "cryptography"))
    print(f"{'passed' if passed else 'FAILED'}; {path.relative_to(record.ROOT)}")
    return 0 if passed else 1


def measured(settings: argparse.Namespace, clients: int, length: int) -> dict[str, Any]:
    """The memory of one round, whose sum must be exact."""
    words = [
        *(sys.executable, "-m", "secagg.cli", "simulate", "--protocol", settings.protocol),
        *("--clients", str(clients), "--length", str(length), "--dropout", DROPOUT),
        *("--workers", str(settings.workers), "--quiet", "--format", "json"),
    ]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True)  # noqa: S603
    document = msgspec.json.decode(done.stdout, type=Document)
    (row,) = document.rows
    if row.status != DONE or not row.exact:
        raise SystemExit(f"n = {clients}, d = {length}: {row.status}, {row.reason}")
    return {
        "start_bytes": document.start_bytes,
        "server_peak_bytes": row.server_peak_bytes,
        "server_growth_bytes": row.server_growth_bytes,
        "worker_peak_bytes": row.worker_peak_bytes,
        "bytes_up": row.bytes_up,
        "bytes_down": row.bytes_down,
    }


def fitted(points: list[dict[str, Any]]) -> tuple[list[float], float]:
    """Bytes, bytes per client and bytes per coordinate, and the largest residual."""
    matrix = np.array([[1, point["clients"], point["length"]] for point in points], dtype=float)
    grown = np.array([point["bytes"] for point in points], dtype=float)
    solution, *_ = np.linalg.lstsq(matrix, grown, rcond=None)
    residual = float(np.abs(matrix @ solution - grown).max())
    return [float(value) for value in solution], residual


if __name__ == "__main__":
    sys.exit(main())
