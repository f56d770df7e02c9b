"""What the server's side chooses, beside the protocol and its level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from secagg.adapters.flower.form import Limits
from secagg.errors import ParameterError


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

    @property
    def limits(self) -> Limits:
        """How large values may be."""
        return Limits(
            self.weighted_by,
            float(self.clip),
            self.max_weight,
            float(self.metric_bound),
            self.saturate,
        )
