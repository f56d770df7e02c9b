"""A24: the server begins the round again, with one client fewer.

tests/attacks/test_a24_selective_abort.py has the checks that stop it, and sessions that overlap.
"""

from __future__ import annotations

from secagg.audit.adversary import recovered_from_two
from secagg.audit.attacks.attack import Attack, Outcome, commonest
from secagg.audit.attacks.differencing import VICTIM, difference, dropping_the_victim
from secagg.audit.attacks.scene import Scene
from secagg.protocol import Adversary, Level, Protocol
from secagg.types import Rng


class SelectiveAbort(Attack):
    """Two sessions of one training round, the second without the victim's vector."""

    id = "A24"
    title = "the server begins the round again, with one client fewer"
    goal = "the victim's input, as the difference of two sums"
    source = "Bonawitz et al., CCS 2017: what aborts give away; docs/decisions/0022"
    fails_from = Adversary.LYING_SERVER

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
        right = recovered_from_two(first, VICTIM, difference(first, second))
        evidence = f"sums over {len(first.included)} and {len(second.included)} clients subtracted"
        return Outcome.of(right, "another vector", f"{evidence}; input equal: {right}")
