"""What a protocol promises, as values that tools read: docs print them, benchmarks show them.

Within each enum the values are ordered from the weakest to the strongest promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Level(StrEnum):
    """The server that a plan defends against."""

    CURIOUS = "curious"
    MALICIOUS = "malicious"


class Claim(Enum):
    """A promise with its meaning in words; definition order is strength."""

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning

    def at_least(self, other: Claim) -> bool:
        """Whether this promise is the other one or a stronger one of the same kind."""
        order = list(type(self))
        return order.index(self) >= order.index(other)


class Adversary(Claim):
    """The worst that the server may be while it still learns only the sum."""

    TRUSTED_SERVER = "none: the server sees every input"
    CURIOUS_SERVER = "a server that follows the protocol and remembers everything"
    LYING_SERVER = "a server that deviates in any way"


class Collusion(Claim):
    """Who may pool what they saw without learning more than the sum of the others."""

    NOBODY = "nobody"
    PLANNED_CLIENTS = "the server and up to the planned number of clients"


class Dropouts(Claim):
    """Who may vanish without losing the round."""

    PLANNED = "up to the planned number of clients, at any moment"
    ANY = "any clients, at any moment, down to the smallest cohort"


class Exactness(Claim):
    """What the released sum is."""

    BOUNDED_ERROR = "the sum up to a stated error"
    EXACT = "the exact sum in the ring"


class Validity(Claim):
    """What is known of a single client's input."""

    UNCHECKED = "nothing: one client can shift the sum by anything"
    PROVED_IN_RANGE = "each input is proved to be in range"


class Evidence(Claim):
    """What stands behind the privacy claim."""

    NONE = "nothing is claimed"
    SIMULATED = "a simulation of hardware that would have to be real"
    SKETCH = "a proof sketch: experimental"
    PROVED = "a published proof for these parameters"


@dataclass(frozen=True)
class Guarantees:
    """The claims of one protocol at one level."""

    adversary: Adversary
    collusion: Collusion
    dropouts: Dropouts
    exactness: Exactness
    validity: Validity
    evidence: Evidence
    source: str

    @property
    def experimental(self) -> bool:
        """Whether a lying server is said to be withstood without a published proof.

        Nobody gets that unless the protocol is named.
        """
        return self.adversary is Adversary.LYING_SERVER and not self.evidence.at_least(
            Evidence.PROVED
        )
