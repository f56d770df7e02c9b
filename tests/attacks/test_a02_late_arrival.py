"""A2: a client is declared lost, and then its vector arrives.

Adversary: a server that follows the protocol and remembers everything; the network is slow.
Seen: every frame, the late one among them, and the shares of the lost client's mask seed.
Goal: that client's input, bit for bit.
Protection: the self mask, whose seed nobody was asked for; and the server object, which does not
take a vector once it has committed to the survivors.
Levels: curious, malicious.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import EVERYWHERE, MASKED, network_of

from secagg.audit.adversary import Accomplice, ServerView, recovered
from secagg.audit.attacks.late_arrival import VICTIM, late, opened
from secagg.types import SERVER, Secret


@pytest.mark.parametrize("scene", EVERYWHERE)
def test_without_self_masks_the_late_vector_is_opened(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All self masks are made from a seed of zeros."""
    without(monkeypatch, "secret self masks")
    network = network_of(scene, late)
    assert recovered(network, VICTIM, opened(network, Secret(bytes(32))))


@pytest.mark.parametrize("scene", EVERYWHERE)
def test_with_self_masks_it_is_not(scene: str) -> None:
    network = network_of(scene, late)
    # All pair masks are off; what is left is the input under a mask that nobody was asked about.
    assert not recovered(network, VICTIM, opened(network, None))
    own = Accomplice(network, VICTIM).keys.self_seed
    view = ServerView.of(network)
    agreed = view.agreements(VICTIM, view.rebuild("mask", VICTIM))
    assert recovered(network, VICTIM, view.strip(VICTIM, own, agreed))


@pytest.mark.parametrize("scene", MASKED)
def test_a_vector_after_the_commitment_is_late(scene: str) -> None:
    """Before the server has named the survivors it takes the vector, from then on not."""
    network = network_of(scene, late)
    network.run()
    server = network.parties[SERVER]
    assert server.phase == "mask"
    (arrival,) = network.held
    assert server.when(arrival.message, arrival.sender) == "now"
    network.deadline()
    assert server.when(arrival.message, arrival.sender) == "late"
