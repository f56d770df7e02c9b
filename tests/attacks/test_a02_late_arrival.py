"""A2: a client is declared lost, and then its vector arrives.

Adversary: a server that follows the protocol and remembers everything; the network is slow.
Seen: every frame, the late one among them, and the shares of the lost client's mask seed.
Goal: that client's input, bit for bit.
Protection: the self mask, whose seed nobody was asked for; and the server object, which does not
take a vector once it has committed to the survivors.
"""

from __future__ import annotations

import pytest
from attacks.adversary import MASKED, Network, Seen, equal, scenario_of
from attacks.server_view import ServerView

from secagg.kernels import MaskStream
from secagg.protocols._masking import keyring, recovery
from secagg.protocols._masking.messages import MaskedVector
from secagg.protocols._masking.plan import MaskingPlan, self_mask
from secagg.types import SERVER, PartyId, RingVector, Secret, client
from secagg.wire import Message

VICTIM = 2


def late(seen: Seen) -> Message | None:
    slow = seen.sender == client(VICTIM) and isinstance(seen.message, MaskedVector)
    return None if slow else seen.message


def opened(network: Network, self_seed: Secret | None) -> RingVector:
    """The round without the victim, then its vector, then the server's arithmetic."""
    network.finish()
    assert client(VICTIM) not in network.included
    before = network.total
    assert before is not None
    (arrival,) = network.held
    network.post(arrival.sender, arrival.recipient, arrival.message)
    network.pump()
    assert [seen.message for seen in network.late] == [arrival.message]
    assert equal(before, network.scenario.expected(network.included))
    view = ServerView(network.session, network.seen)
    assert VICTIM not in view.shares["self"]
    agreed = view.agreements(VICTIM, view.rebuild("mask", VICTIM))
    return view.strip(VICTIM, self_seed, agreed)


@pytest.mark.parametrize(("name", "count"), MASKED)
def test_without_self_masks_the_late_vector_is_opened(
    name: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the secret of the self masks. All are made from a seed of zeros."""
    zeros = Secret(bytes(32))

    def known(plan: MaskingPlan, digest: bytes, _: Secret, owner: PartyId, sign: int) -> MaskStream:
        return self_mask(plan, digest, zeros, owner, sign)

    for module in (keyring, recovery):
        monkeypatch.setattr(module, "self_mask", known)
    scenario = scenario_of(name, count)
    assert equal(opened(Network(scenario, late), zeros), scenario.inputs[client(VICTIM)])


@pytest.mark.parametrize(("name", "count"), MASKED)
def test_with_self_masks_it_is_not(name: str, count: int) -> None:
    scenario = scenario_of(name, count)
    network = Network(scenario, late)
    # All pair masks are off; what is left is the input under a mask that nobody was asked about.
    left = opened(network, None)
    assert not equal(left, scenario.inputs[client(VICTIM)])
    own = network.client(VICTIM)._keys.self_seed
    view = ServerView(network.session, network.seen)
    agreed = view.agreements(VICTIM, view.rebuild("mask", VICTIM))
    assert equal(view.strip(VICTIM, own, agreed), scenario.inputs[client(VICTIM)])


@pytest.mark.parametrize(("name", "count"), MASKED)
def test_a_vector_after_the_commitment_is_late(name: str, count: int) -> None:
    """Before the server has named the survivors it takes the vector, from then on not."""
    network = Network(scenario_of(name, count), late)
    network.run()
    server = network.parties[SERVER]
    assert server.phase == "mask"
    (arrival,) = network.held
    assert server.when(arrival.message, arrival.sender) == "now"
    network.deadline()
    assert server.when(arrival.message, arrival.sender) == "late"
