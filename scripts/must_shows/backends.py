"""Milestone 2: homomorphic encryption and the simulated enclave."""

from __future__ import annotations

import sys

from must_shows.step import DEMO_SECONDS, MASKING, Step, rows_of


def six_rows(step: Step) -> None:
    """`make demo` prints six rows within 10 minutes."""
    text = step.run("make", "demo", limit=DEMO_SECONDS, capture=True)
    print(text)
    for word in ("plain", *MASKING, "bfv", "ckks", "enclave"):
        step.expect(word in text, f"make demo printed no {word}")


def fashion(step: Step) -> None:
    """About 100 000 parameters: bfv and enclave equal plain, ckks is within 0.1 points."""
    chosen = ("--protocols", "plain,bfv,ckks,enclave", "--data", "fashion-mnist")
    document = step.compare(*chosen, "--clients", "10", "--rounds", "3")
    step.expect(90_000 < document["training"]["length"] < 110_000, "another size of model")
    rows = rows_of(document)
    for name in ("bfv", "enclave"):
        step.expect(rows[name]["exact"] is True, f"{name} is not exact")
        step.expect(rows[name]["difference"] == 0, f"{name} differs from plain")
    step.expect(abs(rows["ckks"]["difference"]) <= 0.001, "ckks is off by more than 0.1 points")
    step.facts["ckks_difference"] = rows["ckks"]["difference"]


def ciphertext_bytes(step: Step) -> None:
    """BFV at n = 100 with 1M values of 16 bits: at most 3.0x float32 on the wire, exact."""
    step.run(sys.executable, "benchmarks/he_bytes.py")


def worst_case_noise(step: Step) -> None:
    """200 random tasks and every boundary: exact with worst-case contributions, or refused."""
    step.run(sys.executable, "-m", "pytest", "-q", "tests/unit/he")


def two_workers(step: Step) -> None:
    """Encryption of 1M values with two workers at least 1.6x faster than with one."""
    step.run(sys.executable, "benchmarks/he_workers.py")


def enclave_proofs(step: Step) -> None:
    """The memory scan, the one-byte measurement test, and the table of mutated quotes."""
    files = ("tests/e2e/test_enclave_memory.py", "tests/e2e/test_enclave_process.py")
    step.run(sys.executable, "-m", "pytest", "-q", *files, "tests/unit/attestation")
