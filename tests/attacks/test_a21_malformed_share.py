"""A21: a corrupt client answers with a wrong share, or deals one.

Adversary: one client that is among the first to answer. It knows whose shares are put together, so
it shifts its own by just so much that the secret comes out wrong by one. Or the owner of the secret
itself, which deals such a share to one of them.
Seen: what the corrupt client is sent, and who answers.
Goal: a wrong sum, released as a right one.
Protection: at level `curious` what is rebuilt is compared with the commitment (a self-mask seed) or
the advertised key (a mask seed): `ShareCorrupt`, and nothing is released. A share that is wrong at
random is mostly found earlier, by the range of the combined limbs. At level `malicious` dealers
commit to every share as well. A holder's wrong share is a `WrongShare` of that holder, counts as
missing, and the sum is released without it; a share that does not fit its commitment is complained
of, `ShareDisputed`; and a dealer whose shares all fit but make another secret ends the round and is
named, `InconsistentShares`.
Levels: curious, malicious; at curious nobody is named.
"""

from __future__ import annotations

import numpy as np
import pytest
from attacks.checks import without
from attacks.scenes import CURIOUS, EVERYWHERE, MALICIOUS, MASKED, RING, network_of

from secagg.audit.adversary import (
    Accomplice,
    Kind,
    Network,
    Row,
    Seen,
    dialect_of,
    exact,
    plan_of,
)
from secagg.audit.attacks.malformed_share import AIMS, OWNER, Forge, ForgedShare, shifted
from secagg.crypto import shamir
from secagg.errors import InconsistentShares, ShareCorrupt, ShareDisputed, WrongShare
from secagg.protocols._masking.authenticated.messages import (
    OPENING_BYTES,
    CommittedShares,
)
from secagg.types import SERVER, client
from secagg.wire import Message


def random_share(share: Row, holder: int, holders: list[int]) -> Row:
    """Canonical, and unrelated to the true one."""
    return (share * np.uint64(3) + np.uint64(holder)) % np.uint64(shamir.PRIME)


@pytest.mark.parametrize("scene", EVERYWHERE)
@pytest.mark.parametrize("aim", AIMS)
def test_without_the_comparison_a_wrong_sum_is_released(
    scene: str, aim: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "rebuilt secrets", "share commitments")
    attack = ForgedShare(network_of(scene), aim, shifted)
    attack.network.finish()
    assert attack.network.total is not None
    assert not exact(attack.network)


@pytest.mark.parametrize("scene", CURIOUS)
@pytest.mark.parametrize("aim", AIMS)
def test_with_it_nothing_is_released(scene: str, aim: Kind) -> None:
    attack = ForgedShare(network_of(scene), aim, shifted)
    network = attack.network
    network.finish()
    assert network.total is None
    assert isinstance(network.failures[SERVER].error, ShareCorrupt)
    assert "rebuilt" in network.failures[SERVER].reason
    # Who lied is not known, so nobody is accused: least of all the owner.
    assert not network.accused


@pytest.mark.parametrize("aim", AIMS)
@pytest.mark.parametrize(
    ("scene", "forge"), [(MALICIOUS, shifted), (MALICIOUS, random_share), (RING, shifted)]
)
def test_at_malicious_the_holder_is_named_and_the_right_sum_released(
    scene: str, aim: Kind, forge: Forge
) -> None:
    attack = ForgedShare(network_of(scene), aim, forge)
    network = attack.network
    network.finish()
    assert exact(network)
    (accusation,) = network.accused
    assert isinstance(accusation.error, WrongShare)
    assert accusation.culprit == attack.corrupt


@pytest.mark.parametrize("scene", MASKED)
@pytest.mark.parametrize("aim", AIMS)
def test_a_share_wrong_at_random_is_found_by_the_sharing_itself(
    scene: str, aim: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "rebuilt secrets", "share commitments")
    attack = ForgedShare(network_of(scene), aim, random_share)
    attack.network.finish()
    assert attack.network.total is None
    error = attack.network.failures[SERVER].error
    assert isinstance(error, InconsistentShares if scene == MALICIOUS else ShareCorrupt)


def bad_dealing(*, committed: bool) -> Network:
    """The owner deals a shifted share of its self seed to one holder."""

    def relay(seen: Seen) -> Message:
        message = seen.message
        if not isinstance(message, CommittedShares) or seen.sender != client(OWNER):
            return message
        holders = [who.number for who in network.clients][: plan_of(network.session).threshold]

        def change(holder: int, both: bytes) -> bytes:
            if holder != 0:
                return both
            share = shifted(dialect_of(network.plan).share(both[OPENING_BYTES:]), holder, holders)
            salt = both[OPENING_BYTES + shamir.SHARE_BYTES :]
            return both[:OPENING_BYTES] + shamir.encode_shares(share) + salt

        return Accomplice(network, OWNER).deal(message, change, committed=committed)

    network = network_of(MALICIOUS, relay)
    network.finish()
    return network


@pytest.mark.parametrize("committed", [False, True])
def test_without_comparing_a_bad_dealer_has_a_wrong_sum_released(
    committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "rebuilt secrets", *(() if committed else ("share commitments",)))
    network = bad_dealing(committed=committed)
    assert network.total is not None
    assert not exact(network)


def test_a_dealer_that_commits_to_shares_of_nothing_is_named() -> None:
    network = bad_dealing(committed=True)
    assert network.total is None
    assert isinstance(network.failures[SERVER].error, InconsistentShares)
    (accusation,) = network.accused
    assert accusation.culprit == client(OWNER)
    assert isinstance(accusation.error, InconsistentShares)


def test_a_share_that_does_not_fit_is_complained_of_and_the_right_sum_released() -> None:
    """Who lies of the two nobody can tell: both are named, and the round goes on."""
    network = bad_dealing(committed=False)
    assert exact(network)
    assert len(network.included) == len(network.clients)
    (accusation,) = network.accused
    assert isinstance(accusation.error, ShareDisputed)
    assert (accusation.culprit, accusation.error.holder) == (client(OWNER), client(0))
