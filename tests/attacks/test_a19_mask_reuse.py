"""A19: the same masks in two sessions.

Adversary: a server that follows the protocol, and clients whose generator repeats itself (a virtual
machine that was copied, a device without entropy): each gives the same bytes in both sessions.
Seen: the masked vectors of both sessions.
Goal: the difference of a client's two inputs, as y - y' = x - x'.
Protection: every key is derived for one session: the session's id, and from round 1 on the
transcript, is in each derivation. Two sessions differ in their nonce at least. Against one session
that is opened twice a client has its ledger: it takes up what it said there, or nothing.
Levels: curious, malicious; one session opened twice is covered at malicious.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import MALICIOUS, MASKED, network_of

from secagg.audit.adversary import Disk, Network
from secagg.audit.attacks.mask_reuse import cancelled, repeated
from secagg.protocols._masking.authenticated.messages import SignedVector
from secagg.types import SERVER, PartyId, client


def two_sessions(scene: str) -> tuple[Network, Network]:
    networks = [network_of(scene, seed=seed, entropy=repeated) for seed in (1, 2)]
    for network in networks:
        network.run()
    one, two = networks
    assert one.session.id != two.session.id
    return one, two


@pytest.mark.parametrize("scene", MASKED)
def test_without_the_session_in_the_keys_masks_cancel(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "session in every key")
    one, two = two_sessions(scene)
    assert cancelled(one, two) == {who.number for who in one.clients}


@pytest.mark.parametrize("scene", MASKED)
def test_with_it_they_do_not(scene: str) -> None:
    assert not cancelled(*two_sessions(scene))


OTHER = {n: [n] * 17 for n in range(7)}
"""Other inputs, for the second time."""


def same_session_twice(disks: dict[PartyId, Disk] | None) -> tuple[Network, Network]:
    """The server names the same session again, nonce and all, and the clients have new inputs."""
    first = network_of(MALICIOUS, entropy=repeated)
    first.run()
    first.close()
    again = first.disks if disks is None else disks
    second = network_of(MALICIOUS, entropy=repeated, disks=again, values=OTHER)
    assert second.session.id == first.session.id
    second.run()
    return first, second


def test_a_session_opened_twice_with_blank_disks_gives_the_difference() -> None:
    """Taken out: the ledger, which comes back empty."""
    first, second = same_session_twice({})
    assert cancelled(first, second) == {who.number for who in first.clients}


def test_with_their_ledgers_clients_say_nothing_new() -> None:
    """Every client has answered: it sends its answer again, and never a second vector."""
    first, second = same_session_twice(None)
    for number in range(7):
        sent = {first.frame(client(number), SERVER, m).join() for m in first.said(client(number))}
        again = [
            second.frame(client(number), SERVER, m).join() for m in second.said(client(number))
        ]
        assert again
        assert sent.issuperset(again)
        assert not any(isinstance(m, SignedVector) for m in second.said(client(number)))
