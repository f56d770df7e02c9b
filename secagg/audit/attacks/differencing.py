"""A10: the same inputs in two training rounds, the second time without the victim.

Fresh keys do not help: both sums are right. `secagg.ledger.Participation` knows both cohorts, and
refuses the second; what it is asked before is its keeper's to decide.
"""

from __future__ import annotations

from secagg import kernels
from secagg.audit.adversary import Network, Seen, exact, recovered_from_two
from secagg.audit.attacks.attack import Attack, Outcome
from secagg.audit.attacks.scene import Scene
from secagg.errors import NearIdenticalCohort, VerificationError
from secagg.ledger import Participation, Taken
from secagg.protocol import Level, Protocol
from secagg.types import RingVector, Rng, client
from secagg.wire import Message

VICTIM = 2


class Differencing(Attack):
    """Two training rounds on one model, whose clients computed the same both times."""

    id = "A10"
    title = "the same inputs in two training rounds, the second time without the victim"
    goal = "the victim's input, as the difference of two sums"
    source = "So et al., Securing Secure Aggregation, AAAI 2023"
    fails_from = None

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Two honest rounds, but for a vector that is lost; then what a record of both says."""
        scene = Scene(protocol, level, rng)
        first = scene.network()
        first.finish()
        first.close()
        disks = dict(first.disks)
        second = scene.network(
            dropping_the_victim, disks=disks, nonce=rng.bytes(32), training_round=1
        )
        second.finish()
        right = recovered_from_two(first, VICTIM, difference(first, second))
        record = Participation()
        record.add(taken(first))
        try:
            record.check(taken(second))
            said = "has nothing against the second"
        except NearIdenticalCohort:
            said = "refuses the second"
        evidence = (
            f"sums over {len(first.included)} and {len(second.included)} clients subtracted; input"
            f" equal: {right}; a record of participation {said}"
        )
        return Outcome.of(right, "another vector", evidence)


def dropping_the_victim(seen: Seen) -> Message | None:
    """Its vector is lost on the way, so the sum is of the others."""
    lost = seen.frame.tail.nbytes and seen.sender == client(VICTIM)
    return None if lost else seen.message


def difference(first: Network, second: Network) -> RingVector:
    """Of two right sums.

    Raises:
        VerificationError: there are no two right sums, or the victim is in both.
    """
    if not (exact(first) and exact(second)) or client(VICTIM) in second.included:
        raise VerificationError("expected the right sums of two sessions, one without the victim")
    if first.total is None or second.total is None:
        raise VerificationError("no sum was released")
    left = first.total.copy()
    kernels.ring_subtract(left, second.total)
    kernels.ring_reduce(left, first.plan.ring)
    return left


def taken(network: Network) -> Taken:
    """What a record of participation keeps of a session."""
    return Taken.of(network.session, network.included)
