"""A20: shares of an earlier session are replayed in a later one.

tests/attacks/test_a20_replayed_shares.py has the checks that stop it.
"""

from __future__ import annotations

from secagg.audit.adversary import Network, Seen, ServerView, recovered, rows_of
from secagg.audit.attacks.attack import OnMasks, Outcome, commonest
from secagg.audit.attacks.scene import Scene
from secagg.errors import VerificationError
from secagg.protocol import Adversary, Level, Protocol
from secagg.protocols._masking.authenticated.messages import (
    COMMITMENT_PAIR_BYTES,
    CommittedBundle,
    CommittedShares,
    SignedVector,
)
from secagg.protocols._masking.messages import MaskedVector, ShareBundle, decode_numbers
from secagg.types import Rng, client
from secagg.wire import Message

VICTIM = 2


class ReplayedShares(OnMasks):
    """Old ciphertexts in new frames, the session id rewritten."""

    id = "A20"
    title = "shares of an earlier session are replayed in a later one"
    goal = "the victim's input of the earlier session, from shares of both its seeds there"
    source = "google/secure-aggregation, willow: tests of the verifier"
    fails_from = Adversary.CURIOUS_SERVER
    needs = "shares to be replayed"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """An honest session, then one with its shares."""
        scene = Scene(protocol, level, rng)
        old, new = scene.network(), scene.network(nonce=rng.bytes(32))
        replay(old, new)
        holders = len(new.clients) - 1
        refused = [new.failures[w] for w in new.clients if w in new.failures]
        evidence = f"{len(refused)} of {holders} holders refused the old shares"
        try:
            found = opened(old, new)
        except (VerificationError, KeyError) as error:
            return Outcome.stopped(commonest(refused) or error, evidence)
        return Outcome.of(recovered(old, VICTIM, found.open_vector(VICTIM)), "nothing", evidence)


def replay(old: Network, new: Network) -> None:
    """Run one session, and put into the other the shares that the victim dealt in the first."""
    old.run()
    if client(VICTIM) not in old.included:
        raise VerificationError("the victim is not in the sum of the earlier session")
    dealt = ServerView.of(old).sealed[VICTIM]
    committed = [m for m in old.said(client(VICTIM)) if isinstance(m, CommittedShares)]
    size = COMMITMENT_PAIR_BYTES

    def relay(seen: Seen) -> Message | None:
        message, holder = seen.message, seen.recipient.number
        if isinstance(message, MaskedVector | SignedVector) and seen.sender == client(VICTIM):
            return None
        if not isinstance(message, ShareBundle | CommittedBundle) or holder == VICTIM:
            return message
        dealers = decode_numbers(message.dealers)
        place = dealers.index(VICTIM)
        rows = ServerView.of(new).dialect.rows(message.sealed)
        rows[place] = dealt[holder]
        if isinstance(message, ShareBundle):
            return ShareBundle(message.dealers, b"".join(rows))
        pairs = rows_of(message.commitments, size)
        # Everybody is in the closed neighbourhood, so a holder's place is its number.
        pairs[place] = committed[0].commitments[size * holder : size * (holder + 1)]
        return CommittedBundle(
            message.dealers,
            b"".join(rows),
            b"".join(pairs),
            message.seed_commitments,
            message.paths,
            message.signatures,
        )

    new.relay = relay
    new.finish()


def opened(old: Network, new: Network) -> ServerView:
    """The earlier session, with what holders gave of the victim's mask seed in the later one.

    Raises:
        KeyError: they gave nothing.
    """
    view = ServerView.of(old)
    for holder, row in ServerView.of(new).shares["mask"][VICTIM].items():
        view.learn("mask", VICTIM, holder, row)
    return view
