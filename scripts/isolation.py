"""Looks for isolated groups over many graphs: the long version of tests/oracles/test_isolation.py.

    python scripts/isolation.py
    python scripts/isolation.py --graphs 20 --size 1000 --write

Without acknowledgements it prints the smallest group that a lying server isolates under the
uncorrected parameters; with them it looks at every window of every graph under the parameters that
the finder emits for level `malicious`. Ends with 0 only if the first is always found and the second
never. --write puts the result into results/isolation.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from secagg.cli import machine
from secagg.protocols._masking.graph import HararyGraph
from secagg.protocols._masking.parameters import GraphParameters, secagg_plus_parameters

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from oracles.isolation import Ring, gaps, smallest_group  # noqa: E402
from oracles.placements import crowded, most_in_a_window, tolerated  # noqa: E402

RESULT = ROOT / "results" / "isolation.json"
SIZES = (100, 1_000, 10_000)
RATES = ("0.05", "0.1")
UNCORRECTED = {100: (18, 13), 1_000: (52, 37), 10_000: (62, 44)}
SEARCHED_GRAPHS = 6
"""The search for the smallest group tries all arcs, so on few graphs."""

WITHOUT_SHORTCUTS = 20
"""The fullest windows of each graph are decided by the flow alone."""


def ring_of(size: int, degree: int, threshold: int, corrupt: int, number: int) -> Ring:
    graph = HararyGraph(size, degree, number.to_bytes(32, "big"))
    return Ring.drawn(graph, threshold, range(corrupt))


def without_acknowledgements(size: int, graphs: int) -> dict[str, Any]:
    """The smallest group with nobody corrupt, and with 5 %, on each graph."""
    degree, threshold = UNCORRECTED[size]
    step = 5 if size > 1_000 else 1
    began = time.monotonic()
    clean = smallest_group(
        Ring(degree, threshold, [False] * size), acknowledged=False, largest=size // 2, starts=[0]
    )
    found = [
        smallest_group(
            ring_of(size, degree, threshold, size // 20, number),
            acknowledged=False,
            largest=size // 2,
            starts=range(0, size, step),
        )
        for number in range(min(graphs, SEARCHED_GRAPHS))
    ]
    return {
        "clients": size,
        "degree": degree,
        "threshold": threshold,
        "every_arc_in": step,
        "smallest_without_corrupt": clean and len(clean.group),
        "smallest_with_5_percent": [lies and len(lies.group) for lies in found],
        "seconds": round(time.monotonic() - began, 1),
    }


def with_acknowledgements(
    size: int, rate: str, found: GraphParameters, present: int, graphs: int
) -> dict[str, Any]:
    """The windows that can be made a gap, over all graphs."""
    began = time.monotonic()
    isolated = beyond = fullest = 0
    for number in range(graphs):
        ring = ring_of(present, found.degree, found.threshold, found.corrupt, number)
        fullest = max(fullest, most_in_a_window(ring))
        beyond += most_in_a_window(ring) > tolerated(ring)
        crowds = crowded(ring, WITHOUT_SHORTCUTS)
        by_flow = gaps(ring, acknowledged=True, shortcuts=False, starts=crowds)
        isolated += len({*by_flow, *gaps(ring, acknowledged=True)})
    return {
        "clients": size,
        "present": present,
        "gamma_and_delta": rate,
        "degree": found.degree,
        "threshold": found.threshold,
        "graphs": graphs,
        "windows": graphs * present,
        "fullest_window": fullest,
        "tolerated": found.threshold - found.degree // 2 - 2,
        "graphs_beyond": beyond,
        "gaps": isolated,
        "seconds": round(time.monotonic() - began, 1),
    }


def emitted(size: int, rate: str) -> list[tuple[GraphParameters, int]]:
    """As a plan asks, for the fewest who may come; and if all are sure to come."""
    fewest = size - int(Fraction(rate) * size)
    full = secagg_plus_parameters(size, rate, rate, server="malicious")
    planned = secagg_plus_parameters(size, rate, rate, server="malicious", smallest=fewest)
    return [(full, size), (planned, fewest)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="look for isolated groups over many graphs")
    parser.add_argument("--graphs", type=int, default=200)
    parser.add_argument("--size", type=int, action="append", choices=SIZES, help="may be repeated")
    parser.add_argument("--write", action="store_true", help=f"to {RESULT.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    sizes = tuple(options.size or SIZES)
    build, started, before = machine.build(), machine.now(), machine.load()
    without, within = [], []
    for size in sizes:
        without.append(without_acknowledgements(size, options.graphs))
        print(json.dumps(without[-1]), flush=True)
        for rate in RATES:
            for found, present in emitted(size, rate):
                row = with_acknowledgements(size, rate, found, present, options.graphs)
                within.append(row)
                print(json.dumps(row), flush=True)
    passed = all(
        row["smallest_without_corrupt"] and all(row["smallest_with_5_percent"]) for row in without
    ) and not any(row["gaps"] for row in within)
    if options.write:
        result = {
            "schema": "secagg.isolation/1",
            "secagg": msgspec.to_builtins(build),
            "machine": msgspec.to_builtins(machine.machine()),
            "load": {"before": before, "after": machine.load()},
            "versions": machine.versions(),
            "started": started,
            "graphs": options.graphs,
            "without_acknowledgements": without,
            "with_acknowledgements": within,
            "passed": passed,
        }
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print("passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
