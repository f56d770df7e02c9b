"""A public randomness beacon: rounds with values that nobody knows before their time.

A party never asks a beacon itself. Its driver reads rounds and values, and gives them to the party
as events (`BeaconHead`, `BeaconValue`); the party checks a value by what it brings along. That a
value came in its time nobody can check afterwards, so the newest round is read by each party's own
driver, and never from the server.

What a beacon is trusted for: that nobody, the server and the clients that collude with it included,
knows a value, or anything about it, before its round, or has a choice among several. It need not
be trusted with anything else: a beacon that falls silent ends sessions, and one that tells two
parties two values for one round keeps them from understanding each other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from secagg.crypto import signing
from secagg.crypto.signing import SIGNATURE_BYTES, SigningKey

VALUE_BYTES: Final = 96
"""The largest value of any beacon."""

_CONTEXT: Final = "SIMULATED beacon"


class Beacon(ABC):
    """What a party needs to know of the beacon that it trusts.

    Of every round at most one value may pass the check, or whoever makes the others chooses.
    """

    @abstractmethod
    def check(self, number: int, value: bytes) -> None:
        """Refuse what the beacon did not say in this round.

        Raises:
            VerificationError: another round's value, or nobody's.
        """


class SignedBeacon(Beacon):
    """A beacon whose values are Ed25519 signatures of the round's number.

    Nobody can turn one such signature into another, but whoever holds the key could make several of
    one round. A beacon to rely on has no such holder: its key is shared among many, and its
    signatures are unique (BLS).

    Args:
        public: the beacon's key.
    """

    def __init__(self, public: bytes) -> None:
        self._public = public

    def check(self, number: int, value: bytes) -> None:
        """As `Beacon.check`."""
        signing.verify(self._public, value, _CONTEXT, number.to_bytes(8, "big"))


class SimulatedBeacon(SignedBeacon):
    """SIMULATED: whoever holds the key knows every value in advance. For simulations and tests."""

    SIZE: Final = SIGNATURE_BYTES

    def __init__(self, key: SigningKey) -> None:
        super().__init__(key.public)
        self._key = key

    def value(self, number: int) -> bytes:
        """What it says in this round."""
        return self._key.sign(_CONTEXT, number.to_bytes(8, "big"))

    @property
    def public(self) -> SignedBeacon:
        """What parties bring along."""
        return SignedBeacon(self._public)
