"""A16: a sum that wraps in the ring, so that what is released is another sum.

tests/attacks/test_a16_overflow.py has the checks that stop it.
"""

from __future__ import annotations

from secagg.audit.adversary import exact
from secagg.audit.attacks.attack import Attack, Outcome
from secagg.audit.attacks.scene import COUNT, Scene
from secagg.errors import InputError
from secagg.protocol import Adversary, Level, Protocol
from secagg.types import Rng

VICTIM = 0


class Overflow(Attack):
    """Honest clients at both ends of the bound, and then one with an input beyond it."""

    id = "A16"
    title = "a sum that wraps in the ring, so that what is released is another sum"
    goal = "a wrong sum that looks like a right one"
    source = "google-parfait/federated-compute, fcp/secagg: the modulus and the sum of the inputs"
    fails_from = Adversary.TRUSTED_SERVER

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """All at the bound, all at its negative, and one beyond."""
        right = 0
        for sign in (-1, +1):
            scene = Scene(protocol, level, rng)
            length, bound = scene.plan.task.length, scene.plan.task.bound
            everybody = {number: [sign * bound] * length for number in range(COUNT)}
            network = scene.network(values=everybody)
            network.run()
            right += exact(network)
        if right < 2:
            return Outcome.reached(f"{2 - right} of 2 sums at the bound are wrong")
        evidence = f"both sums of {COUNT} inputs at the bound are right"
        scene = Scene(protocol, level, rng)
        far = [1 << (scene.plan.ring.bits - 1)] * scene.plan.task.length
        network = scene.network(values={VICTIM: far})
        try:
            network.run()
        except InputError as error:
            return Outcome.stopped(error, f"{evidence}; one beyond it was not sent")
        return Outcome.of(
            network.total is not None, "no sum", f"{evidence}; one beyond it was sent"
        )
