"""A21: a corrupt client answers with a wrong share.

Adversary: one client that is among the first to answer. It knows whose shares are put together, so
it shifts its own by just so much that the secret comes out wrong by one.
Goal: a wrong sum, released as a right one.
Protection: what is rebuilt is compared with the commitment (a self-mask seed) or the advertised key
(a mask seed): `ShareCorrupt`, and nothing is released. A share that is wrong at random is mostly
found earlier, by the range of the combined limbs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from attacks.adversary import MASKED, Network, Seen, equal, scenario_of
from attacks.server_view import Kind, Row

from secagg import kernels
from secagg.crypto import shamir
from secagg.crypto.agreement import PrivateKey
from secagg.errors import ShareCorrupt
from secagg.protocols._masking import recovery
from secagg.protocols._masking.messages import MaskedVector, UnmaskShares
from secagg.protocols._masking.server import MaskingServer
from secagg.types import SERVER, PartyId, Secret, client
from secagg.wire import Message

OWNER = 1
Forge = Callable[[Row, int, list[int]], Row]


def shifted(share: Row, holder: int, holders: list[int]) -> Row:
    """The share with which these holders' secret is greater by one in its first limb."""
    weights = kernels.shamir_lagrange(shamir.points_of(holders))
    step = pow(int(weights[holders.index(holder)]), -1, shamir.PRIME)
    first = (int(share[0]) + step) % shamir.PRIME
    return np.array([first, *share[1:]], dtype=np.uint64)


def random_share(share: Row, holder: int, holders: list[int]) -> Row:
    """Canonical, and unrelated to the true one."""
    return (share * np.uint64(3) + np.uint64(holder)) % np.uint64(shamir.PRIME)


class Attack(Network):
    """The owner is lost if its mask seed is aimed at, else it survives."""

    def __init__(self, name: str, count: int, aim: Kind, forge: Forge) -> None:
        super().__init__(scenario_of(name, count), self.answer)
        self.aim, self.forge = aim, forge
        self.corrupt: PartyId | None = None

    @property
    def server(self) -> MaskingServer:
        server = self.parties[SERVER]
        assert isinstance(server, MaskingServer)
        return server

    def answer(self, seen: Seen) -> Message | None:
        message, server = seen.message, self.server
        if isinstance(message, MaskedVector) and seen.sender == client(OWNER):
            return message if self.aim == "self" else None
        if not isinstance(message, UnmaskShares):
            return message
        assert server._recovery is not None
        # Who answers is known: the survivors; of the owner's shares the first few are used.
        near = {*server._neighbours[OWNER], OWNER} & server._included
        holders = sorted(near)[: server.plan.threshold]
        self.corrupt = client(next(holder for holder in holders if holder != OWNER))
        if seen.sender != self.corrupt:
            return message
        shares = shamir.decode_shares(message.shares)
        row = server._recovery.owners(self.corrupt.number).index(OWNER)
        shares[row] = self.forge(shares[row], self.corrupt.number, holders)
        return UnmaskShares(shamir.encode_shares(shares))


def believe(monkeypatch: pytest.MonkeyPatch, attack: Attack) -> None:
    """Takes out the comparison of what was rebuilt with commitment and advertised key."""

    class Believed(PrivateKey):
        def __init__(self, seed: Secret) -> None:
            super().__init__(seed)
            self.public = attack.server._keys[OWNER].mask

    if attack.aim == "mask":
        monkeypatch.setattr(recovery, "PrivateKey", Believed)
    else:
        monkeypatch.setattr(
            recovery,
            "self_mask_commitment",
            lambda digest, seed, owner: attack.server._commitments[owner.number],
        )


AIMS: tuple[Kind, ...] = ("self", "mask")


@pytest.mark.parametrize(("name", "count"), MASKED)
@pytest.mark.parametrize("aim", AIMS)
def test_without_the_comparison_a_wrong_sum_is_released(
    name: str, count: int, aim: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack = Attack(name, count, aim, shifted)
    believe(monkeypatch, attack)
    attack.finish()
    assert attack.total is not None
    assert not equal(attack.total, attack.scenario.expected(attack.included))


@pytest.mark.parametrize(("name", "count"), MASKED)
@pytest.mark.parametrize("aim", AIMS)
def test_with_it_nothing_is_released(name: str, count: int, aim: Kind) -> None:
    attack = Attack(name, count, aim, shifted)
    attack.finish()
    assert attack.total is None
    assert isinstance(attack.failures[SERVER].error, ShareCorrupt)
    assert "rebuilt" in attack.failures[SERVER].reason
    # Who lied is not known, so nobody is accused: least of all the owner.
    assert not attack.accused


@pytest.mark.parametrize(("name", "count"), MASKED)
@pytest.mark.parametrize("aim", AIMS)
def test_a_share_wrong_at_random_is_found_by_the_sharing_itself(
    name: str, count: int, aim: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack = Attack(name, count, aim, random_share)
    believe(monkeypatch, attack)
    attack.finish()
    assert attack.total is None
    assert isinstance(attack.failures[SERVER].error, ShareCorrupt)
