"""What a client pays for withstanding a server that lies: level malicious next to curious.

    python benchmarks/malicious_cost.py

Rounds as in ours.py on the complete graph, the two levels in turn, kernels on one thread, nobody
lost. A client's seconds include its codec at both levels and its ledger, in memory, at malicious.
The floor is what the curve arithmetic alone would take: signatures, verifications and agreements
are counted in a round of their own, and one of each is timed in this process, in turn with the
rounds.

Ends with 1 if a goal is missed, with 3 if the kernels are not those that the goals are for. Writes
results/malicious-cost.json if the settings are the ones with goals.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final
from unittest.mock import patch

import ours
import record
import watching

from secagg import kernels
from secagg.crypto import signing
from secagg.crypto.agreement import PrivateKey
from secagg.crypto.rng import seeded
from secagg.crypto.signing import SigningKey
from secagg.protocol import Level
from secagg.protocols._masking.plan import MaskingPlan
from secagg.types import PartyId, Role, Secret

CLIENTS: Final = 100
LENGTHS: Final = (100_000, 1_000_000)
REPEATS: Final = 7
FRACTION_BITS: Final = 18
CORRUPT: Final = Decimal("0.1")
DROPOUT: Final = Decimal("0.1")
KERNEL: Final = "vaes"

GOALS: Final = {
    100_000: {"client_ratio": 4.5, "client_seconds": 0.050},
    1_000_000: {"client_ratio": 2.5, "bytes_ratio": 1.2},
}
"""At most, by length of the vector."""

OPERATIONS: Final = ("sign", "verify", "agree")
TIMED: Final = 50
"""Operations of a kind that are timed after every round."""


class Tally:
    """How often every party does each of the operations."""

    def __init__(self) -> None:
        self.counts: dict[PartyId, Counter[str]] = {}
        self._current: Counter[str] | None = None

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count, in everything that is run."""
        places = ((SigningKey, "sign"), (signing, "verify"), (PrivateKey, "agree"))
        with ExitStack() as stack:
            for owner, name in places:
                original = getattr(owner, name)
                stack.enter_context(patch.object(owner, name, self._counted(name, original)))
            stack.enter_context(watching.parties(self._watch))
            yield

    def of_client(self, operation: str) -> int:
        """The most that any client did."""
        return max(count[operation] for party, count in self.counts.items() if is_client(party))

    @contextmanager
    def _watch(self, party: PartyId) -> Iterator[None]:
        before, self._current = self._current, self.counts.setdefault(party, Counter())
        try:
            yield
        finally:
            self._current = before

    def _counted(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            if self._current is not None:
                self._current[name] += 1
            return original(*arguments)

        return counted


def is_client(party: PartyId) -> bool:
    return party.role is Role.CLIENT


class Operations:
    """One operation of each kind, timed again and again."""

    def __init__(self) -> None:
        rng = seeded(1)
        key, other = SigningKey(Secret(rng.bytes(32))), PrivateKey(Secret(rng.bytes(32)))
        mine, statement = PrivateKey(Secret(rng.bytes(32))), bytes(200)
        signature = key.sign("a context", statement)
        self._calls: dict[str, Callable[[], object]] = {
            "sign": lambda: key.sign("a context", statement),
            "verify": lambda: signing.verify(key.public, signature, "a context", statement),
            "agree": lambda: mine.agree(other.public),
        }
        self._seconds: dict[str, list[float]] = {name: [] for name in OPERATIONS}

    def time(self) -> None:
        """Some of each."""
        for name, call in self._calls.items():
            for _ in range(TIMED):
                began = time.thread_time()
                call()
                self._seconds[name].append(time.thread_time() - began)

    @property
    def seconds(self) -> dict[str, float]:
        """The median of each kind."""
        return {name: statistics.median(measured) for name, measured in self._seconds.items()}


def plans(clients: int, length: int) -> dict[Level, MaskingPlan]:
    """The plan at each level."""
    return {
        level: ours.plan(
            ours.codec(length, FRACTION_BITS),
            clients,
            corrupt=CORRUPT,
            dropout=DROPOUT,
            shares=None,
            level=level,
        )
        for level in Level
    }


def tallied(clients: int, length: int) -> dict[Level, dict[str, int]]:
    """What a client of each level does, at most."""
    found = {}
    for level, agreed in plans(clients, length).items():
        tally = Tally()
        with tally.counting():
            ours.measure(ours.codec(length, FRACTION_BITS), agreed, ())
        found[level] = {name: tally.of_client(name) for name in OPERATIONS}
    return found


def measured(clients: int, length: int, repeats: int, operations: Operations) -> dict[str, Any]:
    """Rounds of both levels, in turn."""
    chosen, agreed = ours.codec(length, FRACTION_BITS), plans(clients, length)
    rounds: dict[Level, list[ours.Round]] = {level: [] for level in Level}
    for _ in range(repeats):
        for level, plan in agreed.items():
            rounds[level].append(ours.measure(chosen, plan, ()))
            operations.time()
    names = ("client_seconds", "encode_seconds", "server_seconds", "up", "down")
    medians = {
        str(level): {name: statistics.median(asdict(one)[name] for one in found) for name in names}
        for level, found in rounds.items()
    }
    curious, malicious = medians[str(Level.CURIOUS)], medians[str(Level.MALICIOUS)]
    pairs = zip(rounds[Level.MALICIOUS], rounds[Level.CURIOUS], strict=True)
    return {
        "length": length,
        "threshold": agreed[Level.MALICIOUS].threshold,
        "levels": medians,
        "client_seconds": malicious["client_seconds"],
        "client_ratio": statistics.median(a.client_seconds / b.client_seconds for a, b in pairs),
        "server_ratio": malicious["server_seconds"] / curious["server_seconds"],
        "bytes_ratio": sum(malicious[way] for way in ("up", "down"))
        / sum(curious[way] for way in ("up", "down")),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--length", type=int, action="append", help="may be repeated")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    settings = parser.parse_args()
    lengths = tuple(settings.length or LENGTHS)
    load, operations = list(os.getloadavg()), Operations()
    with kernels.using_threads(1):
        counts = tallied(settings.clients, min(lengths))
        cases = [measured(settings.clients, n, settings.repeats, operations) for n in lengths]
    seconds = operations.seconds
    floors = {
        str(level): sum(count[name] * seconds[name] for name in OPERATIONS)
        for level, count in counts.items()
    }
    for level, count in counts.items():
        print(f"{level}: a client does {count}: {floors[str(level)] * 1e3:.1f} ms")
    print({name: f"{value * 1e6:.1f} us" for name, value in seconds.items()})
    missed = []
    for case in cases:
        goals = GOALS.get(case["length"], {})
        case["goals"] = goals
        missed += [f"{case['length']}: {name}" for name, most in goals.items() if case[name] > most]
        print(
            f"{case['length']}: client {case['client_seconds'] * 1e3:.1f} ms,"
            f" {case['client_ratio']:.2f}x curious; bytes {case['bytes_ratio']:.3f}x;"
            f" server {case['server_ratio']:.2f}x"
        )
    passed = not missed and kernels.level() == KERNEL
    if settings.clients == CLIENTS and lengths == LENGTHS:
        facts = {
            "kernel": kernels.level(),
            "threads": 1,
            "load_before": load,
            "settings": {"clients": CLIENTS, "repeats": settings.repeats},
            "counts": {str(level): count for level, count in counts.items()},
            "operation_seconds": seconds,
            "floor_seconds": floors,
            "cases": cases,
            "passed": passed,
        }
        path = record.write("malicious-cost", facts, ("numpy", "cryptography"))
        print(path.relative_to(record.ROOT))
    if missed:
        print("MISSED:", "; ".join(missed))
        return 1
    return 0 if kernels.level() == KERNEL else 3


if __name__ == "__main__":
    sys.exit(main())
