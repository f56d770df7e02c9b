"""A2: a client is declared lost, and then its vector arrives.

tests/attacks/test_a02_late_arrival.py has the checks that stop it.
"""

from __future__ import annotations

from secagg.audit.adversary import Network, Seen, ServerView, exact, recovered
from secagg.audit.attacks.attack import OnMasks, Outcome
from secagg.audit.attacks.scene import Scene, crowd
from secagg.errors import VerificationError
from secagg.protocol import Adversary, Level, Protocol
from secagg.protocols._masking.authenticated.messages import SignedVector
from secagg.protocols._masking.messages import MaskedVector
from secagg.types import RingVector, Rng, Secret, client
from secagg.wire import Message

VICTIM = 2


class LateArrival(OnMasks):
    """A slow client in an honest round."""

    id = "A2"
    title = "a client is declared lost, and then its vector arrives"
    goal = "that client's input, bit for bit"
    source = "Bonawitz et al., CCS 2017: why there are two masks"
    fails_from = Adversary.CURIOUS_SERVER
    needs = "masks to be taken off a late vector"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Hold the vector back, let the round end, and open it."""
        network = Scene(protocol, level, rng, crowd(protocol, level)).network(late)
        left = opened(network, None)
        if recovered(network, VICTIM, left):
            return Outcome.reached("the vector without its pair masks is the input")
        try:
            seed = ServerView.of(network).rebuild("self", VICTIM)
        except VerificationError as error:
            evidence = f"all pair masks came off, the self mask did not: {error}"
            return Outcome.stopped("self mask", evidence)
        right = recovered(network, VICTIM, opened_with(network, seed))
        return Outcome.of(right, "another vector", f"shares of both seeds; input equal: {right}")


def late(seen: Seen) -> Message | None:
    """The relay that holds the victim's vector back."""
    slow = seen.sender == client(VICTIM) and isinstance(seen.message, MaskedVector | SignedVector)
    return None if slow else seen.message


def opened(network: Network, self_seed: Secret | None) -> RingVector:
    """The round without the victim, then its vector, then the server's arithmetic."""
    network.finish()
    if client(VICTIM) in network.included or not exact(network):
        raise VerificationError("the round without the victim did not end with the right sum")
    (arrival,) = network.held
    network.release()
    if [seen.message for seen in network.late] != [arrival.message]:
        raise VerificationError("the server took the vector of a client that it had called lost")
    return opened_with(network, self_seed)


def opened_with(network: Network, self_seed: Secret | None) -> RingVector:
    """The victim's vector without its pair masks, and without the mask of this seed."""
    view = ServerView.of(network)
    agreed = view.agreements(VICTIM, view.rebuild("mask", VICTIM))
    return view.strip(VICTIM, self_seed, agreed)
