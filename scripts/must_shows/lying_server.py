"""Milestone 4: a server that lies."""

from __future__ import annotations

import json
import sys
from typing import Any

from must_shows.step import ROOT, Step


def planner(step: Step) -> None:
    """200 graphs of each size: isolation without acknowledgements, none with the correction."""
    text = step.run(sys.executable, "scripts/isolation.py", capture=True)
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    step.facts["isolated"] = {
        f"n = {row['clients']}, ({row['degree']}, {row['threshold']})": {
            "graphs": row["graphs"],
            "with_isolation": sum(group is not None for group in row["groups"]),
            "smallest_group": min(group for group in row["groups"] if group is not None),
        }
        for row in rows
        if "groups" in row
    }
    step.facts["gaps"] = {
        f"n = {row['present']}, ({row['degree']}, {row['threshold']})": row["gaps"]
        for row in rows
        if "gaps" in row
    }
    step.run(sys.executable, "scripts/consistency_doc.py", "--check")
    files = ("tests/oracles/test_isolation.py", "tests/oracles/test_left_open.py")
    step.run(sys.executable, "-m", "pytest", "-q", *files)


def attacks(step: Step) -> None:
    """Every attack reaches its goal with its check out; with it in, the named error stops it."""
    step.run(sys.executable, "-m", "pytest", "-q", "tests/attacks")
    step.run(sys.executable, "scripts/attacks_doc.py", "--check")


def mutants(step: Step) -> None:
    """With any one check of level malicious taken out of the code, a test fails."""
    step.run(sys.executable, "scripts/mutants.py", limit=4 * 3600)
    step.run(sys.executable, "scripts/mutants_doc.py", "--check")


def cost(step: Step) -> None:
    """Client CPU and bytes of level malicious next to curious, and next to the curve arithmetic."""
    step.run(sys.executable, "benchmarks/malicious_cost.py")
    found: dict[str, Any] = json.loads((ROOT / "results" / "malicious-cost.json").read_text())
    step.facts["kernel"] = found["kernel"]
    step.facts["floor_seconds"] = found["floor_seconds"]
    step.facts["cases"] = [
        {
            key: case[key]
            for key in ("length", "client_seconds", "client_ratio", "server_ratio", "bytes_ratio")
        }
        for case in found["cases"]
    ]


def lying_server(step: Step) -> None:
    """60 clients, 12 lost: exact and as good as plain; what does not offer the level says so."""
    words = ("--level", "malicious", "--clients", "60", "--dropout", "0.2")
    document = step.compare(*words)
    rows = {(row["protocol"], row["level"]): row for row in document["rows"]}
    secagg, plain = rows["secagg", "malicious"], rows["plain", "malicious"]
    step.expect(document["training"]["lost"] == 12, "not floor(0.2 * 60) lost")
    step.expect(secagg["status"] == "done", f"secagg: {secagg['status']}: {secagg['reason']}")
    step.expect(all(record["exact"] for record in secagg["rounds"]), "secagg is not exact")
    step.expect(secagg["difference"] == 0 == plain["difference"], "secagg differs from plain sums")
    step.expect(secagg["survived_dropouts"] == 12, f"survived {secagg['survived_dropouts']}")
    step.expect("no server" in secagg["trusts"], f"secagg trusts {secagg['trusts']}")
    step.expect(rows["secagg", "curious"]["status"] == "done", "no row at curious beside it")
    for name in ("bfv", "ckks", "enclave"):
        state = rows[name, "malicious"]["status"]
        step.expect(state == "not offered", f"{name}: {state}")
    step.facts["client_cpu_ratio"] = round(
        secagg["client_cpu_seconds"]["mean"]
        / rows["secagg", "curious"]["client_cpu_seconds"]["mean"],
        2,
    )
