"""Honest parties are driven and not looked into; corrupt ones are declared."""

from __future__ import annotations

import pytest
from attacks.scenes import MALICIOUS, MASKED, network_of

from secagg.audit.adversary import Accomplice, Network, Seen, exact, recovered, recovered_sum
from secagg.errors import HonestStateRead, LocalProtocolError
from secagg.protocols._masking.authenticated.client import AuthenticatedClient
from secagg.protocols._masking.authenticated.messages import SignedVector
from secagg.protocols._masking.messages import MaskedVector
from secagg.types import SERVER, client
from secagg.wire import Message

WHO = client(2)


@pytest.mark.parametrize("name", ["_keys", "_input", "rng", "session", "restore", "_seat", "plan"])
def test_an_attribute_of_an_honest_party_is_refused_by_name(name: str) -> None:
    network = network_of(MALICIOUS)
    network.begin()
    with pytest.raises(HonestStateRead) as refused:
        getattr(network.parties[WHO], name)
    assert (refused.value.party, refused.value.name) == (WHO, name)


def test_an_honest_party_is_not_changed_either() -> None:
    party = network_of(MALICIOUS).parties[WHO]
    with pytest.raises(HonestStateRead):
        party.phase = "done"  # type: ignore[misc]
    with pytest.raises(HonestStateRead):
        party.plan = None
    assert repr(party) == "Honest(client 2)"


@pytest.mark.parametrize("scene", MASKED)
def test_an_honest_party_is_driven(scene: str) -> None:
    network = network_of(scene)
    network.begin()
    party = network.parties[WHO]
    assert party.me == WHO
    assert party.phase == "advertise"
    assert party.when(MaskedVector(memoryview(b"")), SERVER) == "now"
    before = party.ended
    network.pump()
    assert (before, party.ended) == (False, True)
    (first, *_) = (seen for seen in network.seen if seen.recipient == WHO)
    assert party.open(first.frame, SERVER) == first.message
    with pytest.raises(LocalProtocolError):
        party.handle(first.message, SERVER)


def test_effects_of_an_honest_party_hold_nothing_that_it_remembers() -> None:
    network = network_of("secagg 7 curious")
    network.begin()
    (seen, *_) = (s for s in network.seen if s.sender == WHO)
    effects = network.parties[SERVER].handle(seen.message, WHO)
    assert not effects
    assert "Remember" not in repr(effects)


def test_who_is_corrupt_is_noted_and_can_be_read() -> None:
    network = network_of(MALICIOUS)
    network.begin()
    assert not network.corrupted
    party = network.corrupt(WHO)
    assert isinstance(party, AuthenticatedClient)
    assert network.corrupted == {WHO}
    assert Accomplice(network, 4).keys.public.channel
    assert network.corrupted == {WHO, client(4)}


@pytest.mark.parametrize("scene", MASKED)
def test_a_network_that_changes_nothing_ends_as_any_other(scene: str) -> None:
    network = network_of(scene)
    network.finish()
    assert exact(network)
    assert network.included == network.clients
    assert not network.failures
    assert not network.accused
    assert not network.held


def test_nothing_released_is_not_exact() -> None:
    assert not exact(network_of(MALICIOUS))


def test_what_is_recovered_is_compared_bit_for_bit() -> None:
    network = network_of("plain 3 curious")
    network.finish()
    assert network.total is not None
    assert recovered_sum(network, range(3), network.total)
    assert not recovered_sum(network, range(2), network.total)
    assert not recovered(network, 0, network.total)
    changed = network.total.copy()
    changed[0] ^= 1
    assert not recovered_sum(network, range(3), changed)
    assert not recovered_sum(network, range(3), network.total.astype("u8"))


@pytest.mark.parametrize("corrupt", [False, True])
def test_of_an_honest_client_that_is_seen_which_was_sent_of_a_corrupt_what_arrives(
    corrupt: bool,
) -> None:
    sent: list[Message] = []

    def swap(seen: Seen) -> Message:
        if seen.sender != WHO or not isinstance(seen.message, SignedVector):
            return seen.message
        sent.append(seen.message)
        return SignedVector(b"", bytes(64), seen.message.tail)

    network: Network = network_of(MALICIOUS, swap)
    if corrupt:
        network.corrupt(WHO)
    network.finish()
    (seen,) = (m for m in network.said(WHO) if isinstance(m, SignedVector))
    assert (seen is sent[0]) != corrupt
    assert [accusation.culprit for accusation in network.accused] == [WHO]


def test_a_client_restarted_from_its_disk_goes_on_where_it_was() -> None:
    network = network_of(MALICIOUS)
    network.begin()
    for who in network.clients:
        network.restart(who)
    network.pump()
    assert exact(network)
    assert network.included == network.clients
