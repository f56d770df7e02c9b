"""A21: a corrupt client answers with a wrong share.

tests/attacks/test_a21_malformed_share.py has the checks that stop it, and dealers that cheat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from secagg import kernels
from secagg.audit.adversary import (
    Accomplice,
    Kind,
    Network,
    Row,
    Seen,
    ServerView,
    dialect_of,
    exact,
    rows_of,
)
from secagg.audit.attacks.attack import OnMasks, Outcome, commonest
from secagg.audit.attacks.scene import Scene, crowd
from secagg.crypto import shamir
from secagg.protocol import Adversary, Level, Protocol
from secagg.protocol.cohort import decode_bitmap
from secagg.protocols._masking.authenticated.messages import (
    OPENING_BYTES,
    SignedAnswer,
    SignedVector,
    SurvivorList,
)
from secagg.protocols._masking.authenticated.statements import (
    ANSWER,
    answer_statement,
    survivor_digest,
)
from secagg.protocols._masking.messages import MaskedVector, UnmaskShares
from secagg.types import PartyId, Rng, client
from secagg.wire import Message

OWNER = 1
AIMS: tuple[Kind, ...] = ("self", "mask")
Forge: TypeAlias = Callable[[Row, int, list[int]], Row]


class MalformedShare(OnMasks):
    """A share of either kind, shifted by just so much that the secret is wrong by one."""

    id = "A21"
    title = "a corrupt client answers with a wrong share"
    goal = "a wrong sum, released as a right one"
    source = "google-parfait/federated-compute, fcp/secagg: the first t shares are taken unchecked"
    fails_from = Adversary.CURIOUS_SERVER
    needs = "shares to be answered with"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """One round for each kind of share."""
        by, parts, wrong = "", [], False
        for aim in AIMS:
            forged = ForgedShare(
                Scene(protocol, level, rng, crowd(protocol, level)).network(), aim, shifted
            )
            network = forged.network
            network.finish()
            if network.total is not None and not exact(network):
                wrong = True
            by = by or commonest(network.accused) or commonest(network.failures.values())
            came = "no sum" if network.total is None else f"sum right: {exact(network)}"
            parts.append(f"{aim} seed: {came}")
        return Outcome.of(wrong, by, "; ".join(parts))


class ForgedShare:
    """A round in which one answer has a forged share.

    The owner is lost if its mask seed is aimed at, else it survives.

    Attributes:
        corrupt: who forges: the first of the holders whose shares are put together.
    """

    def __init__(self, network: Network, aim: Kind, forge: Forge) -> None:
        self.network, self.aim, self.forge = network, aim, forge
        self.corrupt: PartyId | None = None
        network.relay = self.relay

    def relay(self, seen: Seen) -> Message | None:
        """The adversary."""
        message = seen.message
        if isinstance(message, MaskedVector | SignedVector) and seen.sender == client(OWNER):
            return message if self.aim == "self" else None
        if not isinstance(message, UnmaskShares | SignedAnswer):
            return message
        # Who answers is known: the survivors; of the owner's shares the first few are used.
        view = ServerView.of(self.network)
        included = decode_bitmap(self.network.clients, view.survivors[seen.sender.number].included)
        near = {*view.neighbours[OWNER], OWNER} & included
        holders = sorted(near)[: view.plan.threshold]
        self.corrupt = client(next(holder for holder in holders if holder != OWNER))
        if seen.sender != self.corrupt:
            return message
        number = self.corrupt.number
        row = sorted((*view.partners[number], number)).index(OWNER)
        if isinstance(message, UnmaskShares):
            shares = shamir.decode_shares(message.shares)
            shares[row] = self.forge(shares[row], number, holders)
            return UnmaskShares(shamir.encode_shares(shares))
        rows = rows_of(message.openings, OPENING_BYTES)
        rows[row] = self.forged(rows[row], number, holders)
        own = view.survivors[number]
        assert isinstance(own, SurvivorList)  # noqa: S101
        digest = survivor_digest(view.transcript, own.dealt, own.included)
        statement = answer_statement(digest, self.corrupt, b"".join(rows))
        signature = Accomplice(self.network, number).sign(ANSWER, statement)
        return SignedAnswer(b"".join(rows), signature)

    def forged(self, opening: bytes, holder: int, holders: list[int]) -> bytes:
        """Another share, with the same salt."""
        share = self.forge(dialect_of(self.network.plan).share(opening), holder, holders)
        return shamir.encode_shares(share) + opening[shamir.SHARE_BYTES :]


def shifted(share: Row, holder: int, holders: list[int]) -> Row:
    """The share with which these holders' secret is greater by one in its first limb."""
    weights = kernels.shamir_lagrange(shamir.points_of(holders))
    step = pow(int(weights[holders.index(holder)]), -1, shamir.PRIME)
    first = (int(share[0]) + step) % shamir.PRIME
    return np.array([first, *share[1:]], dtype=np.uint64)
