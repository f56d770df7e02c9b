"""A18: a client's generator can be guessed, and with it all its masks.

Adversary: a server that follows the protocol, and guesses the seed of a client's generator.
Seen: every frame.
Goal: the victim's input, bit for bit.
Protection: parties take their randomness as an argument, `SystemRng` in a deployment, and no
function takes a small number for a seed but `seeded`, which says what it is for. A lint rule bans
all other generators.
Levels: curious, malicious.
"""

from __future__ import annotations

from typing import Any

import pytest
from attacks.scenes import MASKED, network_of

from secagg.audit.adversary import Network, recovered
from secagg.audit.attacks.weak_randomness import GUESSES, VICTIM, guessed, opened
from secagg.crypto.rng import SystemRng, seeded
from secagg.types import PartyId, Rng


def ranked(who: PartyId) -> Rng:
    """A generator that starts from the client's rank, as some systems have it."""
    return seeded(who.number)


def drawn(who: PartyId) -> Rng:
    return SystemRng()


@pytest.mark.parametrize("scene", MASKED)
def test_a_generator_seeded_by_rank_gives_the_input_away(scene: str) -> None:
    network = network_of(scene, entropy=ranked)
    network.run()

    def mount(**settings: Any) -> Network:
        return network_of(scene, **settings)

    assert guessed(network, mount) == VICTIM < GUESSES
    assert recovered(network, VICTIM, opened(network, mount, VICTIM))


@pytest.mark.parametrize("scene", MASKED)
def test_the_systems_generator_does_not(scene: str) -> None:
    network = network_of(scene, entropy=drawn)
    network.run()

    def mount(**settings: Any) -> Network:
        return network_of(scene, **settings)

    assert guessed(network, mount) is None
    assert not recovered(network, VICTIM, opened(network, mount, VICTIM))
