"""Bytes on the wire of bfv and ckks next to float32, and whether the sum is exact.

    python benchmarks/he_bytes.py           # three real uploads, added n times in all
    python benchmarks/he_bytes.py --full    # a whole session in which every client encrypts

100 clients, a million values of 16 bits. Ends with 1 if BFV needs more than 3.0 times float32 or
its sum is not exact. Writes results/he-bytes.json.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from decimal import Decimal
from typing import Any

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

LIMIT = 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--length", type=int, default=1_000_000)
    parser.add_argument("--bits", type=int, default=16)
    parser.add_argument("--full", action="store_true")
    settings = parser.parse_args()
    rows = []
    with workers.processes(os.cpu_count() or 1):
        for name in ("bfv", "ckks"):
            rows.append(row := _measured(name, settings))
            print(
                f"{name}: {row['upload_bytes']} bytes up, {row['upload_ratio']:.3f} x float32;"
                f" {row['context_bytes']} bytes down once; largest error of the sum"
                f" {row['largest_error']} units (stated: {row['stated_error']})"
            )
            for key, value in row["plan"].items():
                print(f"    {key}: {value}")
    (bfv, _) = rows
    passed = bfv["upload_ratio"] <= LIMIT and bfv["largest_error"] == 0
    passed = passed and all(row["largest_error"] <= row["stated_error"] for row in rows)
    facts = {"settings": vars(settings), "limit": LIMIT, "rows": rows, "passed": passed}
    path = record.write("he-bytes", facts, ("tenseal", "numpy"))
    print(f"{'passed' if passed else 'FAILED'}; {path.relative_to(record.ROOT)}")
    return 0 if passed else 1


def _measured(name: str, settings: argparse.Namespace) -> dict[str, Any]:
    protocol = protocols.get(name)
    task = Task(
        clients=tuple(client(number) for number in range(settings.clients)),
        length=settings.length,
        bound=(1 << (settings.bits - 1)) - 1,
        corrupt=Decimal(0),
    )
    plan = protocol.plan(task)
    assert isinstance(plan, HomomorphicPlan)
    began = time.monotonic()
    error = _session_error(protocol, plan) if settings.full else _repeated_error(plan)
    traffic = protocol.traffic(plan)
    return {
        "protocol": name,
        "plan": dict(plan.describe()),
        "float32_bytes": 4 * settings.length,
        "upload_bytes": traffic.up,
        "upload_ratio": traffic.up / (4 * settings.length),
        "context_bytes": traffic.down,
        "largest_error": error,
        "stated_error": plan.error_bound,
        "seconds": round(time.monotonic() - began, 2),
    }


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
