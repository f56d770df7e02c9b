"""One protocol in a comparison: it gets a round's updates and is measured.

The CPU time of a client is that of its party (decode, handle, encode of messages), and of its
ledger if it has one, plus encoding its update; of the party that releases the sum, its own plus
decoding the mean; other roles have theirs, with what a process of their own spent in the round.
Setting up a party or a process is in none, but for opening the session in a ledger.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import msgspec
import numpy as np

from fl.workload import Contribution, Vector, weighted_mean
from secagg.codec import Codec
from secagg.protocol import DONE, Exactness, Level, Plan, Protocol, Session, Task
from secagg.runner import EnclaveHost, Faults, Outcome, run
from secagg.types import PartyId, Ring, RingVector, Rng, Role, client


class RoundRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What one round of one protocol came to; without a sum nothing is measured.

    Attributes:
        seed: of the split.
        round: from 0.
        lost: how many clients vanished.
        included: how many clients are in the sum.
        lost_but_included: the numbers of those that vanished after their vector had arrived.
        failure: why there is no sum, or None.
        accused: who was accused of breaking the rules, and of what; in truth all are honest.
        exact: whether the mean has every bit of the exact integer sum's, over the same clients.
        max_error: of the mean, against double precision over the same clients.
        error_bound: what codec and protocol promise together.
        saturated: coordinates that the codec had to cut, over all clients.
        client_cpu_seconds: mean over the clients that finished, encoding included.
        server_cpu_seconds: of the server, decoding included.
        role_cpu_seconds: of all parties of each role that is neither client nor server.
        bytes_up: mean over the clients that finished.
        bytes_down: mean over the clients that finished.
    """

    seed: int
    round: int
    lost: int
    included: int = 0
    lost_but_included: tuple[int, ...] = ()
    failure: str | None = None
    accused: tuple[str, ...] = ()
    exact: bool | None = None
    max_error: float | None = None
    error_bound: float | None = None
    saturated: int = 0
    client_cpu_seconds: float | None = None
    server_cpu_seconds: float | None = None
    role_cpu_seconds: dict[str, float] = {}
    bytes_up: float | None = None
    bytes_down: float | None = None


@dataclass
class _Encodings:
    """All clients' updates in one ring; encoded once, whatever the number of protocols."""

    vectors: dict[PartyId, RingVector] = field(default_factory=dict)
    cpu_seconds: dict[PartyId, float] = field(default_factory=dict)
    saturated: int = 0


class Offer:
    """What every protocol gets in one round.

    Args:
        seed: of the split.
        training_round: from 0.
        contributions: by client number.
        losses: the clients that vanish; the k-th of them sends k mod m of its m messages first.
        codec: of the round.
        model_digest: 32 bytes over the model that was trained, and how.
    """

    def __init__(
        self,
        seed: int,
        training_round: int,
        contributions: Sequence[Contribution],
        losses: Sequence[int],
        codec: Codec,
        model_digest: bytes,
    ) -> None:
        self.seed = seed
        self.training_round = training_round
        self.contributions = contributions
        self.losses = losses
        self.codec = codec
        self.model_digest = model_digest
        self._encodings: dict[Ring, _Encodings] = {}

    @cached_property
    def staying(self) -> list[PartyId]:
        """The clients that do not vanish."""
        lost = set(self.losses)
        return [client(n) for n in range(len(self.contributions)) if n not in lost]

    def encodings(self, ring: Ring) -> _Encodings:
        """Every client's ring vector."""
        if ring not in self._encodings:
            made = _Encodings()
            for number, (vector, weight) in enumerate(self.contributions):
                before = time.process_time()
                encoded = self.codec.encode(vector, weight, ring)
                made.cpu_seconds[client(number)] = time.process_time() - before
                encoded.vector.flags.writeable = False
                made.vectors[client(number)] = encoded.vector
                made.saturated += encoded.saturated
            self._encodings[ring] = made
        return self._encodings[ring]

    def exact_mean(self, included: Sequence[PartyId], ring: Ring) -> Vector:
        """The mean that a sum in the clear, without any protocol, gives over these clients."""
        vectors = self.encodings(ring).vectors
        total: RingVector = np.zeros(self.codec.vector_length, dtype=ring.dtype)
        for party in included:
            total += vectors[party]
        return self.codec.decode(total & ring.dtype.type(ring.mask), ring).mean

    def float_mean(self, included: Sequence[PartyId]) -> Vector:
        """The same in double precision, without fixed point."""
        return weighted_mean([self.contributions[party.number] for party in included])


