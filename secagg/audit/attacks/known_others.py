"""A7: all clients but the victim are the server's own."""

from __future__ import annotations

import numpy as np

from secagg import kernels
from secagg.audit.adversary import recovered
from secagg.audit.attacks.attack import Attack, Outcome
from secagg.audit.attacks.scene import COUNT, Scene
from secagg.errors import VerificationError
from secagg.protocol import Level, Protocol
from secagg.types import Rng

VICTIM = 0


class KnownOthers(Attack):
    """An honest round, in which the adversary knows what everybody else put in."""

    id = "A7"
    title = "all clients but the victim are the server's own"
    goal = "the victim's input, as the sum less what the others put in"
    source = "Bonawitz et al., CCS 2017; Boenisch et al., EuroS&P 2023"
    fails_from = None

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Fill the seats, and subtract."""
        own = {number: [number] * 17 for number in range(COUNT) if number != VICTIM}
        network = Scene(protocol, level, rng, values=own).network()
        network.run()
        if network.total is None:
            raise VerificationError("an honest round released no sum")
        left = network.total.copy()
        known = np.full(17, sum(own), dtype=left.dtype)
        kernels.ring_subtract(left, known)
        kernels.ring_reduce(left, network.plan.ring)
        right = recovered(network, VICTIM, left)
        evidence = (
            f"{len(own)} of {COUNT} clients are the adversary's, {network.plan.corrupt} are planned"
            f" for; input equal: {right}"
        )
        return Outcome.of(right, "another vector", evidence)
