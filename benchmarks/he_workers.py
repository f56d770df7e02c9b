"""How much faster two worker processes encrypt a million values than one.

    python benchmarks/he_workers.py

Each number of workers is timed in turn, several times; the medians are compared. Ends with 1 if two
workers are less than 1.6 times as fast. Writes results/he-workers.json.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import msgspec
import numpy as np
import record

from secagg.crypto.rng import seeded
from secagg.he import vectors, workers
from secagg.he.contexts import SecretContext
from secagg.he.parameters import derive_bfv, derive_ckks

LIMIT = 1.6
DERIVE = {"bfv": derive_bfv, "ckks": derive_ckks}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scheme", choices=sorted(DERIVE), default="bfv")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--length", type=int, default=1_000_000)
    parser.add_argument("--bits", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    settings = parser.parse_args()
    bound = (1 << (settings.bits - 1)) - 1
    layout = DERIVE[settings.scheme](settings.clients, bound, settings.length)
    key = SecretContext.generate(layout.lattice, seeded(1))
    values = np.arange(settings.length, dtype=np.int64) % (2 * bound + 1) - bound
    # The same parameters, sixteen ciphertexts.
    short = msgspec.structs.replace(layout, length=layout.length * 16 // layout.chunks - 1)
    first = vectors.slots_of(values[: short.length], short)
    seconds: dict[int, list[float]] = {1: [], settings.workers: []}
    for _ in range(settings.repeats):
        for count, measured in seconds.items():
            with workers.processes(count):
                workers.encrypt(first, short, key.public)  # every worker loads SEAL
                began = time.perf_counter()
                slots = vectors.slots_of(values, layout)
                sent = workers.encrypt(slots, layout, key.public)
                measured.append(time.perf_counter() - began)
            assert len(sent) == layout.upload_bytes
    medians = {count: statistics.median(measured) for count, measured in seconds.items()}
    ratio = medians[1] / medians[settings.workers]
    for count, median in medians.items():
        print(f"{count} worker(s): {median:.3f} s, {median / settings.length * 1e6:.2f} us a value")
    print(f"{settings.workers} workers are {ratio:.2f} times as fast as one (at least {LIMIT})")
    passed = ratio >= LIMIT
    facts = {
        "settings": vars(settings),
        "seconds": {str(count): measured for count, measured in seconds.items()},
        "ratio": ratio,
        "limit": LIMIT,
        "passed": passed,
    }
    path = record.write("he-workers", facts, ("tenseal", "numpy"))
    print(f"{'passed' if passed else 'FAILED'}; {path.relative_to(record.ROOT)}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
