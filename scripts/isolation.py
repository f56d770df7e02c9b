"""Looks for isolated groups over many graphs: the long version of tests/oracles/test_isolation.py.

    python scripts/isolation.py
    python scripts/isolation.py --graphs 20 --size 1000
    python scripts/isolation.py --write

Without acknowledgements it looks for the smallest group that a lying server isolates under the
uncorrected parameters, and carries the lies out on the graph of the protocol; with them it looks at
every window of every graph under the parameters that the finder emits for level `malicious`. Ends
with 0 only if the first is found on every graph and the second on none. --write puts the result
into results/isolation.json, from which scripts/consistency_doc.py writes docs/consistency.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from secagg.cli import machine
from secagg.protocols._masking.parameters import GraphParameters, secagg_plus_parameters

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from oracles.isolation import Ring, gaps, smallest_group  # noqa: E402
from oracles.placements import crowded, most_in_a_window, tolerated  # noqa: E402
from oracles.test_isolation import UNCORRECTED, assert_read, graph_of  # noqa: E402

RESULT = ROOT / "results" / "isolation.json"
GRAPHS = 200
SIZES = (100, 1_000, 10_000)
RATES = ("0.05", "0.1")
SEARCHED = {size: (degree, threshold) for size, degree, threshold, _ in UNCORRECTED[: len(SIZES)]}
"""The uncorrected parameters that are tried on random graphs as well, with 5 % corrupt."""

WITHOUT_SHORTCUTS = 20
"""The fullest windows of each graph are decided by the flow alone."""


def nobody_corrupt() -> list[dict[str, Any]]:
    """The smallest group that a server alone isolates without acknowledgements."""
    rows = []
    for size, degree, threshold, _ in UNCORRECTED:
        ring = Ring(degree, threshold, np.zeros(size, dtype=np.bool_))
        lies = smallest_group(ring, acknowledged=False, largest=size - 1, starts=[0])
        group = None if lies is None else len(lies.group)
        rows.append({"clients": size, "degree": degree, "threshold": threshold, "group": group})
    return rows


def without_acknowledgements(size: int, graphs: int) -> dict[str, Any]:
    """The smallest group on each graph with 5 % corrupt; None where nobody can be isolated."""
    degree, threshold = SEARCHED[size]
    corrupt = range(size // 20)
    groups: list[int | None] = []
    for number in range(graphs):
        graph = graph_of(number, size, degree)
        ring = Ring.drawn(graph, threshold, corrupt)
        lies = smallest_group(ring, acknowledged=False, largest=size // 2)
        if lies is not None:
            assert_read(graph, threshold, corrupt, lies, acknowledged=False)
        groups.append(None if lies is None else len(lies.group))
    return {
        "clients": size,
        "degree": degree,
        "threshold": threshold,
        "corrupt": len(corrupt),
        "graphs": graphs,
        "groups": groups,
    }


def with_acknowledgements(
    size: int, rate: str, found: GraphParameters, present: int, graphs: int
) -> dict[str, Any]:
    """The windows that can be made a gap, over all graphs."""
    isolated = beyond = fullest = 0
    for number in range(graphs):
        graph = graph_of(number, present, found.degree)
        ring = Ring.drawn(graph, found.threshold, range(found.corrupt))
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
        "corrupt": found.corrupt,
        "graphs": graphs,
        "windows": graphs * present,
        "fullest_window": fullest,
        "tolerated": found.threshold - found.degree // 2 - 2,
        "graphs_beyond": beyond,
        "gaps": isolated,
    }


def emitted(size: int, rate: str) -> list[tuple[GraphParameters, int]]:
    """As a plan asks, for the fewest who may come; and if all are sure to come."""
    fewest = size - int(Fraction(rate) * size)
    full = secagg_plus_parameters(size, rate, rate, server="malicious")
    planned = secagg_plus_parameters(size, rate, rate, server="malicious", smallest=fewest)
    return [(full, size), (planned, fewest)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="look for isolated groups over many graphs")
    parser.add_argument("--graphs", type=int, default=GRAPHS)
    parser.add_argument("--size", type=int, action="append", choices=SIZES, help="may be repeated")
    parser.add_argument("--write", action="store_true", help=f"to {RESULT.relative_to(ROOT)}")
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(words)
    if options.graphs < 1:
        parser.error(f"--graphs must be at least 1, got {options.graphs}")
    if options.write and (options.size or options.graphs < GRAPHS):
        parser.error(f"only all sizes with at least {GRAPHS} graphs are kept")
    build, started, before = machine.build(), machine.now(), machine.load()
    alone = nobody_corrupt()
    print(*map(json.dumps, alone), sep="\n", flush=True)
    without, within = [], []
    for size in options.size or SIZES:
        without.append(without_acknowledgements(size, options.graphs))
        print(json.dumps(without[-1]), flush=True)
        for rate in RATES:
            for found, present in emitted(size, rate):
                row = with_acknowledgements(size, rate, found, present, options.graphs)
                within.append(row)
                print(json.dumps(row), flush=True)
    passed = (
        all(row["group"] for row in alone)
        and all(all(row["groups"]) for row in without)
        and not any(row["gaps"] for row in within)
    )
    result = {
        "schema": "secagg.isolation/1",
        "secagg": msgspec.to_builtins(build),
        "machine": msgspec.to_builtins(machine.machine()),
        "load": {"before": before, "after": machine.load()},
        "versions": {**machine.versions(), "scipy": metadata.version("scipy")},
        "started": started,
        "argv": ["python", "scripts/isolation.py", *words],
        "settings": {
            "graphs": options.graphs,
            "seeds": "0 to graphs - 1, as 32 bytes; the first positions are corrupt",
            "arcs_without_acknowledgements": "from every place",
            "windows_with_acknowledgements": "from every place",
            "fullest_windows_by_flow_alone": WITHOUT_SHORTCUTS,
        },
        "without_acknowledgements_nobody_corrupt": alone,
        "without_acknowledgements_5_percent": without,
        "with_acknowledgements": within,
        "passed": passed,
    }
    if options.write:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print("passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
