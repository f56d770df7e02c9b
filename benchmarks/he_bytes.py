"""Bytes on the wire of bfv and ckks next to float32, and whether the sum is exact.

    python benchmarks/he_bytes.py           # three real uploads, added n times in all
    python benchmarks/he_bytes.py --full    # a whole session where there are 100 clients

Every row of the table in docs/he.md. Ends with 1 if BFV needs more than 3.0 times float32 for 100
clients and 16 bits, or a sum is further off than the plan states. Writes results/he-bytes.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
import record

from secagg import protocols
from secagg.crypto.rng import StreamRng, seeded
from secagg.he import vectors, workers
from secagg.he.contexts import SecretContext
from secagg.protocol import Protocol, Session, Task
from secagg.protocols._homomorphic.plan import HomomorphicPlan
from secagg.runner import run
from secagg.types import client

LIMIT: Final = 3.0
LARGEST_SESSION: Final = 100


class Case(NamedTuple):
    """One row: a million values of some bits, from some clients."""

    protocol: str
    clients: int
    bits: int
    length: int = 1_000_000


CASES: Final = (
    Case("bfv", 100, 16),
    Case("bfv", 100, 8),
    Case("bfv", 1000, 21),
    Case("ckks", 100, 16),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    settings = parser.parse_args()
    rows = []
    with workers.processes(os.cpu_count() or 1):
        for case in CASES:
            rows.append(row := _measured(case, full=settings.full))
            print(
                f"{case.protocol}, {case.clients} clients, {case.bits} bits:"
                f" {row['upload_bytes']} bytes up, {row['upload_ratio']:.3f} x float32;"
                f" {row['context_bytes']} bytes down once; largest error of the sum"
                f" {row['largest_error']} units (stated: {row['stated_error']})"
            )
            for key, value in row["plan"].items():
                print(f"    {key}: {value}")
    passed = rows[0]["upload_ratio"] <= LIMIT
    passed = passed and all(row["largest_error"] <= row["stated_error"] for row in rows)
    facts = {"settings": vars(settings), "limit": LIMIT, "rows": rows, "passed": passed}
    path = record.write("he-bytes", facts, ("tenseal", "numpy"))
    print(f"{'passed' if passed else 'FAILED'}; {path.relative_to(record.ROOT)}")
    return 0 if passed else 1


def plan_of(case: Case) -> HomomorphicPlan:
    """Of a task without colluding clients."""
    task = Task(
        clients=tuple(client(number) for number in range(case.clients)),
        length=case.length,
        bound=(1 << (case.bits - 1)) - 1,
        corrupt=Decimal(0),
    )
    plan = protocols.get(case.protocol).plan(task)
    assert isinstance(plan, HomomorphicPlan)
    return plan


def sizes(case: Case) -> dict[str, Any]:
    """What follows from the parameters alone: the row of the table in docs/he.md."""
    plan = plan_of(case)
    lattice, traffic = plan.layout.lattice, protocols.get(case.protocol).traffic(plan)
    return {
        **case._asdict(),
        "degree": lattice.degree,
        "plain_modulus_bits": lattice.plain_modulus.bit_length(),
        "data_prime_bits": [prime.bit_length() for prime in lattice.data_primes],
        "special_prime_bits": lattice.special_prime.bit_length(),
        "values_per_slot": plan.layout.values_per_slot,
        "float32_bytes": 4 * case.length,
        "upload_bytes": traffic.up,
        "upload_ratio": traffic.up / (4 * case.length),
        "context_bytes": traffic.down,
        "stated_error": plan.error_bound,
        "plan": dict(plan.describe()),
    }


def _measured(case: Case, *, full: bool) -> dict[str, Any]:
    plan = plan_of(case)
    if full and case.clients <= LARGEST_SESSION:
        error = _session_error(protocols.get(case.protocol), plan)
    else:
        error = _repeated_error(plan)
    return {**sizes(case), "largest_error": error}


def _values(plan: HomomorphicPlan, rng: StreamRng) -> np.ndarray[Any, np.dtype[np.int64]]:
    bound, length = plan.task.bound, plan.task.length
    drawn = np.frombuffer(rng.bytes(8 * length), dtype=np.uint64) % np.uint64(2 * bound + 1)
    values = drawn.astype(np.int64) - bound
    values[:2] = bound, -bound
    return values


def _repeated_error(plan: HomomorphicPlan) -> int:
    """Three real uploads, added n times in all: noise that aligns more than n fresh ones would."""
    layout, rng, count = plan.layout, seeded(1), len(plan.task.clients)
    key = SecretContext.generate(layout.lattice, rng)
    inputs = [_values(plan, rng) for _ in range(3)]
    residues = []
    for values in inputs:
        packed = workers.encrypt(vectors.slots_of(values, layout), layout, key.public)
        assert len(packed) == layout.upload_bytes
        residues.append(vectors.unpack(memoryview(packed), layout))
    total, expected = np.zeros_like(residues[0]), np.zeros(plan.task.length, dtype=np.int64)
    for number in range(count):
        vectors.add(total, residues[number % 3], layout)
        expected += inputs[number % 3]
    slots = workers.decrypt(total, layout, key.seed)
    return int(np.max(np.abs(vectors.values_of(slots, layout, count) - expected)))


def _session_error(protocol: Protocol, plan: HomomorphicPlan) -> int:
    rng = seeded(1)
    inputs, expected = {}, np.zeros(plan.task.length, dtype=np.int64)
    for party in plan.task.clients:
        values = _values(plan, rng)
        expected += values
        inputs[party] = (values.astype(np.uint64) & np.uint64(plan.ring.mask)).astype(
            plan.ring.dtype
        )
    outcome = run(protocol, Session.fresh(plan, rng), inputs, rng)
    shifted = (outcome.sum().astype(np.int64) - expected) & plan.ring.mask
    centred = np.where(shifted > plan.ring.mask // 2, shifted - plan.ring.mask - 1, shifted)
    assert outcome.included == plan.task.clients
    return int(np.max(np.abs(centred)))


if __name__ == "__main__":
    sys.exit(main())
