"""Where the CPU time of a masking client and of the server goes.

    python benchmarks/profile_round.py

One round as in ours.py, under the standard library's profiler, whose own cost inflates what calls
many small functions. A party's calls are told apart by running the profiler only while that party
handles something. Writes results/profile.json.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import Any, Final

import ours
import record
import updates
import watching

from secagg import kernels
from secagg.types import PartyId, Role

FRACTION_BITS: Final = 18
CASES: Final = {
    "sparse graph, 100 clients, 1M elements, 10 lost": (100, 1_000_000, 21, 10),
    "complete graph, 100 clients, 1M elements, 10 lost": (100, 1_000_000, None, 10),
    "complete graph, 300 clients, 100k elements, 90 lost": (300, 100_000, None, 90),
}

KINDS: Final = (
    ("expanding, adding and packing masks", ("secagg_mask_", "secagg_ring_pack")),
    ("adding vectors", ("secagg_ring_sum", "secagg_ring_reduce")),
    ("key agreement (X25519)", ("x25519",)),
    ("key derivation (HKDF) with its framing", ("kdf.py", "hkdf", "digest.py", "prg.py")),
    ("authenticated encryption", ("aead",)),
    ("Shamir shares", ("shamir",)),
    ("messages: encoding, decoding, records", ("wire.py", "msgspec", "memory.py", "messages.py")),
    ("checking the input", ("task.py", "ufunc", "_methods.py")),
)


class Recorder:
    """A profiler for each role."""

    def __init__(self) -> None:
        self.profiles = {role: cProfile.Profile() for role in (Role.CLIENT, Role.SERVER)}

    def recording(self) -> AbstractContextManager[None]:
        """Profile every party while it is on the clock."""
        return watching.parties(self._profiled)

    @contextmanager
    def _profiled(self, party: PartyId) -> Iterator[None]:
        profile = self.profiles[party.role]
        profile.enable()
        try:
            yield
        finally:
            profile.disable()


def shares(profile: cProfile.Profile) -> dict[str, float]:
    """The part of the time of each kind of work; what fits none is the protocol's own code."""
    stats: Any = pstats.Stats(profile)
    seconds = dict.fromkeys((*(kind for kind, _ in KINDS), "everything else"), 0.0)
    for (file, _, function), (_, _, own, _, _) in stats.stats.items():
        name = f"{file}:{function}".lower()
        kind = next((k for k, marks in KINDS if any(m in name for m in marks)), "everything else")
        seconds[kind] += own
    total = sum(seconds.values())
    return {kind: own / total for kind, own in seconds.items()}


def main() -> int:
    load = list(os.getloadavg())
    found = {}
    for name, (clients, length, wanted, lost) in CASES.items():
        chosen = ours.codec(length, FRACTION_BITS)
        planned = Decimal(lost) / clients
        agreed = ours.plan(chosen, clients, corrupt=Decimal("0.1"), dropout=planned, shares=wanted)
        recorder = Recorder()
        with kernels.using_threads(1):
            plain = ours.measure(chosen, agreed, updates.lost(clients, lost))
            with recorder.recording():
                ours.measure(chosen, agreed, updates.lost(clients, lost))
        print(f"{name}: client {plain.client_seconds:.4f} s, server {plain.server_seconds:.3f} s")
        found[name] = {
            "neighbours": agreed.degree,
            "threshold": agreed.threshold,
            "client_seconds": plain.client_seconds,
            "encode_seconds": plain.encode_seconds,
            "server_seconds": plain.server_seconds,
            "client": shares(recorder.profiles[Role.CLIENT]),
            "server": shares(recorder.profiles[Role.SERVER]),
        }
        for role in ("client", "server"):
            for kind, part in found[name][role].items():  # type: ignore[attr-defined]
                print(f"    {role:8} {part:6.1%}  {kind}")
    document = {"kernel": kernels.level(), "threads": 1, "load_before": load, "cases": found}
    print(record.write("profile", document, ("numpy", "cryptography")).relative_to(record.ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
