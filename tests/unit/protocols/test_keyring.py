"""A client's secrets: what it cannot agree on, what opens where, and what is left at the end."""

from __future__ import annotations

import pytest
from conformance.scenario import Offered, Scenario

from secagg.crypto.rng import seeded
from secagg.errors import InvalidKey, VerificationError
from secagg.protocols._masking.keyring import Keyring, PublicKeys
from secagg.types import client

LOW_ORDER = (1).to_bytes(32, "little")
TRANSCRIPT = bytes(32)


def keyrings() -> list[Keyring]:
    session = Scenario(Offered.named("secagg-malicious"), 3).session
    return [Keyring(session, client(number), seeded(number)) for number in range(3)]


def met(rings: list[Keyring], number: int) -> Keyring:
    others = {other: ring.public for other, ring in enumerate(rings) if other != number}
    rings[number].meet(others, TRANSCRIPT)
    return rings[number]


def test_no_agreement_is_made_with_a_key_of_low_order() -> None:
    """Whoever checks keys before, both agreements refuse them, and name whose key it is."""
    rings = keyrings()
    good = rings[1].public
    with pytest.raises(InvalidKey, match="low order") as refused:
        rings[0].meet({1: PublicKeys(LOW_ORDER, good.mask)}, TRANSCRIPT)
    assert refused.value.culprit == client(1)
    rings[0].meet({1: PublicKeys(good.channel, LOW_ORDER)}, TRANSCRIPT)
    with pytest.raises(InvalidKey, match="low order") as refused:
        rings[0].masks([1])
    assert refused.value.culprit == client(1)


def test_what_is_sealed_opens_for_its_holder_as_its_dealers() -> None:
    rings = keyrings()
    first, second, third = (met(rings, number) for number in range(3))
    sealed = first.seal(client(1), b"shares", seeded(9))
    assert second.open(client(0), sealed).reveal() == b"shares"
    for ring, dealer in ((second, client(2)), (third, client(0)), (first, client(1))):
        with pytest.raises(VerificationError):
            ring.open(dealer, sealed)


def test_nothing_is_left_when_it_is_wiped() -> None:
    rings = keyrings()
    ring = met(rings, 0)
    held = [ring.mask_seed, ring.self_seed, *ring._channels.values()]
    assert all(held)
    ring.wipe()
    assert not any(held)
    assert not ring._channels
    assert not hasattr(ring, "_channel_key")
    assert not hasattr(ring, "_mask_key")
    assert repr(ring) == "Keyring(...)"
