"""Milestone 3: speed, next to ceilings and to others."""

from __future__ import annotations

import json
import sys
from typing import Any

from performance_doc import RATIOS as GOALS

from must_shows.step import ROOT, SECAGG, Step


def kernel_speed(step: Step) -> None:
    """Kernels next to their ceilings, at the VAES level, on a quiet machine."""
    text = step.run(SECAGG, "speed", "--format", "json", "--repeats", "41", capture=True)
    (ROOT / "results" / "speed.json").write_text(text)
    document: dict[str, Any] = json.loads(text)
    step.facts["kernel"] = document["machine"]["kernel_level"]
    step.facts["doubts"] = document["doubts"]
    step.expect(step.facts["kernel"] == "vaes", "another level")
    by_name = {row["kernel"]: row for row in document["rows"]}
    got = {(name, key): by_name[name][key] for name, key, _ in GOALS if name in by_name}
    step.facts["figures"] = {f"{name}, {key}": value for (name, key), value in got.items()}
    missed = [
        f"{name}: {key} {got.get((name, key), 0):.2f}, not {least}"
        for name, key, least in GOALS
        if got.get((name, key), 0) < least
    ]
    step.expect(not missed, "; ".join(missed))


def flower(step: Step) -> None:
    """Rounds of 100 clients and 1M elements next to Flower's own SecAgg+."""
    words = (sys.executable, "benchmarks/compare.py", "--rival", "flower", "--dropout", "0.1")
    size = ("--clients", "100", "--length", "1000000")
    sparse = ("--min-client-ratio", "15", "--min-server-ratio", "50", "--min-bytes-ratio", "2")
    complete = ("--min-client-ratio", "50", "--min-server-ratio", "400")
    codes = [
        step.tried(*words, *size, "--neighbours", "21", *sparse),
        step.tried(*words, *size, "--neighbours", "complete", *complete),
    ]
    step.expect(not any(codes), f"ended with {codes}")


def bonawitz(step: Step) -> None:
    """500 clients and 100 000 elements on the complete graph next to the published table."""
    words = ("--rival", "bonawitz", "--min-server-ratio", "30")
    step.run(sys.executable, "benchmarks/compare.py", *words)


def at_scale(step: Step) -> None:
    """2000 clients and 100 000 elements, exact; the server's memory per client."""
    words = ("--protocol", "secagg_plus", "--clients", "2000", "--length", "100000")
    text = step.run(
        SECAGG, "simulate", *words, "--dropout", "0.05", "--format", "json", capture=True
    )
    (row,) = json.loads(text)["rows"]
    step.facts["simulated"] = row
    step.expect(row["exact"] is True, "the sum is not exact")
    step.run(sys.executable, "benchmarks/server_memory.py")


def every_mask(step: Step) -> None:
    """Masks of every level, lane, AES size and number of threads equal another AES-CTR."""
    step.run(sys.executable, "scripts/native_checks.py")
    step.run(sys.executable, "-m", "pytest", "-q", "tests/unit/kernels")
