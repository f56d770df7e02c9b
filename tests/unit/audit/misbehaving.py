"""Adapters that crash, hang, or answer what is no answer."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from unit.audit.weakened import Sound

from secagg.audit.foreign import ForeignImplementation
from secagg.audit.subject import Answer, Facts, Lie, Numbers, Question, Request
from secagg.protocol import (
    Adversary,
    Collusion,
    Dropouts,
    Evidence,
    Exactness,
    Guarantees,
    Validity,
)


class Silent(ForeignImplementation):
    name = "one that offers nothing"


class Crashes(Sound):
    def session(self, request: Request) -> Facts:
        os._exit(9)


class Hangs(Sound):
    def session(self, request: Request) -> Facts:
        time.sleep(3600)
        raise AssertionError


class Raises(Sound):
    def session(self, request: Request) -> Facts:
        raise ZeroDivisionError("on purpose")


class Exits(Sound):
    def session(self, request: Request) -> Facts:
        sys.exit(0)


class Shouts(Sound):
    """Writes to every descriptor that it can find, the channel among them."""

    def session(self, request: Request) -> Facts:
        for descriptor in range(16):
            try:
                os.write(descriptor, b"\x00\x00\x00\x04pass")
            except OSError:
                continue
        return super().session(request)


class AnswersAnything(Sound):
    def session(self, request: Request) -> Facts:
        anything: Any = {"verdict": "pass"}
        return anything  # type: ignore[no-any-return]

    def smallest_sum(self, clients: int) -> int:
        anything: Any = "three"
        return anything  # type: ignore[no-any-return]

    def streams(self, count: int, length: int, bits: int, seed: bytes) -> Numbers:
        return np.array(["a"])

    def answers(self, clients: int, questions: Sequence[Question]) -> tuple[Answer, ...]:
        return ((0, "everything"),)  # type: ignore[return-value]

    def seed_bits(self) -> Mapping[str, int]:
        return {"masks": None}  # type: ignore[dict-item]

    def seeds(self, count: int) -> Mapping[str, tuple[bytes, ...]]:
        return {"masks": (b"too", b"few")}

    def believes(self, lie: Lie) -> bool:
        return "perhaps"  # type: ignore[return-value]

    def takes_not_a_number(self) -> bool:
        return 0  # type: ignore[return-value]


class OtherShapes(Sound):
    def session(self, request: Request) -> Facts:
        facts = super().session(request)
        return replace(facts, total=np.zeros(3, dtype=np.int64))

    def streams(self, count: int, length: int, bits: int, seed: bytes) -> Numbers:
        return super().streams(1, length, bits, seed)


class NotFinite(Sound):
    def session(self, request: Request) -> Facts:
        facts = super().session(request)
        return replace(facts, masked=np.full(request.inputs.shape, np.nan))


class Strangers(Sound):
    def session(self, request: Request) -> Facts:
        return replace(super().session(request), included=(0, 1, 99))


class TooMuch(Sound):
    def session(self, request: Request) -> Facts:
        return replace(super().session(request), masked=np.zeros((8, 1 << 23), dtype=np.uint64))


class OddFloor(Sound):
    """Says that a sum needs more clients than there are."""

    def smallest_sum(self, clients: int) -> int:
        return 10**9 if clients < 100 else -1

    def session(self, request: Request) -> Facts:
        return Facts()


class WideRing(Sound):
    """Sound in a ring of 64 bits, whatever is asked for."""

    def session(self, request: Request) -> Facts:
        self.admit(request)
        return super().session(replace(request, bits=64))

    def unmasked(
        self, request: Request, rows: Mapping[int, Numbers], included: Sequence[int]
    ) -> Any:
        total = np.zeros(request.inputs.shape[1], dtype=np.uint64)
        for number in included:
            gone = [peer for peer in range(request.clients) if peer not in rows]
            total = total + rows[number] - self.mask(request, number, gone)
        return total.view(np.int64)

    def stream(self, seed: bytes, length: int, bits: int) -> Numbers:
        drawn: Numbers = super().stream(seed, length, min(bits, 63))
        return drawn if bits < 64 else drawn * np.uint64(2) + drawn % np.uint64(2)


class Promises(Sound):
    """Says that it withstands a lying server."""

    name = "promises"
    guarantees = Guarantees(
        adversary=Adversary.LYING_SERVER,
        collusion=Collusion.NOBODY,
        dropouts=Dropouts.ANY,
        exactness=Exactness.EXACT,
        validity=Validity.UNCHECKED,
        evidence=Evidence.NONE,
        source="its author",
    )


class BadName(Sound):
    name = "x" * 100_000


class NoStart(Sound):
    def __init__(self) -> None:
        raise RuntimeError("no start")