class Contender:
    """One protocol on one split.

    Attributes:
        plan: made once, for all rounds.
        model: where the protocol's own means lead.
        shadow: where exact sums over the same clients lead.

    Raises:
        ParameterError: the protocol refuses the task.
    """

    def __init__(self, protocol: Protocol, task: Task, start: Vector) -> None:
        self.protocol = protocol
        self.plan: Plan = protocol.plan(task)
        self.model = start
        self.shadow = start

    @property
    def claims_exact(self) -> bool:
        """Whether the protocol promises the exact sum."""
        return self.protocol.guarantees(self.plan.task.level).exactness is Exactness.EXACT

    def play(self, offer: Offer, rng: Rng, host: EnclaveHost | None = None) -> RoundRecord:
        """Run one round; the models move if it ends in a sum.

        Args:
            offer: of the round.
            rng: for all parties.
            host: the process in which the protocol's isolated role lives; without one, here.
        """
        session = Session.fresh(
            self.plan,
            rng,
            job=f"compare {offer.seed}",
            training_round=offer.training_round,
            model_digest=offer.model_digest,
        )
        steps = client_steps(self.protocol, self.plan.task.level)
        lost = {client(n): k % steps for k, n in enumerate(offer.losses)}
        encodings = offer.encodings(self.plan.ring)
        outcome = run(self.protocol, session, encodings.vectors, rng, Faults(lost=lost), host=host)
        if outcome.total is None:
            return without_sum(offer, outcome.failure or "no party released a sum")
        before = time.process_time()
        mean = offer.codec.decode(outcome.total, self.plan.ring).mean
        decoding = time.process_time() - before
        return self._measure(offer, outcome, mean, decoding)

    def _measure(
        self, offer: Offer, outcome: Outcome, mean: Vector, decoding: float
    ) -> RoundRecord:
        included = outcome.included
        encodings = offer.encodings(self.plan.ring)
        expected = offer.exact_mean(included, self.plan.ring)
        self.model = self.model + mean
        self.shadow = self.shadow + expected
        losses = {client(n) for n in offer.losses}
        reports = {
            party: report
            for party, report in outcome.parties.items()
            if party.role is Role.CLIENT and party not in losses and report.phase == DONE
        }
        cpu: dict[str, float] = {}
        for party, report in outcome.parties.items():
            if party.role is not Role.CLIENT:
                role = party.role.name.lower()
                cpu[role] = cpu.get(role, 0.0) + report.cpu_seconds
        # The mean is decoded where the sum comes out: at the server, or at whoever takes its place.
        cpu["server" if "server" in cpu else next(iter(cpu))] += decoding
        weights = [offer.contributions[party.number].weight for party in included]
        return RoundRecord(
            seed=offer.seed,
            round=offer.training_round,
            lost=len(losses),
            included=len(included),
            lost_but_included=tuple(party.number for party in included if party in losses),
            accused=tuple(f"{party}: {error}" for party, error in outcome.accused),
            exact=mean.tobytes() == expected.tobytes(),
            max_error=float(np.abs(mean - offer.float_mean(included)).max()),
            error_bound=self._error_bound(offer, weights),
            saturated=encodings.saturated,
            client_cpu_seconds=_mean(
                [r.cpu_seconds + encodings.cpu_seconds[party] for party, r in reports.items()]
            ),
            server_cpu_seconds=cpu.pop("server", None),
            role_cpu_seconds=cpu,
            bytes_up=_mean([r.sent for r in reports.values()]),
            bytes_down=_mean([r.received for r in reports.values()]),
        )

    def _error_bound(self, offer: Offer, weights: Sequence[int]) -> float:
        """The codec's bound, and what an inexact sum adds to it.

        An element of the sum is off by at most e. The summed weights W are scaled by s, so they
        come out within w = floor(e / s + 1/2), 0 if e rounds away. The mean (S / F) (M / W)
        of magnitude <= clip then moves by at most (e M / F + clip w) / (W - w).
        """
        codec, error, total = offer.codec, self.plan.error_bound, sum(weights)
        scale = codec.weight_scale
        weight_error = (2 * error + scale) // (2 * scale)
        if weight_error >= total:
            return float("inf")
        moved = error * codec.max_weight / (1 << codec.fraction_bits) + codec.clip * weight_error
        return codec.error_bound(weights) + moved / (total - weight_error)


def without_sum(offer: Offer, why: str) -> RoundRecord:
    """The record of a round without a sum."""
    return RoundRecord(
        seed=offer.seed, round=offer.training_round, lost=len(offer.losses), failure=why
    )


def client_steps(protocol: Protocol, level: Level) -> int:
    """How many messages a client sends in a round."""
    return sum(message.SENDER is Role.CLIENT for message in protocol.at(level).messages)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
