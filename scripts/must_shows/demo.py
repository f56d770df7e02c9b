"""Milestone 1: the engine, masking, and a demo on real data."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from must_shows.step import DEMO_SECONDS, MASKING, ROOT, Step, rows_of


def fresh_clone(step: Step) -> None:
    """In a fresh clone `make demo` prints the table within 10 minutes, and `make test` passes."""
    with tempfile.TemporaryDirectory(prefix="acceptance-") as folder:
        clone = Path(folder) / "clone"
        step.run("git", "clone", "--quiet", str(ROOT), str(clone))
        text = step.run("make", "demo", cwd=clone, limit=DEMO_SECONDS, capture=True)
        print(text)
        for word in ("plain", *MASKING, "accuracy", "trusts"):
            step.expect(word in text, f"make demo printed no {word}")
        step.run("make", "test", cwd=clone)


def hospitals(step: Step) -> None:
    """Four hospitals: R2 near the pooled fit, and every exact protocol has the bits of plain."""
    document = step.compare("--data", "opt", "--rounds", "20")
    training = document["training"]
    gap = abs(training["pooled"] - training["federated"])
    step.facts |= {"pooled_r2": training["pooled"], "federated_r2": training["federated"]}
    step.expect(training["clients"] == 4, f"{training['clients']} hospitals")
    step.expect(len(training["federated_by_split"]) == 10, "not 10 splits")
    step.expect(gap <= 0.02, f"R2 of FedAvg and of the pooled fit differ by {gap}")
    rows = rows_of(document)
    for name, row in rows.items():
        step.expect(row["status"] == "done", f"{name}: {row['status']}: {row['reason']}")
        if row["claims_exact"]:
            step.expect(all(r["exact"] for r in row["rounds"]), f"{name} is not exact")
            step.expect(
                row["metric_by_split"] == rows["plain"]["metric_by_split"],
                f"{name} does not end where plain ends",
            )
    step.expect(all(rows[name]["claims_exact"] for name in MASKING), "masking is not exact")


def losses(step: Step) -> None:
    """floor(0.3 n) clients vanish over all phases, the sums stay exact; more, and it aborts."""
    document = step.compare("--clients", "60", "--dropout", "0.3")
    rows = rows_of(document)
    step.expect(document["training"]["lost"] == 18, "not floor(0.3 * 60) lost")
    for name, row in rows.items():
        spread = row["lost_after"]
        step.expect(row["status"] == "done", f"{name}: {row['status']}: {row['reason']}")
        step.expect(sum(spread) == 18, f"{name} loses {spread}")
        step.expect(max(spread) - min(spread) <= 1, f"{name}: losses are not spread: {spread}")
        step.expect(row["planned_dropouts"] >= 18, f"{name} plans {row['planned_dropouts']}")
        for record in row["rounds"]:
            step.expect(record["lost"] == 18, f"{name} loses {record['lost']}")
            step.expect(
                record["included"] == 42 + len(record["lost_but_included"]),
                f"{name} includes {record['included']}",
            )
            step.expect(record["exact"] or not row["claims_exact"], f"{name} is not exact")
    for name in MASKING:
        step.expect(rows[name]["planned_dropouts"] == 18, f"{name}: delta does not follow")
        step.expect(len(rows[name]["lost_after"]) == 4, f"{name} has not 4 phases")
        step.expect(rows[name]["exact"] is True, f"{name} is not exact")
    words = ("--clients", "60", "--dropout", "0.3", "--lose", "0.6", "--rounds", "2")
    rows = rows_of(step.compare(*words, code=4))
    step.expect(rows["plain"]["status"] == "done", "plain did not finish")
    for name in MASKING:
        step.expect(rows[name]["status"] == "aborted", f"{name}: {rows[name]['status']}")
        step.expect(bool(rows[name]["reason"]), f"{name} does not say why")
        step.facts[f"{name}_reason"] = rows[name]["reason"]


def parameters(step: Step) -> None:
    """The published tables, and the complete graph for small cohorts."""
    step.run(sys.executable, "-m", "pytest", "-q", "tests/unit/protocols/test_parameters.py")
    for clients, expected in ((10, (9, 6)), (4, (3, 3))):
        step.run(
            sys.executable,
            "-c",
            "import secagg;"
            f" found = secagg.secagg_plus_parameters({clients}, '0.1', '0.1');"
            f" assert found[:2] == {expected} and found.complete, found",
        )


def extension(step: Step) -> None:
    """A toy protocol is one file and one name; every kernel level and a single protocol pass."""
    step.run(sys.executable, "-m", "pytest", "-q", "tests/conformance/test_toy.py")
    kernels = ("-m", "pytest", "-q", "tests/unit/kernels")
    step.run(sys.executable, *kernels, SECAGG_CPU="reference")
    conformance = ("-m", "pytest", "-q", "tests/conformance")
    step.run(sys.executable, *conformance, SECAGG_CONFORMANCE="secagg")
