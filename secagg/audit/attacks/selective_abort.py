"""A24: the server begins the round again, with one client fewer.

tests/attacks/test_a24_selective_abort.py has the checks that stop it, and sessions that overlap.
"""

from __future__ import annotations

from secagg import kernels
from secagg.audit.adversary import Network, Seen, exact, recovered
from secagg.audit.attacks.attack import OnMasks, Outcome, commonest
from secagg.audit.attacks.scene import Scene
from secagg.errors import VerificationError
from secagg.protocol import Adversary, Level, Protocol
from secagg.protocols._masking.authenticated.messages import SignedVector
from secagg.protocols._masking.messages import MaskedVector
from secagg.types import Rng, client
from secagg.wire import Message

VICTIM = 2


class SelectiveAbort(OnMasks):
    """Two sessions of one training round, the second without the victim's vector."""

    id = "A24"
    title = "the server begins the round again, with one client fewer"
    goal = "the victim's input, bit for bit, as the difference of two sums"
    source = "Bonawitz et al., CCS 2017: what aborts give away; docs/decisions/0022"
    fails_from = Adversary.LYING_SERVER
    needs = "vectors to be left out"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """A session, and another one of the same round, whose clients trained once."""
        scene = Scene(protocol, level, rng)
        first = scene.network()
        first.finish()
        first.close()
        disks = dict(first.disks)
        second = scene.network(dropping_the_victim, disks=disks, nonce=rng.bytes(32))
        if second.failures:
            count = len(second.failures)
            evidence = f"{count} of {len(second.clients)} clients refused the second session"
            return Outcome.stopped(commonest(second.failures.values()), evidence)
        second.finish()
        right = difference(first, second)
        evidence = f"sums over {len(first.included)} and {len(second.included)} clients subtracted"
        return Outcome.of(right, "another vector", f"{evidence}; input equal: {right}")


def dropping_the_victim(seen: Seen) -> Message | None:
    """Its vector is lost on the way, so the sum is of the others."""
    vector = isinstance(seen.message, MaskedVector | SignedVector)
    return None if vector and seen.sender == client(VICTIM) else seen.message


def difference(first: Network, second: Network) -> bool:
    """Whether the two sums give the victim away.

    Raises:
        VerificationError: there are no two right sums of two sessions.
    """
    if first.session.id == second.session.id or not (exact(first) and exact(second)):
        raise VerificationError("expected the right sums of two sessions")
    if first.total is None or second.total is None:
        return False
    left = first.total.copy()
    kernels.ring_subtract(left, second.total)
    kernels.ring_reduce(left, first.plan.ring)
    return recovered(first, VICTIM, left)
