"""What a round of this library costs: codec and parties, driven by `secagg.runner`.

Level curious unless told otherwise, no transcript. A client's CPU seconds are those of this
process, in encoding its update and in decoding, handling and encoding messages; the server's
include decoding the mean. At level malicious a client's ledger, in memory, is in its seconds;
drawing identities is in nobody's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import updates

from secagg import protocols
from secagg.codec import Codec
from secagg.crypto.rng import StreamRng, seeded
from secagg.errors import ParameterError
from secagg.protocol import Level, Session, Task
from secagg.protocols._masking.plan import MaskingPlan
from secagg.runner import Faults, run
from secagg.types import SERVER, PartyId, Ring, RingVector, client

DEALT = 2
"""Messages of a client that vanishes after it has dealt its shares."""


SIGMA, LARGEST_SIGMA = 40, 128
"""Bits of statistical security: the default of a task, and the largest."""


@dataclass(frozen=True)
class Round:
    """One round, measured.

    Attributes:
        client_seconds: CPU of a client, the median of those in the sum.
        encode_seconds: the codec's part of it, likewise.
        server_seconds: CPU of the server.
        up: bytes that a client sends, the median of those in the sum.
        down: bytes that it receives, likewise.
        included: clients in the sum.
        error: the largest |mean - true mean of the clipped updates| of a coordinate.
        bound: what the codec proves of that error.
    """

    client_seconds: float
    encode_seconds: float
    server_seconds: float
    up: float
    down: float
    included: int
    error: float
    bound: float


class Promptly:
    """The newest action first: a vector reaches the server before the next client makes its own.

    Otherwise all vectors would wait in memory at once, and fresh pages for them, a cost of the
    simulation, would be charged to the clients.
    """

    def next(self, pending: int, waiting: int) -> int:
        """The newest action, else the first deadline."""
        return max(pending - 1, 0)


def codec(length: int, fraction_bits: int) -> Codec:
    """The codec at the clip of both sides."""
    return Codec(
        length=length,
        clip=updates.CLIP,
        max_weight=updates.MAX_WEIGHT,
        fraction_bits=fraction_bits,
    )


def plan(
    chosen: Codec,
    clients: int,
    *,
    corrupt: Decimal,
    dropout: Decimal,
    shares: int | None,
    level: Level = Level.CURIOUS,
) -> MaskingPlan:
    """The plan in which a secret has at least this many shares, by parameters that are safe.

    Neighbours follow from the task, never the other way round. Where the default statistical
    security needs fewer, more of it is asked for until the degree is reached: our side then does
    no less work than asked for.

    Args:
        chosen: the codec.
        clients: at the start.
        corrupt: fraction that may collude.
        dropout: fraction that may vanish.
        shares: of a secret, the owner's included; None for the complete graph.
        level: the server that is withstood.

    Raises:
        ParameterError: no sparse graph does.
    """
    name = "secagg" if shares is None else "secagg_plus"
    reached = 0
    for sigma in range(SIGMA, LARGEST_SIGMA + 1):
        task = Task(
            clients=tuple(client(number) for number in range(clients)),
            length=chosen.vector_length,
            bound=chosen.bound,
            level=level,
            corrupt=corrupt,
            dropout=dropout,
            sigma=sigma,
        )
        found = protocols.get(name).plan(task)
        assert isinstance(found, MaskingPlan)
        if shares is None or (not found.complete and found.degree + 1 >= shares):
            return found
        if found.complete:
            break
        reached = found.degree + 1
    raise ParameterError(
        f"no plan with a sparse graph of {clients} clients has {shares} shares of a secret, the"
        f" largest has {reached}: change the fractions, or ask for the complete graph"
    )


def measure(chosen: Codec, agreed: MaskingPlan, lost: Sequence[int]) -> Round:
    """One round in which these clients vanish after they have dealt their shares."""
    inputs, encoding = _encoded(chosen, agreed.task.clients, agreed.ring)
    rng = seeded(updates.SEED)
    faults = Faults(lost={client(number): DEALT for number in lost})
    session = Session.fresh(agreed, StreamRng(rng.bytes(32)))
    outcome = run(protocols.get(agreed.protocol), session, inputs, rng, faults, schedule=Promptly())
    total = outcome.sum()
    began = time.process_time()
    decoded = chosen.decode(total, agreed.ring)
    decoding = time.process_time() - began
    assert len(outcome.included) == len(agreed.task.clients) - len(lost)
    included = [party.number for party in outcome.included]
    reports = {party: outcome.parties[party] for party in outcome.included}
    truth = updates.clipped_mean(included, chosen.length)
    return Round(
        client_seconds=statistics.median(
            report.cpu_seconds + encoding[party] for party, report in reports.items()
        ),
        encode_seconds=statistics.median(encoding[party] for party in reports),
        server_seconds=outcome.parties[SERVER].cpu_seconds + decoding,
        up=statistics.median(report.sent for report in reports.values()),
        down=statistics.median(report.received for report in reports.values()),
        included=len(included),
        error=float(np.max(np.abs(decoded.mean - truth))),
        bound=chosen.error_bound(updates.weight(number) for number in included),
    )


def _encoded(
    chosen: Codec, parties: Sequence[PartyId], ring: Ring
) -> tuple[dict[PartyId, RingVector], dict[PartyId, float]]:
    """Every client's vector, and the CPU seconds of encoding it; copied here off the clock."""
    vectors = np.empty((len(parties), chosen.vector_length), dtype=ring.dtype)
    seconds = {}
    for row, party in enumerate(parties):
        values, weight = updates.update(party.number, chosen.length), updates.weight(party.number)
        began = time.process_time()
        encoded = chosen.encode(values, weight, ring)
        seconds[party] = time.process_time() - began
        assert encoded.saturated == 0
        vectors[row] = encoded.vector
    return dict(zip(parties, vectors, strict=True)), seconds
