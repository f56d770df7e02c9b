"""A19: the same masks in two sessions.

tests/attacks/test_a19_mask_reuse.py has the checks that stop it, and one session opened twice.
"""

from __future__ import annotations

from secagg import kernels
from secagg.audit.adversary import Network, ServerView, recovered_difference
from secagg.audit.attacks.attack import OnMasks, Outcome
from secagg.audit.attacks.scene import Scene
from secagg.crypto.rng import seeded
from secagg.protocol import Adversary, Level, Protocol
from secagg.types import PartyId, Ring, RingVector, Rng


class MaskReuse(OnMasks):
    """Clients whose generator gives the same bytes in both sessions."""

    id = "A19"
    title = "the same masks in two sessions"
    goal = "the difference of a client's two inputs, as y - y' = x - x'"
    source = "google-parfait/federated-compute, fcp/secagg: the session in every derived key"
    fails_from = Adversary.CURIOUS_SERVER
    needs = "masks to be used twice"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Two sessions with the same entropy and other inputs."""
        scene = Scene(protocol, level, rng)
        count, length = len(scene.plan.task.clients), scene.plan.task.length
        again = {number: [number] * length for number in range(count)}
        first = scene.network(entropy=repeated)
        second = scene.network(entropy=repeated, values=again, nonce=rng.bytes(32))
        for network in (first, second):
            network.run()
        found = cancelled(first, second)
        evidence = f"masks of {len(found)} of {count} clients cancel between two sessions"
        return Outcome.of(bool(found), "the session in every key", evidence)


def repeated(who: PartyId) -> Rng:
    """A generator that gives the same bytes in every session."""
    return seeded(1000 + who.number)


def difference(first: RingVector, second: RingVector, ring: Ring) -> RingVector:
    """In the ring."""
    result = first.copy()
    kernels.ring_subtract(result, second)
    kernels.ring_reduce(result, ring)
    return result


def cancelled(first: Network, second: Network) -> set[int]:
    """Of whom y - y' is x - x'."""
    y, z = ServerView.of(first).vectors, ServerView.of(second).vectors
    return {
        n
        for n in y.keys() & z.keys()
        if recovered_difference(first, second, n, difference(y[n], z[n], first.plan.ring))
    }
