"""What the server's side chooses, beside the protocol and its level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from secagg.adapters.flower.form import Limits
from secagg.codec import Codec
from secagg.codec.quantize import LARGEST_BOUND
from secagg.endpoint import reads_beacon
from secagg.errors import ParameterError
from secagg.protocol import Level, Protocol


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How results are encoded, what is demanded, and how long is waited.

    Attributes:
        clip: the largest magnitude of an array's element. Larger ones are refused at the client.
        saturate: cut larger elements to the clip instead.
        fraction_bits: binary digits after the point, at the largest weight.
        max_weight: the largest number of examples of a client, public. The error of a mean grows
            with max_weight / examples.
        metric_bound: the largest magnitude of a metric.
        weighted_by: the metric that is the weight, as the strategy calls it.
        min_clients: with fewer in the sum nothing is released.
        corrupt: fraction of the clients that may collude with the server.
        dropout: fraction of the clients that may vanish after the session has begun.
        sigma: statistical security of a neighbour graph, in bits.
        phase_seconds: how long each phase of a session waits for those who have not answered.
        failed_rounds: "raise" when a round has no sum, or "skip" it: the strategy is told that
            every client failed, and keeps its model.

    Raises:
        ParameterError: on construction, for values that nothing can be encoded with.
    """

    clip: float = 8.0
    saturate: bool = False
    fraction_bits: int = 24
    max_weight: int = 10_000
    metric_bound: float = 1024.0
    weighted_by: str = "num-examples"
    min_clients: int = 3
    corrupt: Decimal = Decimal("0.1")
    dropout: Decimal = Decimal("0.2")
    sigma: int = 40
    phase_seconds: float = 60.0
    failed_rounds: Literal["raise", "skip"] = "raise"

    def __post_init__(self) -> None:
        for name in ("clip", "metric_bound", "phase_seconds"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ParameterError(f"{name}: expected a positive number, got {value}")
        if self.failed_rounds not in ("raise", "skip"):
            raise ParameterError(f"failed_rounds is raise or skip, got {self.failed_rounds!r}")

        if not 1 <= self.max_weight <= LARGEST_BOUND:
            raise ParameterError(f"max_weight lies in 1..2**52, got {self.max_weight}")
        self.codec(1)

    def codec(self, length: int) -> Codec:
        """The codec of an exchange.

        Its largest weight is the next power of two: multiples of the limits' grid are then exact.

        Raises:
            ParameterError: clip and digits do not fit.
        """
        return Codec(
            length=length,
            clip=float(self.clip),
            max_weight=1 << (self.max_weight - 1).bit_length(),
            fraction_bits=self.fraction_bits,
        )

    @property
    def limits(self) -> Limits:
        """How large values may be."""
        return Limits(
            self.weighted_by,
            float(self.clip),
            self.max_weight,
            float(self.metric_bound),
            self.saturate,
            grid=2.0 ** ((self.max_weight - 1).bit_length() - self.fraction_bits),
        )


def require_messages_alone(protocol: Protocol, level: Level) -> None:
    """Refuse a protocol that needs more than messages between a server and its nodes.

    Raises:
        ParameterError: an enclave's process, or a public beacon that everybody reads.
    """
    if protocol.isolated:
        raise ParameterError(f"{protocol.name} needs a process of its own: secagg.run only")
    if any(reads_beacon(role) for role in protocol.at(level).roles.values()):
        raise ParameterError(
            f"{protocol.name} at level {level} needs a public beacon, which nobody reads here"
        )
