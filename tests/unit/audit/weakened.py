"""A small sound implementation behind an adapter, and ones that are weak in one way each.

`LISTED` says which checks each of them must fail, and these only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from secagg.audit.foreign import ForeignImplementation
from secagg.audit.subject import Answer, Facts, Lie, Numbers, Question, Request
from secagg.errors import CannotTell

LEAST = 3


class Sound(ForeignImplementation):
    """Pairwise and self masks from an extendable hash; everything else is simulated honestly."""

    name = "sound"
    title = "pairwise and self masks, in a few lines of Python"
    wide: ClassVar[bool] = False

    def stream(self, seed: bytes, length: int, bits: int) -> Numbers:
        raw = hashlib.shake_256(seed).digest(8 * length)
        drawn: Numbers = np.frombuffer(raw, dtype="<u8")
        return drawn & np.uint64((1 << bits) - 1)

    def seed_of(self, request: Request, *words: object) -> bytes:
        return hashlib.sha256(request.seed + repr(words).encode()).digest()

    def admit(self, request: Request) -> None:
        largest = int(np.abs(request.inputs).max())
        if 2 * request.clients * largest >= 1 << request.bits:
            raise CannotTell(f"inputs up to {largest} do not fit")

    def mask(self, request: Request, number: int, peers: Sequence[int]) -> Numbers:
        """All masks that a client adds, or has added with these peers only."""
        length = request.inputs.shape[1]
        total = self.stream(self.seed_of(request, "self", number), length, request.bits)
        for peer in peers:
            pair = tuple(sorted((number, peer)))
            stream = self.stream(self.seed_of(request, "pair", *pair), length, request.bits)
            total = total + stream if number == pair[0] else total - stream
        return total

    def masked(self, request: Request, number: int) -> Numbers:
        peers = [peer for peer in range(request.clients) if peer != number]
        row: Numbers = request.inputs[number].astype(np.uint64)
        row = row + self.mask(request, number, peers)
        return row & np.uint64((1 << request.bits) - 1)

    def unmasked(
        self, request: Request, rows: Mapping[int, Numbers], included: Sequence[int]
    ) -> Any:
        total = np.zeros(request.inputs.shape[1], dtype=np.uint64)
        for number in included:
            gone = [peer for peer in range(request.clients) if peer not in rows]
            total = total + rows[number] - self.mask(request, number, gone)
        total &= np.uint64((1 << request.bits) - 1)
        half = np.uint64(1 << (request.bits - 1))
        return total.astype(np.int64) - np.where(total >= half, np.int64(1 << request.bits), 0)

    def session(self, request: Request) -> Facts:
        self.admit(request)
        stayed = ("after upload", None)
        included = [n for n in range(request.clients) if request.lost.get(n) in stayed]
        rows = {number: self.masked(request, number) for number in included}
        facts = Facts(
            bits=request.bits,
            masked=np.stack(list(rows.values())),
            sizes=self.sizes(request),
            tokens=self.tokens(request),
            clear=self.clear(request),
            largest=((1 << request.bits) - 1) // (2 * request.clients),
            kept=(),
        )
        if len(included) < self.smallest_sum(request.clients):
            return replace(facts, failure=f"only {len(included)} clients are left")
        total = self.unmasked(request, rows, included)
        return replace(facts, total=total, included=tuple(included))

    def sizes(self, request: Request) -> Mapping[str, tuple[int, ...]]:
        length = request.inputs.shape[1]
        return {"Vector": (length * request.bits // 8,) * request.clients}

    def tokens(self, request: Request) -> Mapping[str, tuple[bytes, ...]]:
        return {
            "nonce": tuple(
                self.seed_of(request, "nonce", number)[:12] for number in range(request.clients)
            )
        }

    def clear(self, request: Request) -> Mapping[str, tuple[float, ...]]:
        return {}

    def smallest_sum(self, clients: int) -> int:
        return LEAST

    def streams(self, count: int, length: int, bits: int, seed: bytes) -> Numbers:
        rows = [
            self.stream(hashlib.sha256(seed + bytes([number])).digest(), length, bits)
            for number in range(count)
        ]
        return np.stack(rows)

    def answers(self, clients: int, questions: Sequence[Question]) -> tuple[Answer, ...]:
        given: list[Answer] = []
        for question in questions:
            sound = not set(question.alive) & set(question.dropped)
            first = not any(given)
            enough = len(question.alive) >= LEAST
            given.append(self.shares(question) if sound and first and enough else None)
        return tuple(given)

    def shares(self, question: Question) -> Answer:
        return (
            *((peer, "self") for peer in question.alive),
            *((peer, "mask") for peer in question.dropped),
        )

    def seed_bits(self) -> Mapping[str, int]:
        return {"masks": 256}

    def seeds(self, count: int) -> Mapping[str, tuple[bytes, ...]]:
        return {"masks": tuple(hashlib.sha256(bytes([n])).digest() for n in range(count))}

    def believes(self, lie: Lie) -> bool:
        return False

    def takes_not_a_number(self) -> bool:
        return False


class MersenneTwister(Sound):
    name = "Mersenne Twister"

    def stream(self, seed: bytes, length: int, bits: int) -> Numbers:
        words = np.frombuffer(seed, dtype="<u4").tolist()
        drawn = np.random.RandomState(words).randint(0, 1 << bits, length, dtype=np.int64)
        return drawn.astype(np.uint64)


class NoSurvivorCheck(Sound):
    name = "clients that answer whatever they are asked"

    def answers(self, clients: int, questions: Sequence[Question]) -> tuple[Answer, ...]:
        return tuple(self.shares(question) for question in questions)


class FloatMasks(Sound):
    name = "masks in floating point"

    def stream(self, seed: bytes, length: int, bits: int) -> Numbers:
        words = np.frombuffer(seed, dtype="<u4").tolist()
        return np.random.default_rng(words).uniform(-1e7, 1e7, length)

    def masked(self, request: Request, number: int) -> Numbers:
        peers = [peer for peer in range(request.clients) if peer != number]
        hidden: Numbers = request.inputs[number] + self.mask(request, number, peers)
        return hidden

    def unmasked(
        self, request: Request, rows: Mapping[int, Numbers], included: Sequence[int]
    ) -> Any:
        gone = [peer for peer in range(request.clients) if peer not in rows]
        parts = [rows[number] - self.mask(request, number, gone) for number in included]
        return np.rint(np.sum(parts, axis=0)).astype(np.int64)

    def streams(self, count: int, length: int, bits: int, seed: bytes) -> Numbers:
        raise CannotTell("there is no ring for a mask to be in")


class SharedKey(Sound):
    name = "one decryption key for all clients"

    def session(self, request: Request) -> Facts:
        facts = super().session(request)
        return replace(facts, masked=None, bits=None, key_holders=("client", "decryptor"))

    def streams(self, count: int, length: int, bits: int, seed: bytes) -> Numbers:
        raise CannotTell("there are no masks")


class ReusedNonce(Sound):
    name = "a nonce used twice"

    def tokens(self, request: Request) -> Mapping[str, tuple[bytes, ...]]:
        found = super().tokens(request)["nonce"]
        return {"nonce": (*found[:-1], found[0])}


class NoTopValue(Sound):
    name = "masks that never have the top value"

    def stream(self, seed: bytes, length: int, bits: int) -> Numbers:
        top = (1 << bits) - 1
        drawn = super().stream(seed, 2 * length + 64, bits)
        kept: Numbers = drawn[drawn != top][:length]
        return kept


class BiasedTopValue(Sound):
    name = "masks that have the top value twice as often"

    def stream(self, seed: bytes, length: int, bits: int) -> Numbers:
        drawn = super().stream(seed, length, bits)
        return np.where(drawn == np.uint64(0), np.uint64((1 << bits) - 1), drawn)


class SmallMasks(Sound):
    name = "masks of a quarter of the ring, and no others"

    def stream(self, seed: bytes, length: int, bits: int) -> Numbers:
        return super().stream(seed, length, bits) >> np.uint64(2)

    def mask(self, request: Request, number: int, peers: Sequence[int]) -> Numbers:
        return super().mask(request, number, ())


class SilentOverflow(Sound):
    name = "sums that wrap"

    def admit(self, request: Request) -> None:
        pass


class FixedCohort(Sound):
    name = "a ring for eight clients, however many there are"

    def admit(self, request: Request) -> None:
        super().admit(replace(request, inputs=request.inputs[:8]))


class CostlyDropouts(Sound):
    name = "no sum without those who left early"

    def session(self, request: Request) -> Facts:
        facts = super().session(request)
        if "before sharing keys" in request.lost.values():
            return replace(facts, total=None, included=(), failure="a share is missing")
        return facts


class TakesNaN(Sound):
    name = "whatever is not a number becomes one"

    def takes_not_a_number(self) -> bool:
        return True


class ReusedMasks(Sound):
    name = "the same masks in every session"

    def mask(self, request: Request, number: int, peers: Sequence[int]) -> Numbers:
        return super().mask(replace(request, seed=bytes(32)), number, peers)


class ShortSeeds(Sound):
    name = "seeds of 28 bits"

    def seed_bits(self) -> Mapping[str, int]:
        return {"masks": 28}


class FoldedSeeds(Sound):
    name = "seeds of 256 bits, folded to 28 before they are used"

    def seeds(self, count: int) -> Mapping[str, tuple[bytes, ...]]:
        whole = super().seeds(count)["masks"]
        folded = [int.from_bytes(seed, "big") % 0x7F7F7F7F & 0x7F7F7F7F for seed in whole]
        return {"masks": tuple(seed.to_bytes(32, "big") for seed in folded)}


class Hoarder(Sound):
    name = "keys that are kept"

    def session(self, request: Request) -> Facts:
        return replace(super().session(request), kept=("private key",))


class BelievesKeys(Sound):
    name = "clients that take any key for their peers'"

    def believes(self, lie: Lie) -> bool:
        return lie == "other keys"


class BelievesThresholds(Sound):
    name = "clients that take any threshold"

    def believes(self, lie: Lie) -> bool:
        return lie == "threshold of one"


class BelievesRings(Sound):
    name = "clients that take any ring"

    def believes(self, lie: Lie) -> bool:
        return lie == "ring of one bit"


class ClearCounts(Sound):
    name = "example counts in clear"

    def clear(self, request: Request) -> Mapping[str, tuple[float, ...]]:
        return {"examples": tuple(map(float, request.weights))}


class Compressed(Sound):
    name = "inputs compressed before they are masked"

    def sizes(self, request: Request) -> Mapping[str, tuple[int, ...]]:
        return {"Vector": tuple(int(np.count_nonzero(row)) for row in request.inputs)}


class ForgottenMasks(Sound):
    name = "masks of lost clients stay in the sum"

    def unmasked(
        self, request: Request, rows: Mapping[int, Numbers], included: Sequence[int]
    ) -> Any:
        total = super().unmasked(request, rows, included)
        return total if len(rows) == request.clients else total + 1


class WrongSum(Sound):
    name = "a sum that is off by one"

    def unmasked(
        self, request: Request, rows: Mapping[int, Numbers], included: Sequence[int]
    ) -> Any:
        total = super().unmasked(request, rows, included)
        total[-1] += 1
        return total


class NoFloor(Sound):
    name = "a sum of one"

    def smallest_sum(self, clients: int) -> int:
        return 1


LISTED: dict[type[Sound], set[str]] = {
    Sound: set(),
    MersenneTwister: {"masks.complexity"},
    NoSurvivorCheck: {"shares.at-once", "shares.in-turn", "floor.client"},
    FloatMasks: {"masks.integers", "masks.uniform"},
    SharedKey: {"keys.holders"},
    ReusedNonce: {"fresh.tokens"},
    NoTopValue: {"masks.whole-ring"},
    BiasedTopValue: {"masks.whole-ring"},
    SmallMasks: {"masks.whole-ring", "masks.uniform", "masks.independent"},
    SilentOverflow: {"exactness.range", "exactness.cohort"},
    FixedCohort: {"exactness.cohort"},
    CostlyDropouts: {"exactness.early-dropouts"},
    TakesNaN: {"exactness.not-a-number"},
    ReusedMasks: {"fresh.masks"},
    ShortSeeds: {"fresh.seeds"},
    FoldedSeeds: {"fresh.seeds"},
    Hoarder: {"fresh.forgotten"},
    BelievesKeys: {"lies.keys"},
    BelievesThresholds: {"lies.threshold"},
    BelievesRings: {"lies.ring"},
    ClearCounts: {"sizes.clear-values"},
    Compressed: {"sizes.inputs"},
    ForgottenMasks: {"exactness.dropouts", "exactness.early-dropouts"},
    WrongSum: {
        *("exactness.sum", "exactness.dropouts", "exactness.early-dropouts"),
        "exactness.extremes",
    },
    NoFloor: {"floor.released"},
}

OUTSIDE = {"fresh.forgotten", "lies.keys", "lies.threshold", "lies.ring"}
"""What level curious does not promise, so that it is shown and no finding."""
